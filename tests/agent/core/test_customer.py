"""What the customer is shown: the newest transaction's own words, short enough for the glass, and never money twice."""

import re

import pytest

from agent.core import event as e
from agent.core.customer import COLUMNS, Shown, shown
from agent.core.customertexts import CUSTOMER, Line
from agent.core.kinds import Family
from agent.core.model import Disposition
from agent.core.playbook import PLAYBOOK
from agent.wording import FAMILIES, says
from tests.agent.core import test_playbook, test_situations
from tests.agent.core.world import SECOND, World, evidence

LINES = {code: line for code, line in CUSTOMER.items() if line is not None}
RELEASES_GOODS, PAY_AGAIN, CREDITED, PROMISED = FAMILIES
SCENES = test_playbook.SCENES


def told(world: World) -> Shown:
    """What is shown; something is."""
    found = shown(world.state)
    assert found is not None
    return found


# ── the words ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_advice_has_its_words_for_the_customer_or_says_that_it_has_none() -> None:
    assert set(CUSTOMER) == set(PLAYBOOK)


@pytest.mark.parametrize("code", LINES)
def test_every_text_fits_its_line_in_both_languages(code: str) -> None:
    line = LINES[code]
    assert bool(line.again_zh) == bool(line.again_en)
    for text in filter(None, (line.zh, line.again_zh)):
        assert 1 <= len(text.encode("gbk")) <= COLUMNS, text
        assert re.search(r"[一-鿿]", text)
    for text in filter(None, (line.en, line.again_en)):
        assert 1 <= len(text) <= COLUMNS, text
        assert text.isascii()
        assert text.isprintable()


@pytest.mark.parametrize("code", LINES)
def test_only_the_words_kept_for_it_ask_for_money_again_and_none_promise_credit_or_release(code: str) -> None:
    line = LINES[code]
    for text in (line.zh, line.en):
        assert not says(PAY_AGAIN, text), text
    for text in line:
        assert not any(says(family, text) for family in (RELEASES_GOODS, CREDITED, PROMISED)), text


def test_the_words_that_ask_again_belong_to_what_can_be_paid_again() -> None:
    asking = {code for code, line in LINES.items() if line.again_zh}
    assert asking == {
        "P4b", "P21", "P4bo", "P4c", "P4co", "N4", "N4o", "N5", "N5o", "P10", "P12", "P13", "P25",
    }


# ── whose they are ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", SCENES)
def test_every_advice_of_the_playbook_reaches_the_display_in_its_own_words(code: str) -> None:
    world = SCENES[code]()
    state = world.state
    newest = max(state.transactions.values(), key=lambda row: row.number)
    advice = world.advice(newest.id)
    found, line = shown(state), CUSTOMER[advice.code]
    if line is None:
        assert found is None
        return
    assert found is not None
    assert (found.transaction, found.code) == (newest.id, advice.code)
    again = advice.may_pay_again and line.again_zh != ""
    assert (found.zh[0], found.en[0]) == ((line.again_zh, line.again_en) if again else (line.zh, line.en))
    assert all(len(text.encode("gbk")) <= COLUMNS for text in (*found.zh, *found.en))


@pytest.mark.parametrize(("of", "name"), test_situations.PAIRS)
def test_nothing_asks_for_money_again_unless_the_advice_allows_it(of: Family, name: str) -> None:
    world = test_situations.SCENES[name](test_situations.KIND[of])
    found = shown(world.state)
    if found is not None and not world.advice().may_pay_again:
        asking = {text for line in LINES.values() for text in (line.again_zh, line.again_en) if text}
        assert not asking & {found.zh[0], found.en[0]}


