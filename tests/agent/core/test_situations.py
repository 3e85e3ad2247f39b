"""Advice by kind and situation: every pair of the table is reached in a world of its own, and its two answers protect money."""

import pytest

from agent.core import event as e
from agent.core.appevent import AppReported
from agent.core.change import Rejected
from agent.core.kinds import NAMES, RELEASES, Family, family
from agent.core.model import Disposition, Original
from agent.core.playbook import PLAYBOOK
from agent.core.profile import UNIONPAY_KINDS, Kind
from agent.core.screen import meaning
from agent.core.situations import ADVICE, MEANING, situation
from tests.agent.core.world import RECEIPT, SECOND, World, evidence

KIND: dict[Family, str] = {
    "sale": "sale", "undo": "completion_void", "preauth": "preauth", "completion": "completion", "refund": "refund",
    "advice": "offline", "inquiry": "balance", "watched": "instalment",
}
# Only a sale of one fen is ever a trigger.
PAIRS = [(each, name) for each in ADVICE for name in MEANING if each == "sale" or name != "trigger"]


def opened(kind: str, in_doubt: str = "reverse", *, ask: bool = True, **policy: object) -> World:
    """A world in which this kind's doubt means this."""
    kinds = (Kind(name=kind, in_doubt=in_doubt), *UNIONPAY_KINDS)  # type: ignore[arg-type]
    world = World(kinds=kinds, **policy)
    world.open(stan="000009", kind=kind, ask=ask, original=Original("000001", "000001", "1231"))
    return world


def doubted(kind: str, in_doubt: str = "reverse", *, up: bool = False) -> World:
    world = opened(kind, in_doubt)
    world.result("no_answer")
    if up:
        world.connect()
    return world


def no_original(kind: str) -> World:
    world = doubted(kind)
    world.at(60 * SECOND)
    world.connect()
    world.reply("25")
    return world


def answered(kind: str, code: str) -> World:
    world = doubted(kind, up=True)
    world.reply(code)
    return world


def shown(world: World) -> World:
    world.do(evidence())
    return world


def by_app(kind: str) -> World:
    world = opened(kind, mode="relay")
    world.do(e.AppReversed(transaction="a", reason="98"))
    world.reply("00")
    return world


def by_hand(kind: str) -> World:
    world = opened(kind, mode="payapp", asks_app=True)
    world.result("no_answer")
    world.do(AppReported(transaction="a", outcome="no_card"))
    return world


def trigger(_kind: str) -> World:
    world = World(mode="payapp", asks_app=True)
    world.doubt("b", stan="000009")
    world.open(amount_fen=1)
    world.result("approved", response_code="00")
    return world


def approved(kind: str, *, fault: str = "none", level: str = "CONFIRMED", **more: object) -> World:
    world = opened(kind)
    world.result("approved", rrn="123456789012", receipt=RECEIPT, job="r", **more)
    world.finish_job("r", level, fault=fault)
    return world


def blank(kind: str) -> World:
    world = approved(kind)
    world.do(e.ReprintAsked(transaction="a", job="r", blank=True))
    return world


def no_printer(kind: str) -> World:
    world = opened(kind, has_printer=False)
    world.result("approved")
    return world


def undone(kind: str) -> World:
    world = approved(kind)
    world.open("v", stan="000124", kind="void", original=Original("000001", "000009"))
    return world


def declined(kind: str, code: str) -> World:
    world = opened(kind)
    world.result("declined", response_code=code)
    return world


def not_sent(kind: str) -> World:
    world = opened(kind, ask=False)
    world.result("not_sent")
    return world


def settling(kind: str) -> World:
    world = opened(kind, "watch", ask=False)
    world.do(e.BatchChanged(batch="000001", what="settling"))
    return world


def resolved(kind: str) -> World:
    world = doubted(kind, "watch")
    row = world.incident("in_doubt")
    world.do(e.IncidentResolved(incident=row.id, transaction="a", resolution="no_action", by="Li"))
    return world


SCENES = {
    "intent": lambda kind: opened(kind, ask=False),
    "intent_wait": lambda kind: opened(kind, ask=False),
    "intent_refuse": lambda kind: opened(kind, ask=False),
    "intent_settling": settling,
    "sent": opened,
    "in_doubt": doubted,
    "in_doubt_shown": lambda kind: shown(doubted(kind)),
    "by_hand": by_hand,
    "repeat": lambda kind: doubted(kind, "repeat"),
    "reversing": lambda kind: doubted(kind, up=True),
    "reversed": lambda kind: answered(kind, "00"),
    "reversed_by_app": by_app,
    "no_original": no_original,
    "no_original_shown": lambda kind: shown(no_original(kind)),
    "unresolved": lambda kind: answered(kind, "94"),
    "unresolved_shown": lambda kind: shown(answered(kind, "94")),
    "unresolved_watched": lambda kind: doubted(kind, "watch"),
    "approved": approved,
    "approved_paper": lambda kind: approved(kind, fault="paper_out", level="UNPRINTED"),
    "approved_fault": lambda kind: approved(kind, fault="unavailable", level="UNPRINTED"),
    "approved_broken": lambda kind: approved(kind, fault="unrecoverable", level="UNPRINTED"),
    "approved_blank": blank,
    "approved_no_printer": no_printer,
    "trigger": trigger,
    "approved_partial": lambda kind: approved(kind, response_code="10", approved_fen=40),
    "approved_confirm": lambda kind: approved(kind, response_code="A2"),
    "undone": undone,
    "declined": lambda kind: declined(kind, "51"),
    "declined_uncertain": lambda kind: declined(kind, "91"),
    "not_sent": not_sent,
    "resolved": resolved,
}
PAYS = {"sale", "preauth", "completion", "watched"}
PROCEED = {"intent_wait": "wait", "intent_refuse": "refuse", "intent_settling": "refuse"}
OPEN = {
    "sent", "by_hand", "in_doubt", "in_doubt_shown", "repeat", "reversing", "unresolved", "unresolved_shown",
    "unresolved_watched", "declined_uncertain",
}


