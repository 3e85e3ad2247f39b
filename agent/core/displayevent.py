"""Events of the customer display: what can be seen of it from this end of the cable, and a technician's test."""

from agent.core.happening import Happening


class DisplaySeen(Happening, frozen=True):
    """Whether the display can be written to. `fault` "mute" is as good as it gets: it takes what is sent."""

    fault: str


class DisplayTestAsked(Happening, frozen=True):
    """A person asks for the test pattern."""


DisplayEvent = DisplaySeen | DisplayTestAsked
