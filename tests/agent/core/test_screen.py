"""What a screen is told: every advice means one thing, and what it means can never be more than the advice allows."""

from itertools import product

import pytest

from agent.core import event as e
from agent.core import screen
from agent.core.change import Rejected
from agent.core.playbook import PLAYBOOK, Advice
from agent.core.policy import Policy
from tests.agent.core.books import D0, bring, final, line, say, stuck
from tests.agent.core.world import DAY, World


def advice(code: str, *, hold_goods: bool = True, may_pay_again: bool = False) -> Advice:
    row = PLAYBOOK[code]
    return Advice(code, hold_goods, may_pay_again, row.zh, row.zh_long, row.en, row.en_long, 100, "0128", "000001")


@pytest.mark.parametrize(("code", "hold", "again"), list(product(PLAYBOOK, (True, False), (True, False))))
def test_release_and_again_come_from_the_two_answers_alone(code: str, hold: bool, again: bool) -> None:
    meaning = screen.meaning(advice(code, hold_goods=hold, may_pay_again=again))
    assert (meaning == "release") == (not hold)
    assert (meaning == "again") == (hold and again)


def test_the_codes_that_are_told_apart_exist_and_stand_in_one_list_only() -> None:
    assert screen.WAITING | screen.OVER | set(screen._SAID_BY_CODE) | screen._REPRINT | screen._NOTE <= set(PLAYBOOK)
    assert not screen.WAITING & screen.OVER


@pytest.mark.parametrize("code", ["P3", "P5", "P6", "P7", "P11", "N8", "N9", "N10", "P14", "P16", "P3o", "P3r", "P22"])
def test_what_a_person_must_decide_is_never_shown_as_mere_waiting(code: str) -> None:
    assert screen.meaning(advice(code)) == "hold"


def test_the_largest_words_fit_their_line() -> None:
    for zh, en in screen.MEANINGS.values():
        assert len(zh) <= 5
        assert len(en) <= 12


def said(world: World, key: str = "a") -> tuple[str, str, str]:
    row, shown = world.transaction(key), world.advice(key)
    return (screen.meaning(shown), *screen.for_customer(row, shown))


def test_the_customer_hears_the_amount_and_is_promised_nothing() -> None:
    world = World()
    world.open()
    assert said(world)[:2] == ("wait", "正在核实您的1.00元,请稍等,先不要再付款。")
    world.result("no_answer")
    assert said(world)[0] == "hold"
    world.connect()
    world.reply("00")
    assert said(world) == (
        "again", "刚才的1.00元冲正已受理,到账以发卡行为准;请重新付款。",
        "The reversal of your CNY 1.00 was accepted; your bank decides when it is credited. Please pay again.",
    )
    texts = [text for pair in (*screen._SAID.values(), *screen._SAID_BY_CODE.values(), screen._RISK) for text in pair]
    assert not [text for text in texts if "保证" in text or "一定" in text or "guarantee" in text or "已到账" in text]


def test_a_partial_approval_says_what_is_still_to_be_paid() -> None:
    world = World()
    world.open()
    world.result("approved", response_code="10", approved_fen=60)
    assert said(world)[1] == "刚才付成了0.60元,还差0.40元。"


def test_a_risk_that_was_taken_is_said_and_cannot_be_taken_again() -> None:
    world = stuck()
    assert "risk" in screen.presses(world.state, world.transaction(), world.advice())
    say(world, accepts_risk=True)
    assert said(world)[:2] == ("again", "刚才的1.00元次日对账核实;经店长同意,请换一种方式付款。")
    assert "risk" not in screen.presses(world.state, world.transaction(), world.advice())


def test_reprint_and_note_are_offered_where_the_advice_speaks_of_them() -> None:
    world = stuck()
    assert "guarantee" in screen.presses(world.state, world.transaction(), world.advice())
    without = stuck()
    without.do(e.Configured(policy=Policy(has_printer=False)))
    assert "guarantee" not in screen.presses(without.state, without.transaction(), without.advice())
    paid = World()
    paid.open()
    paid.result("approved", response_code="00")
    assert screen.presses(paid.state, paid.transaction(), paid.advice()) == ("goods", "replaced", "evidence")


# ── yesterday, and that somebody has read it ─────────────────────────────────────────────────────────────────────────


def acknowledge(world: World, code: str, by: str = "07") -> None:
    world.do(e.Acknowledged(transaction="a", code=code, by=by))


def test_a_doubt_of_today_is_not_yesterdays_until_the_day_is_over() -> None:
    world = stuck()
    assert not screen.of_yesterday(world.state, world.transaction())
    world.at(DAY)
    world.do(e.DeadlinePassed())
    assert screen.of_yesterday(world.state, world.transaction())


def test_a_doubt_that_still_runs_is_todays_however_old_it_is() -> None:
    world = World()
    world.doubt()
    world.at(DAY)
    world.do(e.DeadlinePassed())
    assert not screen.of_yesterday(world.state, world.transaction())


def test_without_a_clock_an_earlier_boot_is_yesterday() -> None:
    world = World(wall_ms=None)
    world.doubt()
    world.connect()
    world.reply("94")
    assert world.states() == ("unresolved", "refused")
    assert not screen.of_yesterday(world.state, world.transaction())
    world.boot(new=True)
    assert screen.of_yesterday(world.state, world.transaction())


@pytest.mark.parametrize(
    ("goods", "lines", "code"), [("held", (line(),), "P15a"), ("released", (), "P16")], ids=["P15a", "P16"]
)
def test_what_the_settlement_files_leave_is_yesterdays_and_is_acknowledged(goods: str, lines: tuple, code: str) -> None:
    world = stuck()
    say(world, goods=goods)
    final(world, *lines)
    assert world.advice().code == code
    assert screen.of_yesterday(world.state, world.transaction())
    opened = world.incident("in_doubt")
    acknowledge(world, code)
    assert world.transaction().acknowledged == code
    assert world.facts[-1].type == "transaction.acknowledged"
    assert world.facts[-1].data == {"code": code, "by": "07"}
    assert world.incident("in_doubt") == opened, "to have read it closes nothing"
    assert world.advice().code == code


def test_it_is_acknowledged_once_however_often_it_is_said() -> None:
    world = stuck()
    acknowledge(world, "P5")
    before = len(world.facts)
    acknowledge(world, "P5", by="08")
    assert len(world.facts) == before


def test_nobody_acknowledges_what_they_have_not_read() -> None:
    world = stuck()
    bring(world, line(), days=(D0,))
    assert world.advice().code == "P7a"
    with pytest.raises(Rejected) as refused:
        acknowledge(world, "P5")
    assert (refused.value.status, refused.value.code) == (409, "advice-changed")
    assert world.transaction().acknowledged is None


def test_an_advice_that_changes_is_there_to_be_read_again() -> None:
    world = stuck()
    acknowledge(world, "P5")
    say(world, goods="released")
    final(world)
    assert world.advice().code == "P16"
    assert world.transaction().acknowledged != "P16"


def test_what_runs_or_is_over_leaves_nothing_to_acknowledge() -> None:
    for world, code in ((World(), "P3"), (World(), "N3")):
        world.open()
        world.result("no_answer" if code == "P3" else "approved", **({} if code == "P3" else {"response_code": "00"}))
        with pytest.raises(Rejected) as refused:
            acknowledge(world, code)
        assert refused.value.code == "nothing-left-open"

