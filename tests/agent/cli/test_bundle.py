"""`bundle`: one page for the service desk, from the journal alone, masked, in both languages and both formats."""

from pathlib import Path

import pytest

from agent import exits
from agent.core import event as e
from agent.core.model import Disposition, Evidence
from agent.core.wallets import DEFAULTS
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


ORDER_NO = "2026030210000001"


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("zh", (
            f"微信 {ORDER_NO}:结果未知;查询 1 次", "钱包账单 1.00元", "货已交付, 改付现金", "迟到应答 批准 F39=00",
        )),
        ("en", (
            f"WeChat Pay {ORDER_NO}: ", "wallet record CNY 1.00", "goods released, paid in cash", "late answer approved F39=00",
        )),
    ],
)
def test_of_a_wallets_order_it_names_the_order_what_was_shown_and_where_the_goods_went(
    tmp_path: Path, lang: str, words: tuple[str, ...]
) -> None:
    story = Story(tmp_path, wallets=DEFAULTS)
    story.open(
        LOST, stan="000123", rail="wallet", wallet="wechat", order_no=ORDER_NO, last4="0001", masked_pan=None, card_hmac=None,
        vault=None, entry_mode=None, sequence=None,
    )
    story.result("no_answer", LOST)
    story.do(e.EvidenceGiven(transaction=LOST, evidence=Evidence(
        kind="wallet_record", amount_fen=100, order_no=ORDER_NO, at="\x1b[2J10:00", merchant=f"shop {PAN}",
    )))
    story.result("approved", LOST, response_code="00")
    story.do(e.DispositionGiven(transaction=LOST, disposition=Disposition(goods="released", replaced_by="cash")))
    story.close()
    said = say(story.config, "bundle", "000123", "--format", "text", "--output", "-", "--lang", lang, clock=story.clock)
    assert said.code == exits.DONE, said.err
    for text in words:
        assert text in said.out, text
    assert said.out.count(ORDER_NO) == 3
    assert (PAN in said.out, "\x1b" in said.out) == (False, False)


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
