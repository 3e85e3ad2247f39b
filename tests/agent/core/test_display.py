"""The display as a device: its fault is a technician's case and closes by itself; a test never covers a customer's news."""

import pytest

from agent.core.change import Rejected, ShowTest
from agent.core.displayevent import DisplaySeen, DisplayTestAsked
from tests.agent.core.world import World, with_policy


def shop() -> World:
    return World(has_display=True)


@pytest.mark.parametrize("fault", ["unavailable", "offline", "port_held", "port_denied", "wrong_device"])
def test_a_fault_is_the_technicians_case_and_closes_by_itself(fault: str) -> None:
    world = shop()
    world.do(DisplaySeen(fault=fault))
    incident = world.incident("display", None)
    assert (incident.open, incident.owner, incident.next_action) == (True, "technician", "check_display")
    world.do(DisplaySeen(fault="mute"))
    assert world.incidents() == set()
    assert world.incident("display", None).resolution == "display_back"
    assert [fact.data["fault"] for fact in world.told("display.state")] == [fault, "mute"]


def test_one_fault_after_the_other_is_one_incident_and_the_same_again_is_no_news() -> None:
    world = shop()
    for fault in ("port_held", "unavailable", "unavailable"):
        world.do(DisplaySeen(fault=fault))
    assert len(world.state.incidents) == 1
    assert len(world.told("display.state")) == 2


def test_a_fault_from_before_a_restart_closes_when_the_display_is_found_again() -> None:
    world = shop()
    world.do(DisplaySeen(fault="unavailable"))
    world.boot(new=True)
    assert world.incidents() == {"display"}, "it was not found again yet"
    assert world.state.display.fault == "unknown"
    world.do(DisplaySeen(fault="mute"))
    assert world.incidents() == set()


def test_nobody_waits_for_a_display_that_was_taken_out_of_the_configuration() -> None:
    world = shop()
    world.do(DisplaySeen(fault="unavailable"))
    with_policy(world, has_display=False)
    assert world.incidents() == set()
    assert world.incident("display", None).resolution == "not_needed"


def test_the_test_pattern_is_shown_when_no_customer_reads_and_refused_while_one_does() -> None:
    world = shop()
    world.do(DisplayTestAsked())
    assert [effect for effect in world.effects if isinstance(effect, ShowTest)] == [ShowTest()]
    world.doubt()
    with pytest.raises(Rejected) as refused:
        world.do(DisplayTestAsked())
    assert (refused.value.status, refused.value.code) == (409, "display-busy")
    world.connect()
    world.reply("00")
    world.do(DisplayTestAsked())


def test_a_terminal_without_a_display_refuses_the_test() -> None:
    with pytest.raises(Rejected) as refused:
        World().do(DisplayTestAsked())
    assert (refused.value.status, refused.value.code) == (409, "no-display")
