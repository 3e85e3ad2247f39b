"""Safety, looked at after every commit by eyes of its own: nothing here asks the core whether the core is right."""

from typing import TYPE_CHECKING, Any

import msgspec

from agent.core import playbook
from agent.core.change import Change, Decision, Rejected, SendReversal
from agent.core.customer import Shown
from agent.core.event import BatchChanged, Event, Opened
from agent.core.fleetevent import Commanded
from agent.core.model import Incident, Reversal, Transaction
from agent.core.state import State
from agent.journal.chain import Entry
from tests.sim.kinds import KINDS
from tests.sim.tills import TERMINAL, Heard

if TYPE_CHECKING:
    from tests.sim.attempt import Attempt
    from tests.sim.machine import Machine
    from tests.sim.world import World

DOUBTFUL = frozenset({"in_doubt", "reversing", "approved_not_completed"})
PAYABLE = frozenset({"declined", "not_sent", "reversed", "no_original", "closed"})
LIVE = frozenset({"pending", "sending", "exhausted"})
REASONS = {"no_answer": "98", "not_sent": "98", "timeout": "98", "restart": "98", "bad_mac": "A0", "approved_not_completed": "96"}
NEVER_AGAIN = {"reversal.confirmed": "accepted", "reversal.fenced": "fenced", "reversal.expired": "expired"}
REFUSALS = frozenset({"reversal.later", "reversal.no_original_early", "reversal.refused"})
ENDS = frozenset({"command.done", "command.rejected"})
TRUSTED = "wallet.evidence_accepted"
ASKED = "settlement.settling"
NOTED = frozenset({*ENDS, ASKED, *NEVER_AGAIN, *REFUSALS, "reversal.ordered", TRUSTED})  # facts that promise something
SENDS_MAX = 3 + 3 + 1  # of one opportunity: counted ones, key answers, one early "no original"
SPACING_MS = 60_000
# What a display may say, and in which states.
CLAIMS = {"冲正成功": {"reversed"}, "交易成功": {"approved", "paid"}, "撤销成功": {"approved"}}
ASKS_AGAIN = ("重新", "重刷", "重做", "可重试", "换方式", "again", "repay", "redo", "retry", "other means")


