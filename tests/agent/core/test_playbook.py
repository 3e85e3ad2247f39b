"""What the cashier is told: every row reachable, bound to its customer, short enough for its line, in both languages."""

import re
import string
from typing import Any

import pytest

from agent.core import appevent as a
from agent.core import event as e
from agent.core.accounts import Settled
from agent.core.model import Disposition
from agent.core.payagain import REASONS
from agent.core.playbook import PLAYBOOK
from agent.core.wallets import WalletRule
from tests.agent.core.books import D0, bring, say
from tests.agent.core.books import line as any_line
from tests.agent.core.till import ORDER_NO, Till
from tests.agent.core.world import MERCHANT, RECEIPT, SECOND, World, evidence


def approved(fault: str, level: str, kind: str = "sale") -> World:
    world = World()
    world.open(kind=kind)
    world.result("approved", rrn="123456789012", receipt=RECEIPT, job="r")
    world.finish_job("r", level, fault=fault)
    return world


def doubted(*, void: bool = False, up: bool = False) -> World:
    world = World()
    (world.void if void else world.open)("a", stan="000009")
    world.result("no_answer")
    if up:
        world.connect()
    return world


def _p1() -> World:
    return approved("paper_out", "UNPRINTED")


def _p4c(*, void: bool = False, shown: bool = False) -> World:
    world = doubted(void=void)
    world.at(60 * SECOND)
    world.connect()
    world.reply("25")
    if shown:
        world.do(evidence())
    return world


def _p5(*, void: bool = False, shown: bool = False) -> World:
    world = doubted(void=void, up=True)
    world.reply("94")
    if shown:
        world.do(evidence())
    return world


def _answered(code: str, *, void: bool = False) -> World:
    world = doubted(void=void, up=True)
    world.reply(code)
    return world


def _reversed_by_the_app() -> World:
    world = World(mode="relay")
    world.open()
    world.do(e.AppReversed(transaction="a", reason="98"))
    world.reply("00")
    return world


def _debit_shown() -> World:
    world = doubted()
    world.do(evidence())
    return world


def _declined(kind: str = "sale", code: str = "51") -> World:
    world = World()
    world.open(kind=kind)
    world.result("declined", response_code=code)
    return world


def _opened(*, ask: bool = False) -> World:
    world = World()
    world.open(ask=ask)
    return world


def _settling() -> World:
    world = _opened()
    world.do(e.BatchChanged(batch="000001", what="settling"))
    return world


def _not_sent() -> World:
    world = _opened()
    world.result("not_sent")
    return world


def _resolved() -> World:
    world = _p5()
    row = world.incident("in_doubt")
    world.do(e.IncidentResolved(incident=row.id, transaction="a", resolution="no_action", by="Li"))
    return world


def _no_printer() -> World:
    world = World(has_printer=False)
    world.open()
    world.result("approved")
    return world


def _by_the_app(outcome: str, code: str | None = None) -> World:
    """The app says this by itself; `no_card` is an answer to our request."""
    world = World(mode="payapp", asks_app=True)
    world.open()
    if outcome == "no_card":
        world.result("no_answer")
    world.do(a.AppReported(transaction="a", outcome=outcome, response_code=code))  # type: ignore[arg-type]
    return world


def _triggered() -> World:
    """Transaction a is the one fen that set off the reversal of b."""
    world = World(mode="payapp", asks_app=True)
    world.doubt("b", stan="000009")
    world.open(amount_fen=1)
    world.result("approved", response_code="00")
    return world


def _blank() -> World:
    world = approved("none", "CONFIRMED")
    world.do(e.ReprintAsked(transaction="a", job="r", blank=True))
    return world


def _asked(said: str | None = None, wallet: str = "wechat", **policy: Any) -> Till:
    """An order without a result; what the wallet says of it."""
    till = Till(wallet, **policy)
    till.lose(customer="c1")
    if said is not None:
        till.says(said)
    return till


def _registered() -> Till:
    till = Till()
    till.scan(ask=False)
    return till


def _unclear() -> Till:
    return _asked("not_paid", wallets=(WalletRule(name="wechat", cancel=False, queries_max=1),))


def _proof() -> Till:
    till = _asked("not_paid", release_on_evidence=True)
    till.do(
        evidence("wallet_record", amount_fen=100, order_no=till.order().order_no, merchant=MERCHANT, at="2026-03-02 10:00")
    )
    return till


def _offline() -> Till:
    till = _asked()
    till.fails("not_reached")
    return till


