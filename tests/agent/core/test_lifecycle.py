"""The tables themselves: closed, reachable, and without a way back from an end."""

import pytest

from agent.core.lifecycle import JOB, REVERSAL, TABLES, TRANSACTION, Table, move

FIRST = {
    "transaction": {"intent"}, "wallet": {"intent"}, "reversal": {"pending"}, "job": {"WAITING"}, "refund": {"wanted"},
    "command": {"new"},
}


@pytest.mark.parametrize(("name", "table"), TABLES.items())
def test_every_transition_leads_to_a_state_of_the_table(name: str, table: Table) -> None:
    assert all(following in table for causes in table.values() for following in causes.values())


@pytest.mark.parametrize(("name", "table"), TABLES.items())
def test_every_state_is_reachable(name: str, table: Table) -> None:
    seen, todo = set(), list(FIRST[name])
    while todo:
        state = todo.pop()
        if state not in seen:
            seen.add(state)
            todo += table[state].values()
    assert seen == set(table)


def test_only_the_apps_own_reversal_undoes_an_approval() -> None:
    assert TRANSACTION["approved"] == {"app_reversed": "approved_not_completed"}


def test_a_settled_reversal_is_never_sent_again() -> None:
    assert REVERSAL["accepted"] == {}
    assert REVERSAL["fenced"] == {"accepted": "accepted"}, "only the host's late word on an earlier send"
    assert "send" not in {cause for state in ("refused", "expired", "no_original") for cause in REVERSAL[state]}


def test_a_job_of_which_a_byte_may_have_left_never_starts_again() -> None:
    assert [state for state, causes in JOB.items() if "start" in causes] == ["WAITING", "UNPRINTED"]


def test_a_cause_the_table_does_not_know_is_our_defect() -> None:
    with pytest.raises(AssertionError, match="no transition from approved by timeout"):
        move(TRANSACTION, "approved", "timeout")
