"""Defects seen in shipped terminal apps, each played against the real agent over real sockets."""

import contextlib
import os
import resource
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import PATIENT, Agent
from tests.support.app import until
from tests.support.host import Host
from tests.support.terminal import LOST_MS, transact

Make = Callable[..., Agent]


def lose(agent: Agent, host: Host, stan: str, amount_fen: int = 100) -> str:
    """A sale that the host books and whose answer is lost; its id, already in doubt."""
    host.order(set={"0200": "drop-reply"})
    status, sale = agent.app.open(stan, amount_fen)
    assert (status, sale["proceed"]) == (201, "go"), sale
    assert transact(host.port, stan, amount_fen, timeout_ms=LOST_MS) is None
    status, answer = agent.app.result(sale["id"], "no_answer")
    assert (status, answer["state"]) == (200, "in_doubt")
    return str(sale["id"])


def detail(agent: Agent, key: str) -> dict[str, Any]:
    """Everything about a transaction."""
    found: dict[str, Any] = agent.app.get(f"/v1/transactions/{key}")
    return found


def incidents(agent: Agent) -> dict[str, dict[str, Any]]:
    """Open incidents by code."""
    return {item["code"]: item for item in agent.app.get("/v1/incidents?open=true")["items"]}


@pytest.mark.parametrize("code", ["51", "05", "91", "0A", "Z9"])
def test_T1_an_answer_other_than_00_does_not_delete_the_record(code: str, patient: Agent, host: Host) -> None:
    host.order(scenario={"0400": [code]})
    key = lose(patient, host, "000401")
    until(lambda: patient.app.state(key) == "reversed")
    assert len(host.requests("0400")) == 2
    assert host.net_debit_fen("000401") == 0


@pytest.mark.parametrize("ahead_ms", [86_400_000, -20_000_000_000, None])
def test_T2_a_record_of_another_calendar_day_is_kept_and_sent(ahead_ms: int | None, agent: Agent, host: Host) -> None:
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000402")
    agent.kill()
    host.order(clear=True)
    agent.power_on(ahead_ms)
    until(lambda: agent.app.state(key) == "reversed")
    assert host.net_debit_fen("000402") == 0


def test_T3_the_record_outlives_the_retry_limit_with_an_incident(agent: Agent, host: Host) -> None:
    host.order(scenario={"0400": ["drop-request"] * 4})
    key = lose(agent, host, "000403")
    until(lambda: detail(agent, key)["reversal"]["state"] == "exhausted" or detail(agent, key)["reversal"]["sends"] > 3)
    found = incidents(agent)["in_doubt"]
    assert (found["owner"], found["next_action"]) == ("operator", "decide_and_compare_settlement")
    assert detail(agent, key)["advice"]["code"] in {"P5", "P4b"}
    until(lambda: agent.app.state(key) == "reversed")
    assert host.net_debit_fen("000403") == 0
    assert "in_doubt" not in incidents(agent)


def test_T4_a_sale_that_could_not_be_saved_does_not_go_out(agent: Agent, host: Host) -> None:
    assert agent.process is not None
    unlimited = resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))  # not a byte more fits into any file
    with contextlib.suppress(OSError):
        status, answer = agent.app.open("000431")
        assert status >= 500
        assert answer.get("proceed") != "go"
    agent.kill()
    agent.start()
    assert "000431" not in {entry["data"].get("stan") for entry in agent.journal()}
    status, answer = agent.app.open("000431")
    assert (status, answer["proceed"]) == (201, "go"), "the number was never used"


def test_T5_a_new_doubt_takes_nothing_from_the_earlier_one(agent: Agent, host: Host) -> None:
    host.order(set={"0400": "drop-request"})
    first = lose(agent, host, "000432")
    until(lambda: detail(agent, first)["reversal"]["state"] == "exhausted")
    second = until(lambda: agent.app.open("000433")[1].get("proceed") == "go" and agent.key_of("000433"))
    assert transact(host.port, "000433", 100, timeout_ms=LOST_MS) is None
    agent.app.result(second, "no_answer")
    agent.kill()
    agent.start()
    assert agent.app.get("/v1/status")["pending_reversals"] == 2
    host.order(clear=True)
    until(lambda: {agent.app.state(first), agent.app.state(second)} == {"reversed"})
    assert (host.net_debit_fen("000432"), host.net_debit_fen("000433")) == (0, 0)


