"""The payment app behind the relay: it only speaks to the host, through the agent, and knows nothing of the local API.

A connection lives in one life of the agent; what was on it when the agent ends is gone. With the fault `own` the app
reverses by itself what stayed without an answer, up to three times, and then forgets it as shipped apps do.
"""

from typing import TYPE_CHECKING, NamedTuple

from agent.core.change import Decision, Rejected
from agent.core.event import AnswerForwarded, AppReversed, Event, HostReply, RelayAnswered, ResultReported
from tests.sim.app import ANSWER_MS, MERCHANT, App
from tests.sim.attempt import Attempt
from tests.sim.kinds import APPROVALS

if TYPE_CHECKING:
    from tests.sim.world import World

HOLD_MS = 10_000
LATE_MS = 60_000  # so long the relay hears late answers
PATIENT_MS = 100_000  # a terminal that wrongly waits longer than the agent does
OWN_MAX = 3
TRIES_MAX = 5  # of keeping an answer with the disk full


class Own(NamedTuple):
    """One try of the app's own 0400."""

    epoch: int
    attempt: Attempt
    reason: str
    tries: int = 1
    life: int = 0
    code: str = ""
    said: tuple[str, str] | tuple[None, None] = (None, None)  # the host's day and time


class Terminal(App):
    """Its attempts go `_ask` (held) → `_go` → `_leave` → `_arrived` → `_heard` (the relay) → `_terminal_hears`."""

    def __init__(self, world: "World", size: int) -> None:
        super().__init__(world, size)
        self.connection = 1
        if world.faults.slow or (self.tills.anew and self.tills.chance() < 0.5):
            self.answer_ms = PATIENT_MS

    def die(self, *, reboot: bool) -> None:
        """Its connection ends with it."""
        if self.current is not None:
            self._close(self.current)
        elif self.tills.anew:
            self._hang_up()
        super().die(reboot=reboot)

    # ── held ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _ask(self, value: tuple[int, Attempt]) -> None:
        epoch, attempt = value
        if epoch != self.epoch:
            return
        world, machine = self.world, self.world.machine
        if attempt.life is None:
            attempt.life, attempt.connection = machine.life, self.connection
        if not machine.up or attempt.life != machine.life or attempt.batch != self.tills.batch_no(attempt.terminal):
            self._close(attempt)
            self._failed(attempt)
            return
        answer = machine.submit(self._question(attempt))
        if isinstance(answer, str | Rejected):  # nothing is forwarded that could not be kept
            self._failed(attempt)
            return
        attempt.opened = True
        world.log.append((world.now, "relayed", attempt.id, answer.proceed))
        world.checks.answered(attempt, answer)
        if answer.proceed == "go":
            attempt.go_at = world.now
            world.mine(1, self._leave, value)
            if world.faults.hangup and world.chance() < 0.3:
                world.mine(2 + int(world.chance() * 4_000), self._silent, value)
        elif answer.proceed == "refuse" or world.now - (attempt.asked_at or 0) >= HOLD_MS:
            self._close(attempt)
            self._failed(attempt)
        else:
            world.mine(1_000, self._ask, value)

    def _leave(self, value: tuple[int, Attempt]) -> None:
        if value[1].life == self.world.machine.life:
            super()._leave(value)
        else:
            self.world.mine(ANSWER_MS, self._silent, value)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _arrived(self, value: tuple[int, Attempt]) -> None:
        """The host takes it, whatever has become of the terminal meanwhile."""
        if self.world.host.says_day:
            value[1].said = self.world.machine.true_day()
        super()._arrived((self.epoch, value[1]))

    def _heard(self, value: tuple[int, Attempt, str, str]) -> None:
        """An 0210 at the relay: kept first, then forwarded or dropped."""
        _, attempt, code, mac = value
        world, machine = self.world, self.world.machine
        gone = attempt.hung_at is not None and world.now - attempt.hung_at > LATE_MS
        if not machine.up or machine.life != attempt.life or gone:
            attempt.unheard = True
            return
        newest = self._exchange(attempt)
        if newest is not attempt:
            self._mistaken(attempt, newest, code, mac)
            return
        if world.faults.crossed and attempt.rules.in_doubt != "watch" and world.chance() < 0.3:
            crossed = machine.submit(self._answer(attempt, code, mac, attempt.amount_fen + 1))
            world.checks.dropped(attempt, crossed)
        amount_fen = attempt.approved_fen if code == "10" else attempt.amount_fen
        answer = machine.submit(self._answer(attempt, code, mac, amount_fen))
        attempt.unheard = attempt.unheard or mac == "bad"  # it says nothing that may be believed
        if answer == "full" and attempt.tries < TRIES_MAX:
            attempt.tries += 1
            world.mine(1_000, self._heard, value)
        elif not isinstance(answer, Decision):
            attempt.unheard = True
        elif answer.proceed == "go":
            left = attempt.hung_at is None
            if left and mac == "good":  # a sound app believes no other
                self._terminal_hears(attempt, code)
            machine.insist(AnswerForwarded(transaction=attempt.id, left=left))
            if world.faults.double and world.chance() < 0.3:
                world.mine(1 + int(world.chance() * 5_000), self._heard, value)
        elif attempt.rules.in_doubt != "reverse":
            world.checks.kept_back(attempt)

    def _exchange(self, attempt: Attempt) -> Attempt:
        """What the relay takes an answer to this one for: the request of its number that went last on this connection."""
        if not self.tills.anew:
            return attempt
        mine = (attempt.connection, attempt.terminal, attempt.stan)
        sent = [each for each in self.attempts if (each.connection, each.terminal, each.stan) == mine and each.go_at is not None]
        return max(sent, key=lambda each: each.go_at or 0, default=attempt)

    def _mistaken(self, attempt: Attempt, newest: Attempt, code: str, mac: str) -> None:
        """An answer that comes a batch late, while the relay knows of a newer request of its number."""
        machine, answer = self.world.machine, None
        amount_fen = attempt.approved_fen if code == "10" else attempt.amount_fen
        if newest.rules.mti == attempt.rules.mti:  # else it passes by
            answer = machine.submit(self._answer(attempt, code, mac, amount_fen, newest.id))
            self.world.log.append((self.world.now, "a batch late", attempt.id, newest.id))
        self.world.checks.dropped(newest, answer)
        known = isinstance(answer, Decision) and mac != "bad" and amount_fen == newest.amount_fen
        attempt.unheard = attempt.unheard or not known

    @staticmethod
    def _answer(attempt: Attempt, code: str, mac: str, amount_fen: int, transaction: str | None = None) -> Event:
        return RelayAnswered(
            transaction=transaction or attempt.id, f3=attempt.rules.f3, f4=f"{amount_fen:012d}",
            f11=attempt.stan, f41=attempt.terminal, f42=MERCHANT, f60=attempt.f60, code=code, mac=mac, rrn="1",  # type: ignore[arg-type]
            auth_code="111111" if code in APPROVALS else None, day=attempt.said[0], time=attempt.said[1],
        )

    def _terminal_hears(self, attempt: Attempt, code: str) -> None:
        if attempt.heard is not None:
            return
        attempt.reported = True
        if code not in APPROVALS:
            attempt.heard = attempt.shown = "declined"
        elif self._reverses(attempt) and self.world.faults.gac and self.world.chance() < 0.5:
            attempt.heard, attempt.shown, attempt.contradicted = "approved_not_completed", "failure", True
            self.world.mine(1, self._own, Own(self.epoch, attempt, "96"))
        else:
            attempt.heard = attempt.shown = "approved"
        self._finish(attempt)

    def _reverses(self, attempt: Attempt) -> bool:
        """True where the app sends a 0400 of its own for it."""
        return self.world.faults.own and attempt.rules.in_doubt == "reverse"

    # ── giving up ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _silent(self, value: tuple[int, Attempt]) -> None:
        """Its own time is over, or it hangs up for no reason."""
        epoch, attempt = value
        if epoch != self.epoch or attempt.heard is not None:
            return
        if not self._goes_on(attempt):
            self._close(attempt)
        if self._reverses(attempt):
            self.world.mine(1_000, self._own, Own(self.epoch, attempt, "98"))
        self._failed(attempt)

    def _goes_on(self, attempt: Attempt) -> bool:
        """It keeps its connection for the next customer: only when the agent's time for this one was over before its own."""
        row = self.world.machine.state.transactions.get(attempt.id)
        alive = self.world.machine.up and self.world.machine.life == attempt.life
        return self.tills.anew and alive and row is not None and row.state not in {"intent", "sent"}

    def _hang_up(self) -> None:
        """To what was sent on this connection before, the relay listens a while longer too."""
        for each in self.attempts:
            if each.connection == self.connection and each.hung_at is None:
                each.hung_at = self.world.now
        self.connection += 1

    def _close(self, attempt: Attempt) -> None:
        """The terminal's connection ends; the relay notices at once, if it lives."""
        machine = self.world.machine
        attempt.hung_at = self.world.now
        if self.tills.anew:
            self._hang_up()
        if not machine.up or machine.life != attempt.life:
            return
        row = machine.state.transactions.get(attempt.id)
        if row is not None and row.state in {"intent", "sent"} and not row.answered:
            outcome = "not_sent" if row.state == "intent" else "no_answer"
            machine.submit(ResultReported(transaction=attempt.id, outcome=outcome))  # type: ignore[arg-type]

    def _failed(self, attempt: Attempt) -> None:
        """It shows failure."""
        attempt.heard = attempt.shown = attempt.heard or "failure"
        self._finish(attempt)
        self._repeat_later(attempt)

    # ── its own 0400 ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _own(self, own: Own) -> None:
        """It tries to reverse by itself; where the agent is not there, neither is the host."""
        machine, world = self.world.machine, self.world
        if own.epoch != self.epoch:
            return
        answer = machine.submit(AppReversed(transaction=own.attempt.id, reason=own.reason))
        if isinstance(answer, str):
            self._own_again(own)
            return
        if isinstance(answer, Decision):
            own.attempt.own = True
        world.mine(ANSWER_MS, self._own_again, own)
        if not world.line.down and not (world.faults.loss and world.chance() < 0.3):
            world.after(20, self._own_arrived, own._replace(life=machine.life))

    def _own_again(self, own: Own) -> None:
        if own.attempt.own_done or own.tries >= OWN_MAX:
            return
        self.world.mine(1_000 + int(self.world.chance() * 60_000), self._own, own._replace(tries=own.tries + 1))

    def _own_arrived(self, own: Own) -> None:
        world, machine, attempt = self.world, self.world.machine, own.attempt
        code = world.host.reverse(attempt.reversal())
        world.log.append((world.now, "host reversed for the app", attempt.id, code))
        if not world.line.down and not (world.faults.loss and world.chance() < 0.3):
            said = machine.true_day() if world.host.says_day else (None, None)
            world.mine(20, self._own_answered, own._replace(code=code, said=said, tries=0))

    def _own_answered(self, own: Own) -> None:
        """The 0410 at the relay; with the disk full it is not forwarded either."""
        machine, attempt = self.world.machine, own.attempt
        if not machine.up or machine.life != own.life:
            return
        day, time = own.said
        event = HostReply(
            f3=attempt.rules.f3, f4=f"{attempt.amount_fen:012d}", f11=attempt.stan, f41=attempt.terminal, f42=MERCHANT,
            code=own.code, mac="good", day=day, time=time, f60=attempt.f60,
        )
        answer = machine.submit(event)
        if answer == "full" and own.tries < TRIES_MAX:
            self.world.mine(1_000, self._own_answered, own._replace(tries=own.tries + 1))
        elif isinstance(answer, Decision) and own.code != "A0":
            attempt.own_done = True