def test_every_family_has_a_word_for_every_situation_and_every_advice_is_somebodys() -> None:
    assert set(SCENES) == set(MEANING)
    assert all(set(row) == set(MEANING) for row in ADVICE.values())
    assert {code for row in ADVICE.values() for code in row.values()} <= set(PLAYBOOK)
    assert {family(kind) for kind in KIND.values()} == set(ADVICE)


@pytest.mark.parametrize(("of", "name"), PAIRS)
def test_every_pair_is_reached(of: Family, name: str) -> None:
    world = SCENES[name](KIND[of])
    assert situation(world.state, world.transaction(), PROCEED.get(name)) == name
    advice = world.advice(proceed=PROCEED.get(name))
    assert advice.code == ADVICE[of][name]
    assert "{" not in advice.zh_long + advice.en_long


@pytest.mark.parametrize(("of", "name"), PAIRS)
def test_goods_go_and_customers_pay_again_only_where_that_is_safe(of: Family, name: str) -> None:
    advice = SCENES[name](KIND[of]).advice()
    paid = name.startswith("approved") and name != "approved_partial"  # nor "trigger" or "undone"
    assert advice.hold_goods == (of not in RELEASES or not paid)
    payable = {"declined", "not_sent", "reversed", "reversed_by_app", "no_original"}
    if of in PAYS:
        assert advice.may_pay_again == (name in payable)
    else:
        assert advice.may_pay_again == (of == "advice" and name == "declined")
    assert not (name in OPEN and (advice.may_pay_again or not advice.hold_goods))


@pytest.mark.parametrize("kind", NAMES)
def test_a_kind_is_called_by_its_name_in_both_languages(kind: str) -> None:
    advice = doubted(kind, "repeat").advice()
    assert NAMES[kind][0] in advice.zh_long
    assert NAMES[kind][1] in advice.en_long


def test_an_answered_balance_inquiry_is_no_money_received() -> None:
    advice = approved("balance").advice()
    assert (advice.hold_goods, advice.may_pay_again, advice.reason) == (True, False, "not_a_payment")
    assert "收到" not in advice.zh_long
    assert "received" not in advice.en_long
    assert meaning(advice) == "done"


def test_a_kind_nobody_knows_is_called_by_its_own_name() -> None:
    assert "lottery" in doubted("lottery", "watch").advice().zh_long


def test_goods_go_after_a_partial_approval_once_the_rest_was_paid_by_other_means() -> None:
    world = SCENES["approved_partial"]("sale")
    assert world.advice().hold_goods
    assert "0.60元" in world.advice().zh_long
    world.do(e.DispositionGiven(transaction="a", disposition=Disposition(replaced_by="none")))
    assert world.advice().hold_goods
    world.do(e.DispositionGiven(transaction="a", disposition=Disposition(replaced_by="cash")))
    assert not world.advice().hold_goods


def test_the_rest_is_not_paid_by_a_payment_that_is_not_paid_and_nothing_replaces_itself() -> None:
    world = SCENES["approved_partial"]("sale")
    world.open("b", stan="000124", amount_fen=60)
    for named in ("a", "b"):
        with pytest.raises(Rejected) as refused:
            world.do(e.DispositionGiven(transaction="a", disposition=Disposition(replaced_by=named)))
        assert (refused.value.status, refused.value.code) == (409, "no-replacement")
        assert world.advice().hold_goods
    world.result("approved", "b", response_code="00")
    world.do(e.DispositionGiven(transaction="a", disposition=Disposition(replaced_by="b")))
    assert not world.advice().hold_goods
    world = doubted("sale", "reverse")
    with pytest.raises(Rejected, match="itself"):
        world.do(e.DispositionGiven(transaction="a", disposition=Disposition(replaced_by="a")))
    world.open("v", stan="000125", kind="void", original=Original("000001", "000001"))
    with pytest.raises(Rejected, match="pays for nothing"):
        world.do(e.DispositionGiven(transaction="a", disposition=Disposition(replaced_by="v")))


@pytest.mark.parametrize("kind", ["refund", "void", "offline"])
def test_no_accepted_risk_makes_a_payment_of_what_is_none(kind: str) -> None:
    world = doubted(kind, "watch")
    world.do(e.DispositionGiven(transaction="a", disposition=Disposition(accepts_risk=True)))
    assert not world.advice().may_pay_again
