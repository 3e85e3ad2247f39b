"""The customer display as a device: its faults become incidents, and a test pattern never covers what a customer reads."""

from msgspec.structs import replace

from agent.core import customer, incidents
from agent.core.change import Decision, Rejected, ShowTest
from agent.core.displayevent import DisplaySeen, DisplayTestAsked
from agent.core.state import State

MUTE = "mute"  # it takes what is sent; what is lit on it, only a person can see
READY = frozenset({MUTE, "unknown"})


def seen(state: State, event: DisplaySeen) -> None:
    """It can be written to, or not and why."""
    if state.display.fault == event.fault:
        return
    state.put(replace(state.display, fault=event.fault))
    state.tell("display.state", fault=event.fault)
    if event.fault not in READY:
        incidents.open_one(state, "display", None, "technician", "check_display")
    else:
        _close(state, "display_back")


def booted(state: State) -> None:
    """A new process knows nothing of it yet; where there is none any more, nobody waits for it."""
    if state.display.fault != "unknown":
        state.put(replace(state.display, fault="unknown"))
    if not state.agent.policy.has_display:
        _close(state, "not_needed")


def _close(state: State, resolution: str) -> None:
    for row in state.incidents_by_age("display"):
        incidents.close(state, row, resolution)


def test(state: State, _event: DisplayTestAsked) -> Decision:
    """The test pattern, unless a customer is being told something about their money."""
    if not state.agent.policy.has_display:
        raise Rejected(409, "no-display", "this terminal has no customer display")
    told = customer.shown(state)
    if told is not None and told.lasting:
        raise Rejected(409, "display-busy", "a customer is reading about a payment: try again when it is over")
    state.tell("display.test", fault=state.display.fault)
    state.do(ShowTest())
    return Decision()
