"""What was approved and then voided or refunded: the goods are held as long as that may be true, and the words say why."""

import pytest

from agent.core import event as e
from agent.core.model import Disposition, Original
from agent.core.screen import meaning
from agent.core.undoing import UNDOINGS_MAX
from tests.agent.core.world import MINUTE, World

PAIRS = [("sale", "void"), ("sale", "refund"), ("preauth", "preauth_void"), ("completion", "completion_void")]
ORIGINAL = Original("000001", "000001", "0302")


def approved(kind: str = "sale", **more: object) -> World:
    """An approved payment of this kind, with the host in reach."""
    world = World()
    world.connect()
    world.open(kind=kind, original=ORIGINAL if kind == "completion" else None)
    world.result("approved", response_code="00", **more)
    return world


def undo(world: World, kind: str = "void", key: str = "v", stan: str = "000002") -> None:
    world.open(key, stan=stan, kind=kind, original=ORIGINAL)


def held(world: World) -> bool:
    """True when goods are held for a reason that the cashier is told."""
    advice = world.advice("a")
    assert advice.hold_goods == (advice.code == "N14") == (meaning(advice) == "hold") == (advice.reason == "undone")
    assert not advice.may_pay_again
    return advice.hold_goods


@pytest.mark.parametrize(("kind", "by"), PAIRS)
def test_what_was_voided_or_refunded_releases_no_goods_any_more(kind: str, by: str) -> None:
    world = approved(kind)
    assert not held(world)
    undo(world, by)
    assert held(world), "its answer may be an approval"
    world.result("approved", "v", response_code="00")
    assert held(world)


@pytest.mark.parametrize(("kind", "by"), PAIRS)
def test_what_came_to_nothing_leaves_the_goods_to_the_payment(kind: str, by: str) -> None:
    world = approved(kind)
    undo(world, by)
    world.result("declined", "v", response_code="51")
    assert not held(world)


@pytest.mark.parametrize(("kind", "by"), [pair for pair in PAIRS if pair[1] != "refund"])
def test_a_void_in_doubt_holds_the_goods_until_its_reversal_is_accepted(kind: str, by: str) -> None:
    world = approved(kind)
    undo(world, by)
    world.result("no_answer", "v")
    assert held(world)
    world.reply("00", "v")
    assert not held(world)
    assert world.advice("v").code == "P4d"
    assert not world.advice("v").hold_goods


def test_a_void_that_was_not_undone_holds_the_goods() -> None:
    world = approved()
    undo(world)
    world.result("no_answer", "v")
    world.reply("94", "v")
    assert world.transaction("v").state == "unresolved"
    assert held(world)


def test_a_second_void_that_is_declined_does_not_say_that_the_payment_stands() -> None:
    world = approved()
    undo(world)
    world.result("approved", "v", response_code="00")
    undo(world, key="w", stan="000003")
    world.result("declined", "w", response_code="25")
    assert held(world)
    assert world.advice("w").hold_goods
    assert "仍有效" not in world.advice("w").zh_long
    assert "stands" not in world.advice("w").en_long


def test_of_two_voids_each_counts_for_itself() -> None:
    world = approved()
    undo(world)
    world.result("no_answer", "v")
    world.reply("94", "v")
    undo(world, key="w", stan="000003")
    world.result("approved", "w", response_code="00")
    world.reply("00", "v")
    assert world.transaction("v").state == "reversed"
    assert held(world), "the second one undid it"


def test_a_void_that_was_taken_for_not_sent_and_is_approved_all_the_same_counts() -> None:
    world = approved()
    world.open("v", stan="000002", kind="void", original=ORIGINAL, ask=False)
    world.go_to(11 * MINUTE)
    assert world.transaction("v").state == "not_sent"
    assert not held(world)
    undo(world, key="w", stan="000003")
    world.result("declined", "w", response_code="51")
    assert not held(world)
    world.result("approved", "v", response_code="00")
    assert held(world)


def test_those_that_came_to_nothing_are_not_kept_for_ever() -> None:
    world = approved()
    for number in range(2, 3 * UNDOINGS_MAX):
        undo(world, key=f"v{number}", stan=f"{number:06d}")
        world.result("declined", f"v{number}", response_code="51")
        assert len(world.transaction().undoings) <= UNDOINGS_MAX
    assert not held(world)


def test_no_more_are_kept_than_the_limit_and_the_goods_are_held_all_the_same() -> None:
    world = approved()
    for number in range(2, 3 * UNDOINGS_MAX):
        undo(world, "refund", key=f"v{number}", stan=f"{number:06d}")
        world.result("no_answer", f"v{number}")
    assert len(world.transaction().undoings) == UNDOINGS_MAX
    assert held(world)


def test_a_declined_void_of_a_partial_approval_does_not_release_what_the_payment_itself_holds() -> None:
    world = World()
    world.open()
    world.result("approved", response_code="10", approved_fen=40)
    world.void()
    world.result("declined", "v", response_code="51")
    assert world.advice("a").code == "N11"
    assert world.advice("v").hold_goods


def test_the_rest_of_a_partial_approval_is_not_paid_by_what_was_voided() -> None:
    world = World()
    world.open()
    world.result("approved", response_code="10", approved_fen=40)
    world.open("b", stan="000002", amount_fen=60)
    world.result("approved", "b", response_code="00")
    world.do(e.DispositionGiven(transaction="a", disposition=Disposition(replaced_by="b")))
    assert not world.advice("a").hold_goods
    world.open("v", stan="000003", kind="void", original=Original("000001", "000002"))
    assert world.advice("a").hold_goods
    assert world.advice("a").code == "N11"


def test_voids_that_name_each_other_say_nothing_of_goods() -> None:
    world = World()
    world.void("v", stan="000001")
    world.result("approved", "v", response_code="00")
    world.void("w")
    world.result("declined", "w", response_code="51")
    assert world.advice("v").hold_goods
    assert world.advice("w").hold_goods
