"""The two decision points with the payment app, and the result whose first commit fixes the direction."""

import pytest

from agent.core.change import Rejected
from tests.agent.core.world import RECEIPT, SECOND, World


def test_go_commits_sent_and_starts_the_answer_timer() -> None:
    world = World()
    decision = world.open()
    assert decision.proceed == "go"
    row = world.transaction()
    assert (row.state, row.due_ms, row.go_until_ms) == ("sent", 65 * SECOND, 10 * SECOND)


def test_an_intent_that_does_not_ask_is_only_registered() -> None:
    world = World()
    assert world.open(ask=False).proceed is None
    assert world.transaction().state == "intent"


def test_a_repeated_question_gets_go_again_while_it_is_valid_and_not_after() -> None:
    world = World()
    world.open()
    world.at(10 * SECOND - 1)
    assert world.ask().proceed == "go"
    assert world.transaction().due_ms == 65 * SECOND, "the timer does not start anew"
    world.at(10 * SECOND)
    assert world.ask().proceed == "refuse"


def test_no_go_again_after_a_new_boot_or_a_decision() -> None:
    world = World()
    world.open()
    world.boot(new=True)
    with pytest.raises(Rejected) as refused:
        world.ask()
    assert (refused.value.status, refused.value.code) == (409, "not-open")


def test_a_question_about_an_unknown_transaction_is_404() -> None:
    with pytest.raises(Rejected) as refused:
        World().ask("nobody")
    assert refused.value.status == 404


def test_T6_an_intent_that_never_got_go_is_proved_not_sent_by_a_restart() -> None:
    world = World()
    world.open(ask=False)
    world.boot()
    assert world.states() == ("not_sent", "-")
    assert world.transaction().vault is None
    with pytest.raises(Rejected):
        world.ask()


def test_T6_go_is_given_only_with_sent_committed_in_the_same_change() -> None:
    world = World()
    world.open(ask=False)
    world.ask()
    assert world.transaction().state == "sent"
    assert [fact.type for fact in world.facts[-1:]] == ["transaction.sent"]


def test_an_intent_of_an_app_that_cannot_ask_is_in_doubt_after_a_restart() -> None:
    world = World(sent_reporting=False)
    world.open(ask=False)
    world.boot()
    assert world.states() == ("in_doubt", "pending")


def test_an_intent_left_lying_ends_as_not_sent() -> None:
    world = World()
    world.open(ask=False)
    world.go_to(600 * SECOND)
    assert world.states() == ("not_sent", "-")


def test_no_answer_within_the_timeout_is_doubt() -> None:
    world = World()
    world.open()
    world.go_to(65 * SECOND - 1)
    assert world.transaction().state == "sent"
    world.go_to(65 * SECOND)
    assert world.states() == ("in_doubt", "pending")
    assert world.incidents() == {"in_doubt"}


def test_a_restart_of_the_agent_alone_keeps_the_original_deadline() -> None:
    world = World()
    world.open()
    world.at(20 * SECOND)
    world.boot()
    assert (world.transaction().state, world.transaction().due_ms) == ("sent", 65 * SECOND)
    world.go_to(65 * SECOND)
    assert world.transaction().state == "in_doubt"


def test_a_new_boot_puts_sent_in_doubt_at_once() -> None:
    world = World()
    world.open()
    world.at(SECOND)
    world.boot(new=True)
    assert world.states() == ("in_doubt", "pending")


def test_approval_committed_first_is_final() -> None:
    world = World()
    world.open()
    world.result("approved", response_code="00", rrn="1", auth_code="2", receipt=RECEIPT, job="j")
    row = world.transaction()
    assert (row.state, row.approved_fen, row.vault, row.due_ms) == ("approved", 100, None, None)
    world.go_to(3_600 * SECOND)
    world.boot(new=True)
    assert world.states() == ("approved", "-")
    assert not world.sends()


@pytest.mark.parametrize("outcome", ["no_answer", "bad_mac", "not_sent", "declined", "approved_not_completed"])
def test_whatever_contradicts_an_approval_is_409_and_the_approval_stands(outcome: str) -> None:
    world = World()
    world.open()
    world.result("approved")
    assert world.result(outcome).conflict == "contradiction"
    assert world.states() == ("approved", "-")
    assert "contradicting_result" in world.incidents()
    assert world.transaction().evidence[0].outcome == outcome


def test_the_same_result_again_is_answered_and_changes_nothing() -> None:
    world = World()
    world.open()
    world.result("approved")
    told = len(world.facts)
    assert world.result("approved").conflict is None
    assert len(world.facts) == told


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [("no_answer", "98"), ("not_sent", "98"), ("bad_mac", "A0"), ("approved_not_completed", "96")],
)
def test_the_reversal_names_its_reason(outcome: str, reason: str) -> None:
    world = World()
    world.open()
    world.result(outcome, auth_code="654321" if outcome == "approved_not_completed" else None)
    world.connect()
    assert world.sends()[0].fields["39"] == reason
    assert ("38" in world.sends()[0].fields) == (outcome == "approved_not_completed"), "F38 only if a reply carried it"