def _late_payment() -> Till:
    till = _asked("closed")
    till.go_to(60 * SECOND)
    till.says("paid")
    return till


def _third_failure() -> Till:
    till = Till("bestpay")
    for key, stan in (("x", "000003"), ("y", "000002"), ("a", "000001")):
        till.scan(key, stan=stan, customer="c1")
        till.result("declined", key)
    return till


def _account() -> Till:
    till = Till("bestpay")
    till.scan()
    till.result("declined", abnormal=True)
    return till
def booked(**more: Any) -> Settled:
    return any_line("000009", **more)


def _compared(*lines: Settled, final: bool = True, **said: str) -> World:
    world = _p5()
    if said:
        say(world, **said)
    bring(world, *lines, days=(D0, D0 + 1, D0 + 2, D0 + 3) if final else (D0,))
    return world


def _perhaps_repeated() -> World:
    world = _p5()
    world.open("b", stan="000010")
    world.result("approved", "b")
    bring(world, booked(), days=(D0, D0 + 1))
    return world


def _void_not_booked() -> World:
    world = _p5(void=True)
    bring(world, days=(D0, D0 + 1, D0 + 2, D0 + 3))
    return world


def _host_has_none() -> World:
    world = _p5(shown=True)
    bring(world, days=(D0, D0 + 1, D0 + 2, D0 + 3))
    return world


def _refunded_by_hand() -> World:
    world = doubted()
    say(world, by_hand="refunded")
    return world


def _order_booked() -> World:
    till = _unclear()
    bring(till, booked(order_no=f"{ORDER_NO}000001", batch=None), covers=("unionpay_qr",))
    return till


SCENES = {
    "P1": _p1,
    "P1v": lambda: approved("cover_open", "UNPRINTED", "void"),
    "P2": lambda: approved("unavailable", "UNPRINTED"),
    "P2v": lambda: approved("silent", "UNKNOWN", "void"),
    "P3": doubted,
    "P3v": lambda: doubted(void=True),
    "P4a": lambda: doubted(up=True),
    "P4b": lambda: _answered("00"),
    "P4c": _p4c,
    "P4d": lambda: _answered("00", void=True),
    "P5": _p5,
    "P5v": lambda: _p5(void=True),
    "P6": _debit_shown,
    "P7": lambda: _p5(shown=True),
    "P5w": _unclear,
    "P8": _asked,
    "P9": lambda: _asked("paid"),
    "P10": lambda: _asked("closed"),
    "P11": _proof,
    "P12": lambda: _asked("closed", "bestpay"),
    "P13": _third_failure,
    "P25": _account,
    "P22": _triggered,
    "P18": lambda: approved("unrecoverable", "UNPRINTED"),
    "P21": _reversed_by_the_app,
    "P7a": lambda: _compared(booked(), final=False),
    "P7w": _order_booked,
    "P14": lambda: _compared(booked(), replaced_by="cash"),
    "P14a": _perhaps_repeated,
    "P14b": lambda: _compared(booked(), booked(nth=2)),
    "P14c": lambda: _compared(booked(), goods="returned"),
    "P15": lambda: _compared(booked()),
    "P15a": lambda: _compared(booked(), goods="held"),
    "P16": lambda: _compared(goods="released"),
    "P16a": _compared,
    "P16v": _void_not_booked,
    "P17": _host_has_none,
    "P20": _refunded_by_hand,
    "N6a": lambda: _compared(booked(), goods="released"),
    "P23": _no_printer,
    "P24": _blank,
    "P19": _opened,
    "N1": _opened,
    "N1w": _registered,
    "N2": lambda: _opened(ask=True),
    "N3": lambda: approved("none", "CONFIRMED"),
    "N3v": lambda: approved("none", "CONFIRMED", "void"),
    "N4": _declined,
    "N4v": lambda: _declined("void"),
    "N5": _not_sent,
    "N6": _resolved,
    "N7": _opened,
    "N13": _settling,
    "N8": _offline,
    "N9": _late_payment,
    "N10": lambda: _by_the_app("no_card"),
}
DOUBTFUL = (
    "P3", "P3v", "P4a", "P5", "P5v", "P6", "P7", "P7a", "P14", "P14a", "P15", "P16", "P17", "P20", "N2", "N7", "N13", "P19",
)
PROCEED = {"P19": "refuse", "N13": "refuse", "N7": "wait"}