class Violation(Exception):
    """A promise was broken. `rule` is the number of the invariant, or what else went wrong."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"invariant {rule}: {text}")
        self.rule = rule


class Checks:
    """What has been promised and seen so far."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.promised: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self.refused: set[str] = set()
        self.incidents: set[str] = set()
        self.risk: set[str] = set()
        self.ordered: set[str] = set()  # reversals that a person ordered
        self.sealed: dict[str, None] = {}
        self.first: dict[str, dict[str, str]] = {}
        self.last_left: dict[str, tuple[int, int, int]] = {}  # boot, opportunity, boot time
        self.counted_ms: dict[str, int] = {}  # boot time of the commit of the newest send
        self.sends: dict[tuple[str, int, int], int] = {}
        self.bypassed = False
        self.owed: dict[str, dict[str, int]] = {}  # opportunities that the settlement of a terminal id has to wait for
        self.batches = Heard()
        self.newest: Opened | None = None  # the customer in front of the till
        self.closing: dict[str, int] = {}  # sends counted when the batch closed: there must be no more

    # ── every commit ─────────────────────────────────────────────────────────────────────────────────────────────────

    def committed(self, machine: "Machine", event: Event, change: Change) -> None:
        """After every commit: what is true now, and what was asked for."""
        world = self.world
        now, log = world.now, world.log
        log.append((now, type(event).__name__, getattr(event, "transaction", None)))
        if type(event) is Opened or type(event) is BatchChanged:
            self.batches.event(event)
        if type(event) is Commanded:
            world.orders.committed(event, change, machine.clock())
        for fact in change.facts:
            log.append((now, fact.type, fact.transaction, fact.data.get("code")))
            if fact.type in NOTED:
                self._fact(fact.type, fact.transaction, fact.data)
        for row in change.rows:
            if type(row) is Transaction:
                self._transaction(machine, row)
            elif type(row) is Incident:
                self._incident(row)
        if type(event) is Opened:
            self.newest = event
            if event.vault is not None:
                self.sealed[event.vault] = None
        for ref in change.wiped:
            self.sealed.pop(ref, None)
        if type(event) is BatchChanged and event.what != "settling":
            self._batch_closed(machine, event)
        for effect in change.effects:
            if type(effect) is SendReversal:
                self._ordered(machine, effect)

    def _batch_closed(self, machine: "Machine", event: BatchChanged) -> None:
        for row in machine.state.reversals.values():
            gone = row.batch == event.batch if event.what == "settled" else row.batch != event.batch
            if gone and event.terminal_id in {None, row.terminal_id}:
                self.closing.setdefault(row.id, row.sends)

    def _fact(self, type_: str, key: str | None, data: dict[str, Any]) -> None:
        if type_ in ENDS:
            self.world.orders.told(type_, data)
        elif type_ == ASKED:
            self._asked_first(data.get("terminal_id", TERMINAL), data["batch"])
        elif key is None:
            return  # every other promise is about a transaction
        elif type_ in NEVER_AGAIN:
            self.ended[key] = NEVER_AGAIN[type_]
            if type_ == "reversal.expired" and self.batches.runs(self.world.app.find(key)):
                raise Violation("12", f"the reversal of {key} expired and its batch runs")
        elif type_ in REFUSALS:
            self.refused.add(key)
        elif type_ == "reversal.ordered":
            self.closing.pop(key, None)  # what a person orders is not automatic
            self.ordered.add(key)
        elif type_ == TRUSTED:
            self.world.wallets.find(key).trusted = True  # from here on no cancel

    def found(self, entries: list[Entry]) -> None:
        """A commit whose outcome was unknown turned out to be on disk."""
        for entry in entries:
            self.world.orders.found(entry)
            event = (entry.input or {}).get("event")
            if event is not None and event["type"] == "Opened":
                self.newest = msgspec.convert(event, Opened)
                self.batches.event(self.newest)
            elif event is not None and event["type"] == "BatchChanged":
                self.batches.event(msgspec.convert(event, BatchChanged))
            self._fact(entry.type, entry.transaction, entry.data)
            if entry.transaction is not None:
                if entry.type == "transaction.opened" and KINDS[str(entry.data["kind"])].in_doubt == "reverse":
                    self.sealed[f"v{entry.transaction}"] = None
                if entry.type.startswith("incident."):
                    self.incidents.add(entry.transaction)

    def _transaction(self, machine: "Machine", row: Transaction) -> None:
        promise = self.promised.get(row.id)
        if promise is not None:
            if promise == "approved" and row.state != "approved":
                raise Violation("2", f"{row.id} was told approved and is {row.state}")
            if promise == "go" and row.state in {"intent", "not_sent"}:
                raise Violation("1", f"{row.id} was allowed to be sent and is {row.state}")
        if row.disposition is not None and row.disposition.accepts_risk:
            self.risk.add(row.id)
        hold_goods, may_pay_again = playbook.protects(machine.state, row)  # its code is held by the core's own invariants
        if not hold_goods and row.state not in {"approved", "paid"} and (row.rail != "card" or KINDS[row.kind].goods):
            raise Violation("7", f"goods of {row.id} go out in {row.state}")
        if may_pay_again and row.id not in self.risk and row.state not in PAYABLE:
            raise Violation("7", f"{row.id} may be paid again in {row.state}")
        if row.original is not None and row.state not in PAYABLE and (row.kind == "refund" or row.kind.endswith("void")):
            self._taken_back(machine, row, (row.terminal_id, row.original.batch, row.original.stan))

    def _taken_back(self, machine: "Machine", by: Transaction, key: tuple[str, str, str]) -> None:
        """As long as a void or a refund may have worked, nothing goes out for what it names."""
        for row in machine.state.transactions.values():
            if (row.terminal_id, row.batch, row.stan) == key and not playbook.protects(machine.state, row)[0]:
                raise Violation("7", f"goods of {row.id} go out, and {by.id}, a {by.kind}, is {by.state}")

    def _incident(self, row: Incident) -> None:
        if row.transaction is not None:
            self.incidents.add(row.transaction)
        if row.code == "gate_bypassed":
            self.bypassed = True
        if row.open and not (row.owner and row.next_action):
            raise Violation("1", f"incident {row.code} has no owner or next action")

    def _ordered(self, machine: "Machine", effect: SendReversal) -> None:
        """One in flight, and of those that are due the oldest goes first."""
        rows = machine.state.open_reversals.values()
        flying = [row.id for row in rows if row.state == "sending"]
        if self.world.app.find(effect.transaction).own and effect.transaction not in self.ordered:
            raise Violation("3", f"0400 for {effect.transaction}, which the payment app reverses")
        if flying != [effect.transaction]:
            raise Violation("3", f"in flight {flying} while {effect.transaction} is sent")
        number, now_ms = machine.state.reversals[effect.transaction].number, machine.boottime()
        self.counted_ms[effect.transaction] = now_ms
        for row in rows:
            if row.number < number and row.state in LIVE and row.due_ms is not None and row.due_ms <= now_ms:
                raise Violation("4", f"{row.id} is older and due, yet {effect.transaction} goes first")

    # ── on the wire ──────────────────────────────────────────────────────────────────────────────────────────────────

    def left(self, effect: SendReversal, *, in_turn: bool) -> None:
        """The bytes of an 0400 leave; not `in_turn` when an answer to an earlier send came since the commit."""
        world, key = self.world, effect.transaction
        state = world.machine.state
        transaction, row = state.transactions[key], state.reversals[key]
        if world.app.find(key).rules.in_doubt != "reverse":
            raise Violation("3", f"0400 for {key}, a {transaction.kind}")
        # Its batch being closed, an answer to an earlier send can end it between the commit of the last one and its bytes.
        if key in self.ended and (row.state == "sending" or self.ended[key] != "expired"):
            raise Violation("12", f"0400 for {key} after it was {self.ended[key]}")
        if row.sends > self.closing.get(key, row.sends):
            raise Violation("12", f"0400 for {key} after its batch was closed")
        if transaction.state in {"approved", "declined", "not_sent", "resolved"}:
            raise Violation("2", f"0400 for {key}, which is {transaction.state}")
        if transaction.sent is None and not world.app.find(key).eager:
            raise Violation("1", f"0400 for {key}, which was never allowed to be sent")
        current = world.app.current
        if world.machine.policy.line_leased and current is not None and not current.eager and current.go_at is not None:
            mine = state.transactions.get(current.id)
            if mine is not None and mine.state == "sent" and not current.reported:
                raise Violation("3", f"0400 for {key} on the line that {current.id} has")
        if in_turn and row.state == "sending":
            self._identity(effect, transaction)
            self._pace(row)
        world.log.append((world.now, "0400 left", key, effect.fields["39"]))

    def _identity(self, effect: SendReversal, transaction: Transaction) -> None:
        key, fields = effect.transaction, dict(effect.fields)
        reason = fields.pop("39")
        attempt = self.world.app.find(key)
        own = attempt.reversal()
        if not own.items() <= fields.items() or ("61" in fields) != ("61" in own):
            raise Violation("3", f"the 0400 of {key} does not name its transaction: {fields}, not {own}")
        if self.first.setdefault(key, fields) != fields:
            raise Violation("3", f"a resend of {key} has another identity")
        if effect.vault != f"v{key}":
            raise Violation("3", f"the 0400 of {key} takes the card of {effect.vault}")
        expected = "06" if key in self.refused else REASONS[transaction.doubt or ""]
        if reason != expected and not (reason == "06" and key in self.ordered):
            raise Violation("3", f"the 0400 of {key} says reason {reason}, not {expected}")

    def _pace(self, row: Reversal) -> None:
        machine = self.world.machine
        now_ms, before = machine.boottime(), self.last_left.get(row.id)
        if before is not None:
            boot, opportunity, at_ms = before
            if boot == machine.boots and row.opportunities != opportunity and now_ms - at_ms < SPACING_MS - 1:
                raise Violation("4", f"a new opportunity of {row.id} only {now_ms - at_ms} ms after its last send")
        # From its commit: that the machine is put to sleep before its bytes leave, no program can look out for.
        self.last_left[row.id] = (machine.boots, row.opportunities, self.counted_ms[row.id])
        key = (row.id, row.opportunities, machine.life)
        self.sends[key] = count = self.sends.get(key, 0) + 1
        if count > SENDS_MAX:
            raise Violation("8", f"{count} sends of {row.id} in one opportunity")

    # ── what people and the app are told ─────────────────────────────────────────────────────────────────────────────

    def answered(self, attempt: "Attempt", decision: Decision) -> None:
        """go, wait or refuse: only for a reason."""
        state, key = self.world.machine.state, attempt.id
        bypassed = self.bypassed or any(row.transaction == key for row in state.incidents_by_age("gate_bypassed"))
        self.bypassed = False
        mine = [row for row in state.open_transactions.values() if row.terminal_id == attempt.terminal]
        sent = [row.id for row in mine if row.state == "sent" and row.id != key]
        turns = [
            row.id
            for row in mine
            if row.state in DOUBTFUL and not row.repeats and not state.reversals[row.id].waiting_sign_in
        ]
        uploaded = attempt.kind == "offline" or state.transactions[key].repeats  # ahead of the 0500, as terminals do
        settling = self.batches.at.get(attempt.terminal) == (attempt.batch, "settling") and not uploaded
        if decision.proceed == "go":
            self.promised[key] = "go"
            row = state.transactions[key]
            if row.sent is not None and row.sent.mono_ms < self.world.machine.boottime():
                return  # the same go again: what has become due since then did not stand before it
            if sent or settling or (turns and not bypassed):
                raise Violation("4", f"{key} may go ahead of {turns or sent or 'the settlement'}")
            self._alone(state, key)
        elif attempt.go_at is not None or state.transactions[key].state == "sent":
            return  # asked again too late: its go is no longer valid
        elif not (sent or turns or settling or (state.agent.policy.line_leased and self._in_flight(state))):
            raise Violation("4", f"{key} is told {decision.proceed} for no reason")

    def _held_by(self, whose: str, batch: str) -> list[Reversal]:
        rows = self.world.machine.state.open_reversals.values()
        held = [row for row in rows if row.pending and row.batch == batch and not row.waiting_sign_in]
        return [row for row in held if row.terminal_id == whose]

    def _asked_first(self, whose: str, batch: str) -> None:
        """The app asks for its settlement, also when the answer is lost with the agent: from here on opportunities count."""
        rows = self._held_by(whose, batch)
        self.owed[whose] = {row.id: row.opportunities + (row.sends_left == 0 and row.state != "sending") for row in rows}

    def settles(self, whose: str, batch: str, decision: Decision) -> None:
        """An 0500 goes only when each reversal that was pending had an opportunity since the app asked first, and by the rule."""
        state, rows = self.world.machine.state, self._held_by(whose, batch)
        rule, bypassed = state.agent.policy.settlement_while_pending, bool(state.incidents_by_age("gate_bypassed"))
        if decision.proceed == "refuse" and rule != "refuse":
            raise Violation("4", "a settlement is refused against the rule")
        if decision.proceed != "go" or rule == "pass" or bypassed:
            return
        early = [row.id for row in rows if self._turn_is_owed(row)]
        if early or (rule == "refuse" and rows):
            raise Violation("4", f"the settlement may go ahead of {early or [row.id for row in rows]}")

    def _turn_is_owed(self, row: Reversal) -> bool:
        """A further opportunity that begins with the go itself, its back-off being over, is not one that was to be waited for."""
        owed = self.owed.get(row.terminal_id, {}).get(row.id, row.opportunities)
        return row.opportunities < owed or (row.opportunities == owed and row.state == "sending")

    @staticmethod
    def _in_flight(state: State) -> list[str]:
        return [row.id for row in state.open_reversals.values() if row.state == "sending"]

    def _alone(self, state: State, key: str) -> None:
        """On a leased line a reversal and a payment are never under way together."""
        if state.agent.policy.line_leased and self._in_flight(state):
            raise Violation("3", f"{key} may go while {self._in_flight(state)} has the leased line")

    def refused_number(self, attempt: "Attempt", refusal: Rejected) -> None:
        """409 for its number: only where another transaction of this terminal id has it in this very batch."""
        if refusal.code != "duplicate-stan" or attempt.tries:  # asked before: the answer was lost, and the number may be its own
            return
        if not any(other.key == attempt.key for other in self.world.app.attempts if other is not attempt):
            raise Violation("4", f"the number of {attempt.id} is refused, and nobody had it: {attempt.key}")

    def dropped(self, attempt: "Attempt", answer: object) -> None:
        """An answer to another request, with another amount or of another batch, never reaches the terminal as one to this."""
        if isinstance(answer, Decision) and answer.proceed == "go":
            raise Violation("5", f"a crossed answer was forwarded as that of {attempt.id}")

    def kept_back(self, attempt: "Attempt") -> None:
        """An answer to what is never reversed did not reach the terminal."""
        raise Violation("2", f"the answer to {attempt.id}, a {attempt.kind}, was kept from the terminal")

    def promise(self, attempt: "Attempt") -> None:
        """The agent answered `approved`: the app prints."""
        self.promised[attempt.id] = "approved"

    def look(self, attempt: "Attempt") -> bool:
        """The cashier looks at the screen, and hands over what it does not hold back. True when it says: pay again.

        With no answer from the agent nobody does either.
        """
        row = self._row(attempt)
        if row is None:
            return False
        _, hold_goods, may_pay_again = playbook.judge(self.world.machine.state, row)
        if attempt.rules.goods and not hold_goods:
            attempt.released = True
        return may_pay_again

    def sent(self, screen: Shown | None) -> None:
        """What goes to the customer display is about whoever stands there, by amount and card, and asks no one to pay twice."""
        if screen is None:
            return
        newest = self.newest
        if newest is None or screen.transaction != newest.transaction:
            raise Violation("14", f"the display speaks of {screen.transaction} while somebody else stands there")
        whose = f"{newest.amount_fen // 100}.{newest.amount_fen % 100:02d}"
        for upper, lower in (screen.zh, screen.en):
            if whose not in lower or not lower.endswith(newest.last4 or ""):
                raise Violation("14", f"the display does not name its customer: {lower!r}")
            row = self.world.machine.state.transactions.get(screen.transaction)  # None: closed meanwhile, and forgotten
            unsafe = row is not None and row.state not in PAYABLE and row.id not in self.risk
            untrue = row is not None and any(word in upper and row.state not in states for word, states in CLAIMS.items())
            if untrue or (unsafe and any(word in upper for word in ASKS_AGAIN)):
                raise Violation("14", f"the display says {upper!r} of what is {row and row.state}")

    def _row(self, attempt: "Attempt") -> Any:
        machine = self.world.machine
        return machine.state.transactions.get(attempt.id) if machine.up else None

    def end(self) -> None:
        """The world has come to rest."""
        from tests.sim.ending import end

        end(self.world)
