"""Each invariant refuses the row that breaks it."""

from typing import Any

import pytest
from msgspec.structs import replace

from agent.core import invariant
from tests.agent.core.world import SECOND, World


def reversing() -> World:
    world = World()
    world.doubt()
    world.connect()
    return world


def refused(world: World) -> str:
    with pytest.raises(AssertionError) as error:
        invariant.check(world.state)
    return str(error.value)


BROKEN_TRANSACTIONS: list[tuple[dict[str, Any], str]] = [
    ({"state": "approved"}, "an approved transaction has a reversal"),
    ({"state": "reversed"}, "without an accepted 0400"),
    ({"state": "sent", "due_ms": None}, "without a deadline"),
    ({"state": "nowhere"}, "transaction state"),
    ({"amount_fen": 0}, "amount"),
    ({"state": "declined"}, "keeps secrets"),
]


@pytest.mark.parametrize(("values", "message"), BROKEN_TRANSACTIONS)
def test_a_broken_transaction_is_refused(values: dict[str, Any], message: str) -> None:
    world = reversing()
    world.state.put(replace(world.transaction(), **values))
    assert message in refused(world)


BROKEN_REVERSALS: list[tuple[dict[str, Any], str]] = [
    ({"state": "nowhere"}, "reversal state"),
    ({"fields": {"11": "000002", "4": "000000000100"}}, "another STAN"),
    ({"fields": {"11": "000001", "4": "000000000200"}}, "another amount"),
    ({"due_ms": None}, "without a deadline"),
    ({"state": "pending", "due_ms": None}, "nothing will wake"),
    ({"sends": 0}, "not counted"),
    ({"sends_left": -1}, "sends left"),
    ({"state": "accepted"}, "keeps its secrets"),
]


@pytest.mark.parametrize(("values", "message"), BROKEN_REVERSALS)
def test_a_broken_reversal_is_refused(values: dict[str, Any], message: str) -> None:
    world = reversing()
    world.state.put(replace(world.reversal(), **values))
    assert message in refused(world)


def test_two_reversals_in_flight_are_refused() -> None:
    world = reversing()
    world.doubt("b", stan="000002", ask=False)
    world.state.put(replace(world.reversal("b"), state="sending", sends=1))
    assert "two reversals in flight" in refused(world)


def test_a_send_without_a_connection_is_refused() -> None:
    world = reversing()
    world.state.put(replace(world.state.line, connected=False))
    world.state.put(world.reversal())
    assert "without a connection" in refused(world)


def test_doubt_without_a_reversal_or_an_incident_is_refused() -> None:
    world = World()
    world.open()
    world.state.put(replace(world.transaction(), state="in_doubt", due_ms=None))
    assert "without a pending reversal" in refused(world)
    world = World()
    world.open()
    world.state.put(replace(world.transaction(), state="unresolved", due_ms=None))
    assert "without an open incident" in refused(world)


def test_an_open_incident_names_an_owner_and_a_next_action() -> None:
    world = reversing()
    world.state.put(replace(world.incident("in_doubt"), next_action=""))
    assert "owner or next action" in refused(world)


def test_a_change_that_tells_nothing_is_refused() -> None:
    world = reversing()
    world.state.put(world.state.agent)
    assert "nothing was told" in refused(world)


def test_a_step_that_breaks_an_invariant_leaves_no_trace() -> None:
    world = reversing()
    world.go_to(SECOND)
    before = world.all_rows()
    mark = world.state.mark()
    world.state.put(replace(world.transaction(), state="approved"))
    world.state.rollback(mark)
    assert world.all_rows() == before
