"""Commands to terminals, each sent again under the same id until its terminal has answered or it has expired.

A terminal acts on an id once and answers a repeat from what it stored, so asking again costs nothing and loses nothing.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import msgspec

from agent.commandform import COMMAND_BYTES_MAX
from agent.envelope import RULES, Channel, Command, EnvelopeError, Response, encode, read, topic
from fleet.errors import OrderError
from fleet.link import Arrived, Link
from fleet.signing import Signer

AT_ONCE: Final = 200  # terminals with a command on the way
AGAIN_S: Final = 5.0
TICK_S: Final = 0.2
RESTARTS_MAX: Final = 2  # of a job whose earlier commands were forgotten at the terminal

Order = tuple[str, dict[str, Any]]


class Outcome(msgspec.Struct, frozen=True):
    """How a terminal's job ended: the last response, None when there was none in time."""

    sn: str
    status: Literal["done", "rejected", "silent"]
    response: Response | None


class _Job(msgspec.Struct):
    sn: str
    orders: list[Order]
    at: int = 0
    restarts: int = 0
    command: Command | None = None
    due_s: float = 0.0
    ends_s: float = 0.0
    heard: Response | None = None


class Dispatch:
    """One fleet's commands. `heard` is told every response, also those that are not the last."""

    def __init__(
        self, link: Link, signer: Signer, fleet: str, valid_s: float, heard: Callable[[Response], None] = lambda _response: None
    ) -> None:
        self._link, self._signer, self._fleet, self._valid_s, self._heard = link, signer, fleet, valid_s, heard
        self._jobs: dict[str, _Job] = {}

    def run(self, jobs: dict[str, list[Order]], told: Callable[[], object] = lambda: False) -> Iterator[Outcome]:
        """Each terminal's orders one after the other, many terminals at once; a job ends with its first that is not done.

        Ends early once `told` is true. Raises OrderError for what cannot be sent, UnavailableError.
        """
        waiting = deque(_Job(sn, orders) for sn, orders in jobs.items() if orders)
        while (waiting or self._jobs) and not told():
            while waiting and len(self._jobs) < AT_ONCE:
                job = waiting.popleft()
                self._next(job)
                self._jobs[job.sn] = job
            self._send_due()
            message = self._link.get(TICK_S)
            while message is not None:
                yield from self._take(message)
                message = self._link.get(0)
            yield from self._silent()

    def _next(self, job: _Job) -> None:
        name, args = job.orders[job.at]
        try:
            job.command = self._signer.command(self._fleet, job.sn, name, args, self._valid_s)
            size = len(encode(job.command))
        except EnvelopeError as error:
            raise OrderError(f"{name}: {error}") from None
        if size > COMMAND_BYTES_MAX:
            raise OrderError(f"{name}: {size} bytes are more than the {COMMAND_BYTES_MAX} that a command may have")
        job.due_s, job.ends_s = 0.0, time.monotonic() + self._valid_s

    def _send_due(self) -> None:
        if not self._link.connected:
            return
        now_s = time.monotonic()
        for job in self._jobs.values():
            if job.due_s <= now_s and job.command is not None:
                job.due_s = now_s + AGAIN_S
                send(self._link, job.command)

    def _take(self, message: Arrived) -> Iterator[Outcome]:
        self._link.done(message)
        try:
            response = read(message.topic, message.payload, Response)
        except EnvelopeError:
            return  # not from a terminal of ours; who watches is told
        job = self._jobs.get(response.sn)
        if job is None or job.command is None or job.command.id != response.id:
            return
        job.heard = response
        self._heard(response)
        if response.status == "done" and job.at + 1 < len(job.orders):
            job.at += 1
            self._next(job)
        elif response.status == "rejected" and response.d.get("why") == "statement-interrupted" and job.restarts < RESTARTS_MAX:
            job.at, job.restarts = 0, job.restarts + 1
            self._next(job)
        elif response.status in {"done", "rejected"}:
            del self._jobs[job.sn]
            yield Outcome(job.sn, response.status, response)

    def _silent(self) -> Iterator[Outcome]:
        now_s = time.monotonic()
        for job in [job for job in self._jobs.values() if job.ends_s <= now_s]:
            del self._jobs[job.sn]
            yield Outcome(job.sn, "silent", job.heard)


def send(link: Link, command: Command) -> None:
    """Once, with where and under what the answer is awaited."""
    expiry_s = RULES[Channel.CMD].expiry_s or 0
    where, answer = topic(command.fleet, command.sn, Channel.CMD), topic(command.fleet, command.sn, Channel.RSP)
    link.publish(where, encode(command), expiry_s, reply_to=answer, correlation=command.id.encode())