def test_words_that_ask_again_are_unreachable_while_paying_again_is_not_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a row of the table is wrong: the second pair of texts is only looked at when the core says it is safe."""
    monkeypatch.setitem(CUSTOMER, "P3", Line("待冲正", "Wait", "请重新刷卡", "Pay again"))
    world = World()
    world.doubt()
    assert (told(world).zh[0], told(world).en[0]) == ("待冲正", "Wait")
    world.do(e.DispositionGiven(transaction="a", disposition=Disposition(accepts_risk=True)))
    assert told(world).zh[0] == "请重新刷卡"


def test_the_story_of_a_reversal_as_the_customer_reads_it() -> None:
    world = World()
    assert shown(world.state) is None
    world.open(ask=False)
    assert told(world).zh == ("请按提示操作", "1.00元         *0128")
    world.ask()
    assert told(world).zh == ("处理中,请稍候", "1.00元         *0128")
    world.result("no_answer")
    assert (told(world).zh[0], told(world).lasting) == ("待冲正,请勿重复付款", True)
    world.connect()
    assert told(world).zh[0] == "冲正中,请勿再刷卡"
    world.lose_line()
    assert told(world).zh[0] == "待冲正,请勿重复付款", "the line changes it, without an event of the transaction"
    world.connect()
    world.go_to(world.now_ms + 61 * SECOND)
    world.reply("00")
    assert told(world).zh == ("冲正成功,请重新刷卡", "1.00元         *0128")
    assert told(world).en == ("Reversed, pay again", "RMB 1.00       *0128")
    assert not told(world).lasting


def test_an_earlier_customers_news_is_never_shown_once_another_transaction_has_opened() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.reply("96")
    world.open("b", stan="000002", amount_fen=250, last4="9999", ask=False)
    assert told(world).transaction == "b"
    world.go_to(world.now_ms + 200 * SECOND)
    world.reply("00")
    assert world.states("a") == ("reversed", "accepted")
    assert told(world).zh == ("请按提示操作", "2.50元         *9999"), "a may be paid again; b's customer must not read it"


def test_after_a_restart_a_transaction_that_is_over_is_not_shown_and_one_in_doubt_is() -> None:
    world = World(has_printer=False)  # so that no slip keeps it in memory
    world.doubt()
    world.state.forget_closed(0)
    world.boot(new=True)
    assert told(world).zh[0] == "待冲正,请勿重复付款"
    world.connect()
    world.go_to(world.now_ms + 61 * SECOND)
    world.reply("00")
    world.state.forget_closed(0)
    assert shown(world.state) is None, "its customer has left"
    world.open("b", stan="000002", ask=False)
    assert told(world).transaction == "b"


def test_a_doubtful_earlier_transaction_does_not_take_the_place_of_a_newer_one_that_was_forgotten() -> None:
    world = World()
    world.doubt()
    world.open("b", stan="000002", amount_fen=200, ask=False)
    world.result("not_sent", "b")
    world.state.forget_closed(0)
    assert "b" not in world.state.transactions
    assert "a" in world.state.transactions
    assert shown(world.state) is None


def test_a_debit_message_changes_nothing_about_not_paying_again() -> None:
    world = World()
    world.doubt()
    world.do(evidence())
    assert told(world).zh[0] == "结果核实中,请稍候"


@pytest.mark.parametrize(
    ("amount_fen", "last4", "zh", "en"),
    [
        (1, "0128", "0.01元         *0128", "RMB 0.01       *0128"),
        (123_456, "0128", "1234.56元      *0128", "RMB 1234.56    *0128"),
        (100, None, "1.00元", "RMB 1.00"),
        (999_999_999_999, "0128", "9999999999.99元*0128", "9999999999.99  *0128"),
    ],
)
def test_amount_and_last_four_digits_stand_at_the_two_ends(amount_fen: int, last4: str | None, zh: str, en: str) -> None:
    world = World()
    world.open(amount_fen=amount_fen, last4=last4, ask=False)
    assert (told(world).zh[1].rstrip(), told(world).en[1].rstrip()) == (zh, en)
    assert len(zh.encode("gbk")) <= COLUMNS