def test_an_approval_after_the_doubt_is_evidence_and_409() -> None:
    world = World()
    world.doubt()
    decision = world.result("approved", response_code="00", approved_fen=100)
    assert decision.conflict == "in-doubt"
    assert world.states() == ("in_doubt", "pending")
    assert [(item.kind, item.outcome) for item in world.transaction().evidence] == [("late_response", "approved")]


@pytest.mark.parametrize("outcome", ["no_answer", "bad_mac", "not_sent"])
def test_results_that_agree_with_the_doubt_are_200(outcome: str) -> None:
    world = World()
    world.open()
    world.go_to(65 * SECOND)
    assert world.result(outcome).conflict is None
    assert not world.transaction().evidence


@pytest.mark.parametrize("outcome", ["declined", "approved_not_completed", "approved"])
def test_every_other_result_after_the_doubt_is_409(outcome: str) -> None:
    world = World()
    world.doubt()
    assert world.result(outcome).conflict == "in-doubt"


def test_approved_not_completed_is_reversed_though_the_host_approved() -> None:
    world = World()
    world.open()
    world.result("approved_not_completed", response_code="00", auth_code="111111")
    assert world.states() == ("approved_not_completed", "pending")
    assert world.result("approved_not_completed", response_code="00").conflict is None
    world.connect()
    world.reply("00")
    assert world.states() == ("reversed", "accepted")


def test_not_sent_before_go_needs_no_reversal_and_after_go_is_doubt() -> None:
    world = World()
    world.open(ask=False)
    world.result("not_sent")
    assert world.states() == ("not_sent", "-")
    world.open("b", stan="000002")
    world.result("not_sent", "b")
    assert world.states("b") == ("in_doubt", "pending")


def test_an_approval_for_an_intent_proves_that_it_was_sent_and_opens_an_incident() -> None:
    world = World()
    world.open(ask=False)
    world.result("approved")
    assert world.states() == ("approved", "-")
    assert world.incidents() == {"sent_without_permission"}


def test_an_approval_after_never_sent_counts_with_an_incident() -> None:
    world = World()
    world.open(ask=False)
    world.boot()
    world.result("approved")
    assert world.states() == ("approved", "-")
    assert world.incidents() == {"sent_without_permission"}


def test_an_approval_after_the_app_itself_said_not_sent_is_a_contradiction() -> None:
    world = World()
    world.open(ask=False)
    world.result("not_sent")
    assert world.result("approved").conflict == "contradiction"
    assert world.states() == ("not_sent", "-")


def test_a_used_key_is_409_unless_its_rows_are_all_not_sent() -> None:
    world = World()
    world.open(ask=False)
    world.result("not_sent")
    world.open("b")
    with pytest.raises(Rejected) as refused:
        world.open("c")
    assert (refused.value.status, refused.value.code) == (409, "duplicate-stan")
    world.open("d", terminal_id="87654321")  # another terminal's numbers are its own


def test_the_same_id_twice_is_409() -> None:
    world = World()
    world.open()
    with pytest.raises(Rejected) as refused:
        world.open(stan="000002")
    assert refused.value.code == "duplicate-id"


@pytest.mark.parametrize("code", ["00", "10", "11", "16", "A2", "A4", "A5", "A6", None])
def test_approval_codes_are_a_list(code: str | None) -> None:
    world = World()
    world.open()
    world.result("approved", response_code=code, approved_fen=60)
    assert (world.transaction().state, world.transaction().approved_fen) == ("approved", 60)


@pytest.mark.parametrize("code", ["0", "000", "A", "1", "05", "", "a2", "0010"])
def test_T13_response_codes_are_compared_whole_never_as_substrings(code: str) -> None:
    world = World()
    world.open()
    with pytest.raises(Rejected) as refused:
        world.result("approved", response_code=code)
    assert refused.value.code == "code-contradicts-outcome"
    assert world.transaction().state == "sent"


def test_a_decline_with_an_approval_code_is_refused() -> None:
    world = World()
    world.open()
    with pytest.raises(Rejected):
        world.result("declined", response_code="00")


def test_a_plain_decline_is_final_and_payable() -> None:
    world = World()
    world.open()
    world.result("declined", response_code="51")
    assert world.states() == ("declined", "-")
    assert world.advice().may_pay_again
    assert not world.incidents()


@pytest.mark.parametrize("code", ["68", "91", "96", "98"])
def test_an_uncertain_decline_is_watched_until_the_settlement(code: str) -> None:
    world = World()
    world.open()
    world.result("declined", response_code=code)
    assert world.states() == ("declined_uncertain", "-")
    assert world.incidents() == {"declined_uncertain"}
    assert not world.advice().may_pay_again


def test_kinds_the_profile_does_not_list_are_watched_and_never_reversed() -> None:
    world = World()
    world.open(kind="instalment")
    world.result("no_answer")
    world.connect()
    assert world.states() == ("unresolved", "-")
    assert world.incidents() == {"in_doubt"}
    assert not world.sends()


def test_other_rails_are_refused_until_they_are_configured() -> None:
    with pytest.raises(Rejected) as refused:
        World().open(rail="wallet")
    assert refused.value.code == "rail-not-configured"


def test_a_receipt_for_a_terminal_without_a_printer_makes_no_job() -> None:
    world = World(has_printer=False)
    world.open()
    assert world.result("approved", receipt=RECEIPT, job="j").jobs == ()
    assert not world.state.jobs
