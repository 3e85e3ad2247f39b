"""The refund work item: one per transaction, never beside a reversal, never more than was booked."""

import pytest

from agent.core import event as e
from agent.core.change import Rejected
from agent.core.model import Refund
from tests.agent.core.books import D0, bring, final, line, say, stuck
from tests.agent.core.world import SECOND, World


def item(world: World) -> Refund:
    found = world.transaction().refund
    assert found is not None
    return found


def report(world: World, *, confirmed: bool = False, amount_fen: int | None = None) -> None:
    world.do(e.RefundReported(transaction="a", by="Li", confirmed=confirmed, amount_fen=amount_fen))


def due(**more: object) -> World:
    world = stuck(**more)
    say(world, replaced_by="cash")
    final(world, line())
    return world


def test_it_is_wanted_when_the_files_prove_the_double() -> None:
    world = due()
    assert (item(world).state, item(world).due_fen) == ("wanted", 100)
    assert world.told("settlement.refund")[-1].data["state"] == "wanted"


def test_it_opens_only_with_a_persons_word_and_then_the_reversal_is_fenced() -> None:
    world = due()
    with pytest.raises(Rejected, match="first a person confirms") as refused:
        report(world, amount_fen=100)
    assert refused.value.code == "refund-not-confirmed"
    report(world, confirmed=True)
    assert (item(world).state, item(world).confirmed_by, world.reversal().state) == ("open", "Li", "fenced")
    assert world.incident("in_doubt").next_action == "make_refund"


def test_it_does_not_open_while_a_0400_is_under_way() -> None:
    world = World(sends_per_opportunity=1)
    world.doubt()
    world.connect()
    world.go_to(61 * SECOND)
    assert world.states() == ("unresolved", "sending")
    say(world, replaced_by="cash")
    final(world, line())
    with pytest.raises(Rejected) as refused:
        report(world, confirmed=True)
    assert refused.value.code == "still-reversing"
    assert item(world).state == "wanted"


def test_parts_never_exceed_what_was_booked_and_the_last_one_closes_the_case() -> None:
    world = due()
    report(world, confirmed=True, amount_fen=40)
    with pytest.raises(Rejected) as refused:
        report(world, amount_fen=61)
    assert refused.value.code == "refund-too-large"
    report(world, amount_fen=60)
    assert (item(world).state, item(world).refunded_fen) == ("done", 100)
    assert world.states() == ("resolved", "fenced")
    assert world.incident("in_doubt").resolution == "refunded"
    with pytest.raises(Rejected) as refused:
        report(world, amount_fen=1)
    assert refused.value.code == "no-refund-due"


def test_it_has_one_number_for_ever() -> None:
    world = due()
    number = item(world).number
    bring(world, line(direction="credit", day=D0 + 5), days=(D0 + 5, D0 + 6))
    assert item(world).state == "cancelled"
    bring(world, line(day=D0 + 7), days=(D0 + 7, D0 + 8))
    assert (item(world).state, item(world).number) == ("wanted", number)


def test_a_late_acceptance_of_the_0400_cancels_it() -> None:
    world = due()
    report(world, confirmed=True)
    world.reply("00")
    assert world.states() == ("reversed", "accepted")
    assert item(world).state == "cancelled"
    assert "credited_twice" not in world.incidents()


def test_a_late_acceptance_after_a_part_was_refunded_is_a_second_credit() -> None:
    world = due()
    report(world, confirmed=True, amount_fen=40)
    world.reply("00")
    assert item(world).state == "cancelled"
    assert "credited_twice" in world.incidents()


def test_the_credit_that_the_files_bring_after_all_cancels_it() -> None:
    world = due()
    bring(world, line(direction="credit", day=D0 + 5), days=(D0 + 5, D0 + 6))
    assert (item(world).state, world.transaction().state) == ("cancelled", "resolved")


def test_closing_as_refunded_needs_the_confirmation_and_pays_the_rest() -> None:
    world = due()
    row = world.incident("in_doubt")
    closing = e.IncidentResolved(incident=row.id, transaction="a", resolution="refunded", by="Li")
    with pytest.raises(Rejected) as refused:
        world.do(closing)
    assert refused.value.code == "refund-not-confirmed"
    report(world, confirmed=True, amount_fen=40)
    world.do(closing)
    assert (item(world).state, item(world).refunded_fen, world.transaction().state) == ("done", 100, "resolved")


def test_closing_otherwise_means_that_no_refund_is_made() -> None:
    world = due()
    row = world.incident("in_doubt")
    world.do(e.IncidentResolved(incident=row.id, transaction="a", resolution="written_off", by="Li"))
    assert (item(world).state, world.transaction().state) == ("cancelled", "resolved")


def test_where_nothing_is_due_nothing_can_be_refunded() -> None:
    world = stuck()
    with pytest.raises(Rejected) as refused:
        report(world, confirmed=True, amount_fen=1)
    assert refused.value.code == "no-refund-due"
    with pytest.raises(Rejected) as refused:
        world.do(e.RefundReported(transaction="nobody", by="Li"))
    assert refused.value.status == 404