def test_every_row_of_a_sale_or_a_void_has_a_scene() -> None:
    """Those of other kinds are reached in `test_situations`."""
    assert set(SCENES) == {code for code in PLAYBOOK if not re.fullmatch(r"[PN]\d+[a-d]?[okrp]|P4av|P5[kpr]|N1[124]", code)}


@pytest.mark.parametrize("code", SCENES)
def test_every_row_is_reached(code: str) -> None:
    assert SCENES[code]().advice(proceed=PROCEED.get(code)).code == code


@pytest.mark.parametrize("code", PLAYBOOK)
def test_short_texts_fit_a_line_of_a_display(code: str) -> None:
    row = PLAYBOOK[code]
    clauses = row.zh.split(",")
    assert len(clauses) <= 2
    assert all(1 <= len(clause) <= 10 for clause in clauses), row.zh
    clauses = row.en.split(", ")
    assert len(clauses) <= 2
    assert all(1 <= len(clause) <= 20 for clause in clauses), row.en
    assert row.en.isascii()


@pytest.mark.parametrize("code", PLAYBOOK)
def test_both_languages_are_complete_and_name_the_same_facts(code: str) -> None:
    row = PLAYBOOK[code]
    assert all(row)
    names = {name for text in row for _, name, _, _ in string.Formatter().parse(text) if name}
    assert names <= {"amount", "last4", "rrn", "date", "n", "seconds", "stan", "day", "hotline", "approved", "rest", "kind"}
    assert re.search(r"[一-鿿]", row.zh_long)
    assert not re.search(r"[一-鿿]", row.en_long)


@pytest.mark.parametrize("code", SCENES)
def test_every_prompt_is_bound_to_its_customer_and_fully_written_out(code: str) -> None:
    advice = SCENES[code]().advice(proceed=PROCEED.get(code))
    assert (advice.amount_fen, advice.last4, advice.stan) in {
        (100, "0128", "000001"), (100, "0128", "000009"), (100, "0001", "000001"), (1, "0128", "000001"),
    }
    assert "{" not in advice.zh_long + advice.en_long


@pytest.mark.parametrize("code", [*DOUBTFUL, "P5w", "P8", "P11", "N8", "N9"])
def test_goods_are_held_and_nobody_pays_again_while_the_truth_is_open(code: str) -> None:
    advice = SCENES[code]().advice(proceed=PROCEED.get(code))
    assert advice.hold_goods
    assert not advice.may_pay_again


def test_only_an_approval_releases_goods() -> None:
    assert not SCENES["N3"]().advice().hold_goods
    assert not SCENES["P1"]().advice().hold_goods
    assert SCENES["P4b"]().advice().hold_goods


def test_a_void_never_says_pay_again() -> None:
    for code in ("P4d", "N4v", "P3v", "P5v"):
        assert not SCENES[code]().advice().may_pay_again


def test_a_void_that_came_to_nothing_leaves_the_goods_to_the_original() -> None:
    world = World()
    world.open()
    world.result("approved")
    world.void()
    world.result("declined", "v", response_code="51")
    assert not world.advice("v").hold_goods, "the original was paid"


def test_an_approved_void_says_that_goods_stay() -> None:
    world = World()
    world.void("a")
    world.result("approved")
    assert world.advice().hold_goods


def test_a_text_about_an_earlier_customer_says_so() -> None:
    world = doubted()
    assert "上一位顾客" not in world.advice().zh_long
    world.open("b", stan="000002")
    assert world.advice().zh_long.startswith("上一位顾客(尾号0128)")
    assert world.advice().en_long.startswith("Earlier customer (card …0128)")


@pytest.mark.parametrize("code", SCENES)
def test_every_answer_about_paying_again_has_its_reason(code: str) -> None:
    advice = SCENES[code]().advice(proceed=PROCEED.get(code))
    assert (advice.reason_zh, advice.reason_en) == REASONS[advice.reason]
    assert advice.may_pay_again == (advice.reason in {"declined", "not_sent", "reversed", "no_original", "closed", "risk"})


def test_accepting_the_risk_is_the_only_way_to_pay_again_in_doubt() -> None:
    world = doubted()
    world.do(e.DispositionGiven(transaction="a", disposition=Disposition(accepts_risk=True)))
    assert world.advice().may_pay_again
    assert world.advice().hold_goods


def test_no_text_promises_a_refund_as_done() -> None:
    for row in PLAYBOOK.values():
        assert "已退款" not in "".join(row)
        assert "refunded" not in row.en_long
