"""What is promised in mode payapp, at every commit and at the end: not a byte of ours, one reverser, the net of the books."""

from typing import TYPE_CHECKING

from agent.core import event as e
from agent.core import playbook
from agent.core.change import AskApp, Change, SendEcho, SendReversal, WantLine
from agent.core.model import Incident, Reversal, Row, Transaction
from agent.journal.chain import Entry
from tests.sim.books import Journal
from tests.sim.checks import Violation
from tests.sim.ending import replay
from tests.sim.nextday import family
from tests.sim.paytill import UNDOES

if TYPE_CHECKING:
    from tests.sim.machine import Machine
    from tests.sim.payapp import PayWorld

DEFECTS = frozenset({
    "record_lost", "false_accept", "not_reversed_first", "settled_unreversed", "reversal_loops", "sales_blocked", "stan_reused",
    "contradicting_result",
})  # fmt: skip
FINAL = frozenset({"approved", "declined", "not_sent", "reversed", "no_original", "unresolved"})


class PayChecks:
    """`told`: transactions that the app was told are approved; `sealed`: nothing is, in this mode."""

    def __init__(self, world: "PayWorld") -> None:
        self.world = world
        self.told: set[str] = set()
        self.states: set[str] = set()
        self.kinds: set[tuple[str, str]] = set()  # each with a state that it ended in

    def promise(self, key: str) -> None:
        """The agent answered `approved`: the app prints."""
        self.told.add(key)

    def found(self, _entries: list[Entry]) -> None:
        """What a commit of unknown outcome left behind is looked at as it stands."""

    def committed(self, machine: "Machine", event: e.Event, change: Change) -> None:
        """After every commit."""
        world = self.world
        for fact in change.facts:
            world.log.append((world.now, fact.type, fact.transaction, fact.data.get("code"), fact.data.get("outcome")))
        for effect in change.effects:
            if isinstance(effect, SendReversal | SendEcho | WantLine):
                raise Violation("payapp", f"{type(effect).__name__}: the agent wants to send in mode payapp")
            if isinstance(effect, AskApp) and effect.what != "transaction" and not isinstance(event, e.Booted):
                self._ask(machine, effect)
        for incident in machine.state.open_incidents.values():
            if incident.code in DEFECTS:
                self._accuse(incident.code)
        for key in self.told:
            row = machine.state.transactions.get(key)
            if row is not None and row.state != "approved":
                raise Violation("2", f"{key} was told approved and is {row.state}")

    def _accuse(self, code: str) -> None:
        raise Violation("payapp", f"a sound app is accused of {code}")

    @staticmethod
    def _ask(machine: "Machine", effect: AskApp) -> None:
        state = machine.state
        open_ = [row.id for row in state.open_reversals.values() if row.request is not None]
        if open_ != [effect.transaction]:
            raise Violation("3", f"requests are open for {open_} while {effect.transaction} is asked for")
        running = [row.id for row in state.open_transactions.values() if row.state in {"intent", "sent"}]
        if running:
            raise Violation("payapp", f"{effect.transaction} is asked for during {running}")

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def end(self) -> None:
        """The world has come to rest."""
        world, machine = self.world, self.world.machine
        if machine.dead:
            return  # damaged by flipped bits, and said so: a technician's case
        if not machine.up:
            raise Violation("8", "the agent is not running")
        if isinstance(machine.books, Journal):
            from tests.sim.audit import audit

            if not audit(world, machine.books):
                return
        for key in world.app.opened:
            rows = family(world, key)
            row = next((row for row in rows if isinstance(row, Transaction)), None)
            if row is not None:
                self._one(row, rows)
            elif key in self.told:
                raise Violation("5", f"{key} was told approved and vanished")
        if world.replaying:
            replay(world)

    def _one(self, row: Transaction, rows: list[Row]) -> None:
        host, state = self.world.host, self.world.machine.state
        sign = -1 if row.kind in UNDOES else 1
        net, owed = host.net(row.id), sign * row.amount_fen if row.state == "approved" else 0
        self.states.add(row.state)
        self.kinds.add((row.kind, row.state))
        if row.state not in FINAL:
            raise Violation("8", f"{row.id} is still {row.state}")
        if row.id in self.told and row.state != "approved":
            raise Violation("5", f"{row.id} was told approved and is {row.state}")
        owned = any(isinstance(each, Incident) and each.open and each.owner and each.next_action for each in rows)
        if row.state == "unresolved" and not owned:
            raise Violation("8", f"{row.id} is unresolved and nobody's case")
        if row.state != "unresolved" and net != owed:
            raise Violation("9", f"{row.id} is {row.state}, and the host's books say {net}")
        if playbook.judge(state, row)[2] and net:
            raise Violation("7", f"{row.id} may be paid again, and {net} stand in the books")
        reversal = next((each for each in rows if isinstance(each, Reversal)), None)
        if row.state == "unresolved" and reversal is not None and not reversal.batch_closed and not _by_rule(reversal):
            raise Violation("8", f"{row.id} is unresolved though the app could have reversed it")


def _by_rule(row: Reversal) -> bool:
    """Refused by the host's own words, or its batch is gone: then only the settlement can tell."""
    return row.state == "expired" or (row.state == "refused" and bool(row.response_code))
