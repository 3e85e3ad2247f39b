"""`bundle`: one page for the service desk, from the journal alone, masked, in both languages and both formats."""

from pathlib import Path

import pytest

from agent import exits
from agent.core import event as e
from agent.core.model import Evidence
from tests.support.story import LOST, PAN, Story, recovered
from tests.support.technician import say


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """A sale that was in doubt and reversed; the customer had shown a debit message with a mark in it."""
    made = recovered(tmp_path)
    made.do(e.EvidenceGiven(transaction=LOST, evidence=Evidence(kind="debit_sms", amount_fen=100, at="<b>10:00")))
    made.close()
    return made


ASKED = ["12345678", "898310148160001", "000001", "000123", "622202*********0128", "T0000001", "F39=00"]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_answers_what_a_service_desk_asks(story: Story, lang: str) -> None:
    said = say(story.config, "bundle", "000123", "--format", "text", "--output", "-", "--lang", lang, clock=story.clock)
    assert said.code == exits.DONE, said.err
    for text in [*ASKED, "1.00元" if lang == "zh" else "CNY 1.00", "P4b", f"{story.store.seq}:{story.store.hash.hex()}"]:
        assert text in said.out, text
    assert PAN not in said.out


def test_as_html_everything_that_people_typed_is_escaped(story: Story, tmp_path: Path) -> None:
    path = tmp_path / "case.html"
    said = say(story.config, "bundle", "000123", "--output", str(path), "--json", clock=story.clock)
    assert (said.code, said.value["format"]) == (exits.DONE, "html")
    page = path.read_text()
    assert page.startswith("<!doctype html>")
    assert "&lt;b&gt;10:00" in page
    assert "<b>" not in page
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_is_replaced_only_when_asked(story: Story, tmp_path: Path) -> None:
    path = tmp_path / "case.html"
    path.write_text("mine")
    assert say(story.config, "bundle", "000123", "--output", str(path), clock=story.clock).code == exits.USAGE
    assert path.read_text() == "mine"
    assert say(story.config, "bundle", "000123", "--output", str(path), "--force", clock=story.clock).code == exits.DONE


def test_what_is_not_there_or_looks_like_a_card_is_refused(story: Story) -> None:
    assert say(story.config, "bundle", "999999", "--output", "-", clock=story.clock).code == exits.USAGE
    said = say(story.config, "bundle", PAN, "--output", "-", clock=story.clock)
    assert (said.code, PAN in said.err) == (exits.USAGE, False)