def test_T6_what_never_got_go_is_proved_not_sent_and_what_got_it_is_on_disk(agent: Agent, host: Host) -> None:
    _, held = agent.app.open("000434", sent=False)
    agent.kill()
    agent.start()
    assert agent.app.state(held["id"]) == "not_sent"
    _, sale = agent.app.open("000435")
    agent.kill()  # the very moment after its go
    assert transact(host.port, "000435", 100) == "00", "the app sends, and dies with the power"
    agent.power_on()
    until(lambda: agent.app.state(sale["id"]) == "reversed")
    assert host.net_debit_fen("000435") == 0
    assert {row["stan"] for row in host.requests("0400")} == {"000435"}


def test_T8_half_a_write_after_a_crash_costs_nothing_that_was_told(agent: Agent, host: Host) -> None:
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000436")
    agent.kill()
    with Path(f"{agent.database}-wal").open("ab") as wal:
        wal.write(os.urandom(2_500))  # a page that was being written when the power went
    agent.start()
    host.order(clear=True)
    until(lambda: agent.app.state(key) == "reversed")
    assert host.net_debit_fen("000436") == 0
    assert agent.cli("verify").returncode == 0


@pytest.mark.parametrize(("fault", "timers", "sends"), [("cross", {"reply_timeout_ms": 2_000}, 2), ("stray", PATIENT, 1)])
def test_T7_a_reply_for_another_transaction_settles_nothing(
    fault: str, timers: dict[str, int], sends: int, make_agent: Make, host: Host
) -> None:
    agent = make_agent(host.port, recovery=timers).start()
    host.order(scenario={"0400": [fault]})
    key = lose(agent, host, "000407")
    until(lambda: agent.app.state(key) == "reversed")
    assert "crossed_reply" in incidents(agent)
    assert len(host.requests("0400")) == sends
    assert host.net_debit_fen("000407") == 0


def test_T9_a_host_that_always_says_25_is_asked_once_more_and_then_believed(make_agent: Make, host: Host) -> None:
    agent = make_agent(host.port, recovery=PATIENT | {"no_original_after_ms": 1_000}).start()
    _, sale = agent.app.open("000409")
    assert agent.app.result(sale["id"], "no_answer")[1]["state"] == "in_doubt"
    until(lambda: agent.app.state(sale["id"]) == "no_original")
    assert len(host.requests("0400")) == 2
    assert detail(agent, sale["id"])["advice"]["code"] == "P4c"


def test_T10_a_new_sale_waits_until_the_pending_reversal_had_its_turn(agent: Agent, host: Host) -> None:
    host.order(set={"0400": "delay:250"})
    key = lose(agent, host, "000410")
    host.order(set={"0200": "ok"})
    status, second = agent.app.open("000411", sent=True)
    assert (status, second["state"], second["proceed"], second["advice"]["code"]) == (201, "intent", "wait", "N7")

    def go() -> bool:
        return bool(agent.app.call("POST", f"/v1/transactions/{second['id']}/sent")[1].get("proceed") == "go")

    until(go)
    assert agent.app.state(key) == "reversed"


def test_T10_a_new_sale_is_refused_while_the_line_is_proved_down(agent: Agent, host: Host) -> None:
    host.order(set={"0200": "drop-reply"})
    _, sale = agent.app.open("000412")
    assert transact(host.port, "000412", 100, timeout_ms=LOST_MS) is None
    host.order(refuse=True, cut=True)
    agent.app.result(sale["id"], "no_answer")
    _, second = agent.app.open("000413", sent=False)

    def refused() -> Any:
        answer = agent.app.call("POST", f"/v1/transactions/{second['id']}/sent")[1]
        return answer["proceed"] == "refuse" and answer

    answer = until(refused)
    assert (answer["state"], answer["advice"]["code"]) == ("intent", "P19")


def test_T11_a_record_that_cannot_be_packed_is_kept_for_a_technician(agent: Agent, host: Host) -> None:
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000414")
    agent.kill()
    vault = agent.folder / "vault.key"
    vault.write_text("00" * 32)
    agent.start()
    until(lambda: detail(agent, key)["reversal"]["state"] == "refused")
    found = incidents(agent)
    assert found["in_doubt"]["next_action"] == "check_profile"
    assert found["unpackable"]["owner"] == "technician"
    assert agent.app.state(key) == "unresolved"


def test_T12_a_settlement_clears_no_record(agent: Agent, host: Host) -> None:
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000437")
    until(lambda: detail(agent, key)["reversal"]["state"] == "exhausted")
    for event, batch in (("settling", "000001"), ("settled", "000001"), ("changed", "000002")):
        assert agent.app.call("POST", "/v1/batch", {"batch": batch, "event": event})[0] == 200
    agent.kill()
    agent.start()
    assert (agent.app.state(key), detail(agent, key)["reversal"]["state"]) == ("unresolved", "expired")
    assert incidents(agent)["in_doubt"]["next_action"] == "compare_settlement"


