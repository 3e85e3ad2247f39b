"""What the fleet's desk reads: one line for each event, in its language, that cannot steer a terminal."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from agent.envelope import Event, Response, State, is_published
from agent.incident import FACTS
from fleet.words import MAX_DETAILS, TITLES, event_line, response_line, state_line


@pytest.fixture(autouse=True)
def _in_china(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def event(**changes: Any) -> Event:
    usual: dict[str, Any] = {"sn": "T0000001", "fleet": "demo", "epoch": "e", "boot": 3, "ts": 1_790_000_000_000, "clk": "ntp"}
    usual |= {"mono": 3_723_000, "seq": 7, "prev": 3, "type": "reversal.confirmed", "late": False, "d": {}}
    return Event(**(usual | changes))


def test_an_event_is_one_line_in_each_language() -> None:
    confirmed = event(tx="0a1b2c3d-0000", inc="99887766-0000", d={"amount_fen": 10_005, "sends": 2})
    assert event_line(confirmed, "zh") == (
        "2026-09-21 22:13:20  T0000001  #7  冲正成功  100.05元 sends=2  交易 0a1b2c3d  事件号 99887766"
    )
    assert event_line(confirmed, "en") == (
        "2026-09-21 22:13:20  T0000001  #7  reversal accepted  100.05 CNY sends=2  transaction 0a1b2c3d  incident 99887766"
    )


def test_an_event_without_a_date_shows_the_time_since_its_boot_and_a_late_one_says_so() -> None:
    assert event_line(event(ts=None, clk="none", late=True), "zh") == "boot 3 +01:02:03  T0000001  #7  冲正成功  (迟到)"


def test_a_kind_that_has_no_words_shows_its_own_name() -> None:
    assert "reversal.polished" in event_line(event(type="reversal.polished"), "zh")


def test_a_line_stays_one_line_of_bounded_length_whatever_the_terminal_sends() -> None:
    nasty = event(type="x\x1b[2J", tx="\n\r\x9b", d={"text": "a\nb" * 500, "nested": {"a": 1}, "list": [1], "n": None})
    line = event_line(nasty, "en")
    assert line.isprintable()
    assert len(line) < MAX_DETAILS + 100


def test_a_date_beyond_the_calendar_is_no_error() -> None:
    assert f"{2**53 - 1} ms" in event_line(event(ts=2**53 - 1), "en")


def test_a_state_is_one_line_too() -> None:
    online = State(sn="T1", fleet="demo", epoch="e", boot=1, ts=None, clk="none", mono=61_000, state="online", session="s")
    assert state_line(online, "zh") == "boot 1 +00:01:01  T1  终端上线"
    assert state_line(online, "en") == "boot 1 +00:01:01  T1  terminal online"


def test_every_kind_that_leaves_a_terminal_has_words_here() -> None:
    assert {kind for kind in FACTS if is_published(kind)} == set(TITLES)


def test_a_word_on_a_command_is_one_line_in_each_language() -> None:
    usual: dict[str, Any] = {"sn": "T0000001", "fleet": "demo", "epoch": "e", "boot": 3, "ts": 1_790_000_000_000, "clk": "ntp"}
    usual |= {"mono": 1, "id": "0a1b2c3d-0000", "name": "recover"}
    done = Response(**usual, seq=7, prev=3, status="done", d={"result": {"state": "unresolved", "amount_fen": 100}})
    assert response_line(done, "zh") == (
        "2026-09-21 22:13:20  T0000001  #7  命令:已执行  再次冲正  state=unresolved 1.00元  命令 0a1b2c3d"
    )
    refused = Response(**usual, status="rejected", d={"why": "clock-untrusted"})
    assert response_line(refused, "en") == (
        "2026-09-21 22:13:20  T0000001  command rejected  reverse again  "
        "its clock is not trusted: nothing that moves money is taken  command 0a1b2c3d"
    )
    at_work = Response(**usual, status="running")
    assert "命令:执行中" in response_line(at_work, "zh")
