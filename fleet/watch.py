"""Prints what terminals say, one line at a time, as it comes. Keeps nothing and acknowledges nothing to terminals."""

from collections.abc import Callable
from typing import Final

from agent.envelope import Channel, EnvelopeError, Event, Response, State, encode, parse_topic, read
from fleet.link import Arrived, Link
from fleet.words import Lang, event_line, response_line, state_line

CHANNELS: Final = (Channel.EV, Channel.RSP, Channel.STATE)


class Watch:
    """`show` gets the lines; `say` what went wrong."""

    def __init__(self, link: Link, show: Callable[[str], None], say: Callable[[str], None], lang: Lang, as_json: bool) -> None:
        self._link, self._show, self._say, self._lang, self._json = link, show, say, lang, as_json
        self.shown = 0

    def step(self, timeout_s: float | None) -> None:
        """Show one message, if one comes. Raises UnavailableError."""
        message = self._link.get(timeout_s)
        if message is not None:
            try:
                line = self._line(message)
            except EnvelopeError as error:
                self._say(f"{message.topic[:80]}: cannot be used: {error}")
            else:
                self._show(line)
                self.shown += 1
            self._link.done(message)

    def _line(self, message: Arrived) -> str:
        channel = parse_topic(message.topic).channel
        if channel is Channel.RSP:
            response = read(message.topic, message.payload, Response)
            return encode(response).decode() if self._json else response_line(response, self._lang)
        if channel is Channel.EV:
            event = read(message.topic, message.payload, Event)
            return encode(event).decode() if self._json else event_line(event, self._lang)
        state = read(message.topic, message.payload, State)
        return encode(state).decode() if self._json else state_line(state, self._lang)
