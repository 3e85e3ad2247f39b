"""The agent's own line to the host: connects when wanted, loses what the network loses, brings answers in any order."""

from typing import TYPE_CHECKING, Any

from agent.core.change import SendEcho, SendReversal
from agent.core.event import EchoReply, Event, HostReachable, HostReply, HostUnreachable, LineLost, NoiseReceived, SendFailed
from tests.sim.acquirer import ELSEWHERE, KEY, LATER, PERMANENT

if TYPE_CHECKING:
    from tests.sim.world import World


class Line:
    """One connection at a time; `connection` is its number, 0 for none."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.wanted = "none"
        self.connection = 0
        self.serial = 0
        self.token = 0
        self.failed = False
        self.down_until = 0
        self.mac_until = 0
        self.held: dict[str, tuple[int, HostReply]] = {}  # by STAN: answers that come when the next 0400 of that number is there

    @property
    def down(self) -> bool:
        """True while nothing gets through."""
        return self.world.now < self.down_until

    def reset(self) -> None:
        """The process that had it is gone."""
        self.wanted, self.connection, self.failed = "none", 0, False
        self.token += 1

    def want(self, wanted: str) -> None:
        """now: connect and hold; watch: look; none: close."""
        self.wanted = wanted
        if wanted != "now":
            self.connection = 0
        if wanted != "none":
            self.poke()

    def poke(self, ms: int = 20) -> None:
        """Look at the line soon."""
        self.token += 1
        self.world.mine(ms, self._attempt, self.token)

    def _attempt(self, token: int) -> None:
        world = self.world
        if token != self.token or self.wanted == "none" or not world.machine.up or self.connection:
            return
        if self.down:
            # The attempts in between change nothing and are left out; the line's return is noticed by `came_back`.
            self.failed = True
            world.machine.submit(HostUnreachable())
            return
        if self.wanted == "now" and world.faults.lease and world.chance() < 0.3:
            self.failed = True
            world.machine.submit(HostUnreachable())
            self.poke(1_000 + int(world.chance() * 30_000))
            return
        if self.wanted == "now":
            self.serial += 1
            self.connection = self.serial
        after_failure, self.failed = self.failed, False
        if world.machine.submit(self._reachable(after_failure)) == "full":
            self.connection = 0  # the slow probe says it again
            self.poke(10_000)

    def _reachable(self, after_failure: bool) -> HostReachable:
        backup = self.world.faults.backup and self.world.chance() < 0.4
        return HostReachable(after_failure=after_failure, host="backup" if backup else "primary")

    def goes_down(self, ms: int) -> None:
        """Nothing gets through for so long; whether the connection notices is chance."""
        world = self.world
        self.down_until = max(self.down_until, world.now + ms)
        world.after(self.down_until - world.now + 1, self.came_back)
        if self.connection and world.chance() < 0.5:
            world.mine(5, self._lost, self.connection)

    def came_back(self, _arg: object = None) -> None:
        """Netlink says so at once, or the next probe finds out."""
        if not self.down and self.wanted != "none" and not self.connection:
            self.poke(5 if self.world.chance() < 0.7 else 1 + int(self.world.chance() * 60_000))

    def _lost(self, connection: int) -> None:
        if connection == self.connection:
            self.connection = 0
            self.world.machine.submit(LineLost())
            if self.wanted == "now":
                self.poke()

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, effect: SendReversal | SendEcho) -> None:
        """The performer takes it after the commit."""
        number = self._number(effect)
        self.world.mine(1, self._send, (self.world.machine.life, number, effect))

    def _number(self, effect: SendReversal | SendEcho) -> int:
        """How many sends of this reversal were counted."""
        return self.world.machine.state.reversals[effect.transaction].sends if isinstance(effect, SendReversal) else 0

    def _send(self, value: tuple[int, int, SendReversal | SendEcho]) -> None:
        life, number, effect = value
        world = self.world
        if life != world.machine.life:
            return
        faults, chance = world.faults, world.chance
        if isinstance(effect, SendReversal):
            if effect.vault not in world.checks.sealed:
                return  # settled since the commit by an answer to an earlier send: its secrets are gone, it cannot be made
            if faults.unpackable and chance() < 0.1:
                self._failed(effect, "unpackable")
                return
            if world.now < self.mac_until or (faults.keys and chance() < 0.1):
                self._failed(effect, "mac")
                return
        if not self.connection or (faults.cut and chance() < 0.15):
            self.connection = 0
            if isinstance(effect, SendReversal):
                self._failed(effect, "line")
            self.poke(1_000)
            return
        if isinstance(effect, SendReversal):
            world.checks.left(effect, in_turn=number == self._number(effect))
            if faults.macgone and chance() < 0.2:
                self.mac_until = world.now + int(chance() * 100_000)
        if (faults.cut or faults.lease or faults.backup) and chance() < 0.2:
            world.mine(10, self._lost, self.connection)
        if self.down or (faults.loss and chance() < 0.3):
            return
        delay = 20 + (int(chance() * 75_000) if faults.delay and chance() < 0.3 else 0)
        world.after(delay, self._arrived, (self.connection, effect))

    def _failed(self, effect: SendReversal, why: str) -> None:
        self.world.machine.submit(SendFailed(transaction=effect.transaction, why=why))

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _arrived(self, value: tuple[int, SendReversal | SendEcho]) -> None:
        connection, effect = value
        if isinstance(effect, SendEcho):
            self._answer(connection, EchoReply(code="00"))
            return
        own = effect.fields
        held = self.held.pop(own["11"], None) if self.held else None
        if held is not None:
            self.world.mine(5, self._heard, held)
        if self.world.now < self.mac_until and self.world.chance() < 0.4:  # forged, or right: who could tell?
            self._answer(connection, self._reply(own, "00", "unchecked"))
            return
        code, mac = self._judge(effect)
        mac = "unchecked" if self.world.now < self.mac_until else mac
        if self.world.faults.crossed and self.world.chance() < 0.3:
            other = f"{(int(own['11']) + 500_000) % 1_000_000:06d}"
            self._answer(connection, self._reply(own, "00", "good", f11=other))
        self._answer(connection, self._reply(own, code, mac))

    def _judge(self, effect: SendReversal) -> tuple[str | None, str]:
        """The host's answer: an honest one, or what the faults make of it."""
        faults, chance, host = self.world.faults, self.world.chance, self.world.host
        if faults.codes and chance() < 0.5:
            classes = (LATER, LATER, PERMANENT, ELSEWHERE, KEY)[int(chance() * 5)]
            code = classes[int(chance() * len(classes))]
            if classes in (LATER, ELSEWHERE) and chance() < 0.3:
                host.reverse(effect.fields)  # done all the same
            return code, "good"
        code = host.reverse(effect.fields)
        mac = "good"
        if faults.badmac and chance() < 0.3:
            mac = "bad" if chance() < 0.5 else "missing"
        return code, mac

    def _reply(self, own: dict[str, str], code: str | None, mac: str, f11: str | None = None) -> HostReply:
        day, time = self.world.machine.true_day() if self.world.host.says_day else (None, None)
        return HostReply(
            f3=own["3"],
            f4=own["4"],
            f11=f11 or own["11"],
            f41=own["41"],
            f42=own["42"],
            code=code,
            mac=mac,  # type: ignore[arg-type]
            day=day,
            time=time,
            f60=own["60"],
        )

    def _answer(self, connection: int, event: Event) -> None:
        world = self.world
        faults, chance = world.faults, world.chance
        if self.down or (faults.loss and chance() < 0.3):
            return
        delay = 20 + (int(chance() * 75_000) if faults.delay and chance() < 0.3 else 0)
        if faults.anew and isinstance(event, HostReply) and world.app.tills.chance() < 0.4:
            self.held[event.f11] = (connection, event)
            return
        delay += world.app.tills.late_ms()
        world.mine(delay, self._heard, (connection, event))
        if faults.double and chance() < 0.3:
            world.mine(delay + int(chance() * 5_000), self._heard, (connection, event))
        if faults.badmac and chance() < 0.05:
            world.mine(delay, self._heard, (connection, NoiseReceived(what="unreadable")))

    def _heard(self, value: tuple[int, Any]) -> None:
        connection, event = value
        if connection == self.connection:
            self.world.machine.submit(event)
