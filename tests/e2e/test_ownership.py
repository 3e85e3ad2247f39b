"""What the agent does not own, over real sockets: the MAC in the app's PIN pad, the app's line, the keys, and two hosts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.test_defects import detail, incidents, lose
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.forwarder import Forwarder
from tests.support.host import Host
from tests.support.lender import Lender
from tests.support.terminal import transact

Make = Callable[..., Agent]


@pytest.fixture
def lender() -> Iterator[Lender]:
    """The app's own port."""
    made = Lender()
    yield made
    made.stop()


@pytest.fixture
def pin_pad(make_agent: Make, host: Host, lender: Lender) -> Agent:
    """An agent without a key: the app makes every MAC."""
    made = make_agent(host.port, mac={"source": "payapp"}, payapp={"url": lender.url})
    (made.folder / "mac.key").unlink()
    return made.start()


def test_without_a_mac_service_nothing_is_sent_and_nothing_used_up(pin_pad: Agent, host: Host, lender: Lender) -> None:
    lender.mac = "gone"
    key = lose(pin_pad, host, "000802")
    until(lambda: "mac_service" in incidents(pin_pad))
    assert detail(pin_pad, key)["reversal"]["sends"] == 0
    host.order(set={"0200": "ok"})
    status, second = pin_pad.app.open("000803")
    assert (status, second["proceed"]) == (201, "go"), "nobody waits for it"
    assert transact(host.port, "000803", 100) == "00"
    pin_pad.app.approve(second["id"])
    assert host.requests("0400") == []
    lender.mac = "good"
    until(lambda: pin_pad.app.state(key) == "reversed")
    assert (len(host.requests("0400")), host.net_debit_fen("000802"), host.net_debit_fen("000803")) == (1, 0, 100)
    assert "mac_service" not in incidents(pin_pad)
    assert [body["data"][:4] for body in lender.asked("mac")][-2:] == ["0400", "0410"], "made, then checked"
    assert {body["algorithm"] for body in lender.asked("mac")} == {"unionpay-ecb"}


def test_0410_A0_then_the_app_is_asked_to_sign_in_and_the_same_stan_goes_with_a_new_mac(
    pin_pad: Agent, host: Host, lender: Lender
) -> None:
    good, lender.key = lender.key, "11" * 16
    key = lose(pin_pad, host, "000804")
    until(lambda: lender.asked("sign-in"))
    assert pin_pad.app.state(key) == "reversing"
    lender.key = good
    assert pin_pad.app.call("POST", "/v1/terminal", {"event": "signed_in"})[0] == 200
    until(lambda: pin_pad.app.state(key) == "reversed")
    assert {row["stan"] for row in host.requests("0400")} == {"000804"}
    assert host.net_debit_fen("000804") == 0
    signed = [body["data"] for body in lender.asked("mac") if body["data"].startswith("0400")]
    assert len(signed) >= 2
    assert len(set(signed)) == 1, "the message is the same, only its MAC is made anew"


# ── the app's line ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def leasing(make_agent: Make, host: Host, lender: Lender) -> Agent:
    """An agent that sends only on the app's line."""
    timers = {"reply_timeout_ms": 3_000}
    return make_agent(host.port, acquirer={"line": "lease"}, payapp={"url": lender.url}, recovery=timers).start()


def test_the_line_is_taken_for_the_send_and_given_back_after_it_and_at_a_stop(leasing: Agent, host: Host, lender: Lender) -> None:
    key = lose(leasing, host, "000811")
    until(lambda: leasing.app.state(key) == "reversed")
    until(lambda: lender.actions()[-1:] == ["release"])
    assert lender.actions() == ["acquire", "release"]
    host.order(set={"0400": "drop-request"})
    lose(leasing, host, "000814")
    until(lambda: len(host.requests("0400")) == 2)
    assert lender.held
    assert leasing.stop() == 0
    assert not lender.held


def test_a_refused_line_is_a_line_that_is_down(leasing: Agent, host: Host, lender: Lender) -> None:
    lender.line = "refused"
    key = lose(leasing, host, "000812")
    until(lambda: leasing.app.get("/v1/status")["line"] == "down")
    assert (host.requests("0400"), detail(leasing, key)["reversal"]["sends"]) == ([], 0)
    lender.line = "granted"
    until(lambda: leasing.app.state(key) == "reversed")
    assert len(host.requests("0400")) == 1


def test_a_line_taken_back_in_mid_send_counts_as_closed_and_the_reversal_goes_again(
    leasing: Agent, host: Host, lender: Lender
) -> None:
    lender.lease_ms = 1_000
    host.order(scenario={"0400": ["delay:2500"]})
    key = lose(leasing, host, "000813")
    until(lambda: host.requests("0400"))
    lender.line = "refused"
    until(lambda: leasing.app.get("/v1/status")["line"] == "down")
    assert detail(leasing, key)["reversal"]["sends"] == 1
    lender.line = "granted"
    until(lambda: leasing.app.state(key) in {"reversed", "unresolved"})
    assert host.net_debit_fen("000813") == 0


# ── two hosts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fail_over_to_a_backup_host_in_mid_reversal_sends_the_same_message(make_agent: Make, host: Host) -> None:
    primary, backup = Forwarder(host.port), Forwarder(host.port)
    primary.mode = "swallow"
    agent = make_agent(primary.port, acquirer={"backup_host": "127.0.0.1", "backup_port": backup.port}).start()
    host.order(set={"0400": "drop-request"})
    key = lose(agent, host, "000821")
    until(lambda: primary.frames)
    primary.refuse()
    until(lambda: backup.frames)
    host.order(clear=True)
    until(lambda: agent.app.state(key) == "reversed")
    assert {row["stan"] for row in host.requests("0400")} == {"000821"}
    assert host.net_debit_fen("000821") == 0
    assert [entry["data"]["host"] for entry in agent.journal() if entry["type"] == "line.host"] == ["backup"]
    first, second = primary.frames[0], next(frame for frame in backup.frames if frame[13:15] == b"\x04\x00")
    assert len(first) == len(second)
    assert first[:-8] == second[:-8], "the same STAN and the same fields: reason 98 as long as nobody answered"
    backup.refuse()


def test_a_host_that_takes_messages_and_keeps_silent_is_left_for_the_other(make_agent: Make, host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "silent"
    folder.mkdir()
    silent = Host(folder)
    silent.order(set={"0400": "drop-request"})
    agent = make_agent(silent.port, acquirer={"backup_host": "127.0.0.1", "backup_port": host.port}).start()
    try:
        key = lose(agent, host, "000822")
        until(lambda: agent.app.state(key) == "reversed")
        assert len(silent.requests("0400")) == 2
        assert host.net_debit_fen("000822") == 0
    finally:
        silent.stop()
