"""`reversald gate`: may it be updated, settled, signed off or sent away? With the daemon dead, from the journal."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import exits
from agent.cli.gate import BARRIERS
from agent.core import event as e
from tests.support.story import LOST, Story, everyday, recovered
from tests.support.technician import Said, say

WAYS = sorted(BARRIERS)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """A sale whose reversal is pending; the line is down."""
    made = everyday(tmp_path)
    yield made
    made.close()


def ask(story: Story, what: str, *words: str) -> Said:
    return say(story.config, "gate", what, *words, clock=story.clock)


@pytest.mark.parametrize("what", WAYS)
def test_a_pending_reversal_is_not_yet_for_all_four(what, story):
    said = ask(story, what)
    assert said.code == exits.TRY_LATER
    assert "待冲正 1 笔" in said.out
    assert "流水号 000123  1.00元  状态不明" in said.out
    assert "程序未运行" in said.out, "with the daemon dead nothing will change by itself"
    plain = ask(story, what, "--json", "--lang", "en").value
    assert (plain["gate"], plain["open"], plain["daemon"]) == (what, False, "stopped")
    assert [row["code"] for row in plain["reasons"]] == ["pending"]
    assert plain["reasons"][0]["transactions"][0]["stan"] == "000123"
    assert plain["reasons"][0]["text"].startswith("reversals pending: 1")


@pytest.mark.parametrize("what", WAYS)
def test_a_terminal_with_nothing_pending_may_do_all_four(what, tmp_path):
    story = Story(tmp_path)
    said = ask(story, what)
    assert (said.code, "可以" in said.out) == (exits.DONE, True)
    assert ask(story, what, "--json").value == {"gate": what, "open": True, "daemon": "stopped", "reasons": [], "damaged": []}
    story.close()


@pytest.mark.parametrize("what", WAYS)
def test_a_transaction_whose_answer_is_awaited_is_not_yet(what, tmp_path):
    story = Story(tmp_path)
    story.open(LOST, stan="000123")
    assert [row["code"] for row in ask(story, what, "--json").value["reasons"]] == ["running"]
    story.close()


def test_an_advice_without_an_answer_holds_up_what_ends_its_batch_or_keys(tmp_path):
    story = Story(tmp_path)
    story.open(LOST, stan="000123", kind="offline")
    story.result("no_answer", LOST)
    reasons = {what: [row["code"] for row in ask(story, what, "--json").value["reasons"]] for what in WAYS}
    assert reasons == {"upgrade": [], "settlement": ["repeating"], "signoff": ["repeating"], "repair": ["doubtful"]}
    assert "原样重发" in ask(story, "settlement").out
    story.do(e.ResultReported(transaction=LOST, outcome="approved", response_code="00"))
    assert ask(story, "settlement").code == exits.DONE
    story.close()


def test_what_is_unresolved_holds_up_only_a_terminal_that_goes_away(story):
    story.do(e.BatchChanged(batch="000001", what="settled"))
    story.print_next()  # its fault note
    assert story.state.reversals[LOST].state == "expired"
    assert [ask(story, what).code for what in ("upgrade", "settlement", "signoff")] == [exits.DONE] * 3
    assert "doubtful" in [row["code"] for row in ask(story, "repair", "--json").value["reasons"]]


def test_paper_that_waits_holds_up_a_repair_and_paper_at_the_printer_an_update(tmp_path):
    story = recovered(tmp_path)  # its notice waits for paper
    assert [row["code"] for row in ask(story, "repair", "--json").value["reasons"]] == ["waiting"]
    assert ask(story, "upgrade").code == exits.DONE
    story.do(e.PrinterSeen(fault="none", paper="ok"))
    assert [row["code"] for row in ask(story, "upgrade", "--json").value["reasons"]] == ["printing"]
    story.close()


def test_events_that_the_fleet_does_not_have_hold_up_a_repair_only_where_there_is_a_fleet(tmp_path):
    story = Story(tmp_path)
    assert ask(story, "repair").code == exits.DONE
    with story.config.open("a") as file:
        file.write('[mqtt]\nurl = "mqtt://127.0.0.1:1883"\n')
    assert [row["code"] for row in ask(story, "repair", "--json").value["reasons"]] == ["untold"]
    assert ask(story, "settlement").code == exits.DONE
    story.close()


def test_waiting_ends_as_soon_as_it_may_be_done(story):
    story.connect()
    story.do(e.HostReachable())
    asked = threading.Event()
    said: list[Said] = []

    def wait() -> None:
        asked.set()
        said.append(say(story.config, "gate", "settlement", "--wait", "60"))

    waiting = threading.Thread(target=wait)
    waiting.start()
    asked.wait()
    story.reply("00", LOST)
    waiting.join(30)
    assert said[0].code == exits.DONE


def test_without_a_journal_or_with_another_word_it_says_so(tmp_path):
    config = tmp_path / "reversald.toml"
    config.write_text('[acquirer]\nhost = "127.0.0.1"\n')
    assert say(config, "gate", "upgrade").code == exits.UNAVAILABLE
    assert say(config, "gate", "lunch").code == exits.USAGE
    assert say(config, "gate", "upgrade", "--wait", "-1").code == exits.USAGE