def test_T13_codes_are_compared_whole(agent: Agent, host: Host) -> None:
    _, sale = agent.app.open("000415")
    status, problem = agent.app.result(sale["id"], "approved", response_code="0A")
    assert (status, problem["type"]) == (400, "urn:reversald:problem:code-contradicts-outcome")
    assert agent.app.state(sale["id"]) == "sent"


def test_T14_an_update_keeps_the_queue_and_begins_a_new_chapter_of_the_journal(make_agent: Make, host: Host) -> None:
    agent = make_agent(host.port).start()
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000419")
    agent.kill()
    with contextlib.closing(sqlite3.connect(agent.database)) as database:  # as if an older program had written it, without sums
        changed = "body = CAST(json_set(body, '$.version', '0.0.1') AS BLOB), crc = NULL"
        database.execute(f"UPDATE singles SET {changed} WHERE id = 'agent'")
        database.execute("UPDATE journal SET roll = NULL")
        database.commit()
    agent.start()
    host.order(clear=True)
    until(lambda: agent.app.state(key) == "reversed")
    until(lambda: any(entry["type"] == "journal.checkpoint" for entry in agent.journal()))
    agent.stop()
    verified = agent.cli("verify")
    assert verified.returncode == 0, verified.stdout


def test_T15_a_reversal_that_failed_blocks_no_later_sale(make_agent: Make, host: Host) -> None:
    agent = make_agent(host.port, recovery={"backoff_min_ms": 60_000, "backoff_max_ms": 60_000, "spacing_ms": 60_000}).start()
    host.order(set={"0400": "96"})
    key = lose(agent, host, "000416")
    until(lambda: detail(agent, key)["reversal"]["state"] == "exhausted")
    assert agent.app.state(key) == "unresolved"
    host.order(set={"0200": "ok"})
    status, second = agent.app.open("000417")
    assert (status, second["proceed"]) == (201, "go")
    assert transact(host.port, "000417", 100) == "00"
    assert agent.app.approve(second["id"])[1]["state"] == "approved"
    assert detail(agent, key)["reversal"]["state"] == "exhausted"


def test_T16_no_original_while_the_late_request_is_still_on_its_way_is_not_believed(make_agent: Make, host: Host) -> None:
    agent = make_agent(host.port, recovery={"no_original_after_ms": 3_000}).start()
    host.order(set={"0200": "late:2000"})
    _, sale = agent.app.open("000418")
    assert transact(host.port, "000418", 100, timeout_ms=LOST_MS) is None
    agent.app.result(sale["id"], "no_answer")
    until(lambda: host.requests("0400"))
    assert agent.app.state(sale["id"]) in {"in_doubt", "reversing"}
    assert not detail(agent, sale["id"])["advice"]["may_pay_again"]
    until(lambda: agent.app.state(sale["id"]) == "reversed")
    assert host.net_debit_fen("000418") == 0


def test_T16_a_late_approval_reopens_a_reversal_that_ended_as_no_original(make_agent: Make, host: Host) -> None:
    agent = make_agent(host.port).start()
    _, sale = agent.app.open("000419")
    agent.app.result(sale["id"], "no_answer")
    until(lambda: agent.app.state(sale["id"]) == "no_original")
    assert transact(host.port, "000419", 100) == "00"
    status, answer = agent.app.result(sale["id"], "approved", response_code="00")
    assert (status, answer["type"]) == (409, "urn:reversald:problem:in-doubt")
    until(lambda: agent.app.state(sale["id"]) == "reversed")
    assert host.net_debit_fen("000419") == 0


def test_a_key_refusal_waits_for_a_sign_in_and_sends_the_same_stan_again(agent: Agent, host: Host) -> None:
    host.order(scenario={"0400": ["A0"]})
    key = lose(agent, host, "000420")
    until(lambda: "sign_in_needed" in incidents(agent))
    assert agent.app.call("POST", "/v1/terminal", {"event": "signed_in"})[0] == 200
    until(lambda: agent.app.state(key) == "reversed")
    assert {row["stan"] for row in host.requests("0400")} == {"000420"}
    assert "sign_in_needed" not in incidents(agent)


@pytest.mark.parametrize("fault", ["duplicate", "half", "close", "reset", "bad-mac", "no-mac", "drop-reply"])
def test_whatever_the_line_does_to_the_answer_the_customer_gets_the_money_back(fault: str, agent: Agent, host: Host) -> None:
    host.order(scenario={"0400": [fault]})
    key = lose(agent, host, "000421")
    until(lambda: agent.app.state(key) == "reversed")
    assert host.net_debit_fen("000421") == 0


def test_every_defect_is_played_here() -> None:
    played = {name.split("_")[1] for name in globals() if name.startswith("test_T")}
    assert played == {f"T{number}" for number in range(1, 17)}
