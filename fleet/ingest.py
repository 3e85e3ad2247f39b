"""Takes messages from the broker, commits them, and only then acknowledges: to the broker, and to the terminals.

Killed at any point it loses nothing. Before the commit the broker still holds the messages, or, when it lost them, the
terminals do; after the commit but before the acknowledgement they come again and are recognised.
"""

import time
from collections.abc import Callable
from typing import Final

from agent.envelope import (
    RULES,
    Ack,
    Beat,
    Channel,
    EnvelopeError,
    Event,
    Response,
    Snap,
    State,
    as_event,
    encode,
    parse_topic,
    read,
    topic,
)
from fleet.link import Arrived, Link
from fleet.store import Batch, Mark, Rejected, Store

BATCH: Final = 500  # messages in one commit
CHANNELS: Final = (Channel.EV, Channel.RSP, Channel.STATE, Channel.SNAP, Channel.HB)


class Ingest:
    """`say` gets a line for what a person should know: messages that could not be used, gaps."""

    def __init__(self, link: Link, store: Store, say: Callable[[str], None]) -> None:
        self._link, self._store, self._say = link, store, say
        self._gaps: dict[tuple[str, str], int] = {}  # by (sn, epoch): the mark at which a gap was reported
        self.events = 0
        self.terminals: set[str] = set()

    def step(self, timeout_s: float | None) -> bool:
        """One commit's worth; False when nothing came. Raises StorageError, UnavailableError."""
        first = self._link.get(timeout_s)
        if first is None:
            return False
        arrived = [first]
        while len(arrived) < BATCH and (another := self._link.get(0)) is not None:
            arrived.append(another)
        batch = Batch(received_ms=time.time_ns() // 1_000_000)
        for message in arrived:
            self._sort(message, batch)
        marks = self._store.ingest(batch)
        for message in arrived:
            self._link.done(message)
        for mark in marks:
            self._acknowledge(mark)
        self._count(batch)
        return True

    def _sort(self, message: Arrived, batch: Batch) -> None:
        try:
            channel = parse_topic(message.topic).channel
            if channel is Channel.EV:
                batch.events.append(read(message.topic, message.payload, Event))
            elif channel is Channel.RSP:
                response = read(message.topic, message.payload, Response)
                event = as_event(response)
                batch.responses.append(response)
                batch.events += [event] if event is not None else []
            elif channel is Channel.STATE:
                batch.states.append(read(message.topic, message.payload, State))
            elif channel is Channel.SNAP:
                batch.snaps.append(read(message.topic, message.payload, Snap))
            elif channel is Channel.HB:
                batch.beats.append(read(message.topic, message.payload, Beat))
        except EnvelopeError as error:
            self._say(f"{message.topic[:80]}: cannot be used: {error}")
            batch.rejected.append(Rejected(message.topic[:80], str(error), len(message.payload)))

    def _acknowledge(self, mark: Mark) -> None:
        rule = RULES[Channel.ACK]
        body = encode(Ack(epoch=mark.epoch, hwm=mark.hwm))
        self._link.publish(topic(mark.fleet, mark.sn, Channel.ACK), body, rule.expiry_s or 0)
        journal = (mark.sn, mark.epoch)
        if mark.highest > mark.hwm and self._gaps.get(journal) != mark.hwm:
            self._gaps[journal] = mark.hwm
            self._say(f"{mark.sn}: events are missing after entry {mark.hwm} (the latest is {mark.highest})")
        elif mark.highest == mark.hwm and self._gaps.pop(journal, None) is not None:
            self._say(f"{mark.sn}: complete again up to entry {mark.hwm}")

    def _count(self, batch: Batch) -> None:
        self.events += len(batch.events)
        self.terminals.update(event.sn for event in batch.events)
