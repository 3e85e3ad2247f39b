"""The end of a world: everything is final or somebody's, the ledger agrees, nothing was printed twice, all was told."""

from typing import TYPE_CHECKING

from agent.core import playbook
from agent.core.model import Incident, Job, Reversal, Row, Transaction
from agent.core.state import State
from agent.core.step import step
from tests.sim.books import Journal
from tests.sim.checks import LIVE, Violation
from tests.sim.nextday import NextDay, family, row_of
from tests.sim.walletday import WalletDay

if TYPE_CHECKING:
    from tests.sim.attempt import Attempt
    from tests.sim.world import World

FINAL = frozenset(
    {"approved", "declined", "declined_uncertain", "not_sent", "reversed", "no_original", "unresolved", "resolved"}
)
NEED_SOMEBODY = frozenset({"unresolved", "declined_uncertain"})
KEEP_SECRETS = frozenset({"unresolved"})


def end(world: "World") -> None:
    """Raise Violation for whatever is not as promised."""
    if world.machine.dead:
        return  # damaged by flipped bits, and said so: a technician's case
    books = world.machine.books
    days = world.machine.up and not world.rotten
    if days:
        NextDay(world).play()
        _wallets(world)
    if days and world.wallets.scans:
        WalletDay(world).play()
    if isinstance(books, Journal):
        from tests.sim.audit import audit

        if not audit(world, books):
            return
    secrets: dict[str, None] = {}
    for attempt in world.app.attempts:
        _attempt(world, attempt, family(world, attempt.id), secrets)
    _baskets(world)
    if not days:
        _wallets(world)
    _rest(world)
    _paper(world)
    sealed = list(world.checks.sealed)
    if isinstance(books, Journal):
        assert books.store is not None
        sealed = [ref for (ref,) in books.store.database.execute("SELECT DISTINCT ref FROM vault")]
    kept = [ref for ref in sealed if ref not in secrets]
    if world.rotten:  # a spoilt name of sealed secrets is nobody's
        known = {f"v{attempt.id}" for attempt in world.app.attempts}
        kept = [ref for ref in kept if ref in known]
    if kept:
        raise Violation("11", f"secrets that nobody needs are kept: {kept}")
    if world.replaying:
        replay(world)


def _attempt(world: "World", attempt: "Attempt", rows: list[Row], secrets: dict[str, None]) -> None:
    transaction = next((row for row in rows if isinstance(row, Transaction)), None)
    promise = world.checks.promised.get(attempt.id)
    if transaction is None:
        if attempt.opened or promise is not None:
            raise Violation("1", f"{attempt.id} vanished")
        return
    key, state = transaction.id, transaction.state
    if state not in FINAL:
        raise Violation("8", f"{key} is still {state}")
    if state in NEED_SOMEBODY and not any(isinstance(row, Incident) and row.open and row.owner for row in rows):
        raise Violation("1", f"{key} is {state} and nobody's")
    if promise == "approved" and state != "approved":
        raise Violation("5", f"{key} was told approved and is {state}")
    if promise == "go" and state in {"intent", "not_sent"}:
        raise Violation("5", f"{key} got its go and is {state}")
    _shown(world, attempt, state)
    for row in rows:
        if isinstance(row, Reversal) and row.state in LIVE:
            raise Violation("8", f"the reversal of {key} is still {row.state}")
        if isinstance(row, Job) and row.open:
            raise Violation("8", f"print job {row.id} is still {row.state}")
    if state in KEEP_SECRETS:
        secrets[f"v{key}"] = None
    _ledger(world, attempt, state)
    if state == "approved" and not attempt.contradicted and transaction.approved_fen != attempt.approved_fen:
        raise Violation("9", f"{key} is approved for {transaction.approved_fen} fen, the host says {attempt.approved_fen}")
    _prompt(world, attempt, transaction)
    if not world.drawn.names and any(isinstance(row, Incident | Reversal) for row in rows):
        raise Violation("9", f"{key} has an incident or a reversal though nothing went wrong")


def _shown(world: "World", attempt: "Attempt", state: str) -> None:
    """Relay: what the terminal showed and what the agent says are one, unless a person or the app undid it, or has to look."""
    if not world.relayed or state in {*NEED_SOMEBODY, "resolved"} or attempt.rules.in_doubt == "repeat":
        return
    if state == "approved" and attempt.shown != "approved" and not attempt.contradicted:
        raise Violation("2", f"{attempt.id} is approved and the terminal showed {attempt.shown}")
    if state == "approved" or attempt.shown != "approved":
        return
    if attempt.id not in world.checks.ordered and not attempt.own:
        raise Violation("2", f"the terminal showed success for {attempt.id}, which is {state}")


def _ledger(world: "World", attempt: "Attempt", state: str) -> None:
    """net = expected(kind, final state)."""
    net, full = world.host.net(attempt.key), attempt.full_fen
    if state == "approved":  # an app that says "approved" of what was not is told of, and cannot be seen through
        allowed = net == full or (attempt.contradicted and attempt.id in world.checks.incidents)
    elif state in NEED_SOMEBODY or state == "resolved":
        allowed = True
    elif state == "not_sent":
        allowed = net == 0 or attempt.eager
    else:
        # A request that the host takes more than a minute late, and whose answer nobody hears, is beyond the protocol.
        allowed = net == 0 or (state == "no_original" and attempt.tardy and attempt.unheard)
        # Nothing of advice is undone: a wrong word of the app's about it is its word; and when the first send reaches the host
        # after the repeat was declined, by seconds or minutes, the files show it and somebody is told.
        told = attempt.contradicted or (attempt.overtaken and attempt.id in world.checks.incidents)
        allowed = allowed or (told and attempt.rules.in_doubt == "repeat")
    if not allowed:
        raise Violation("9", f"{attempt.id} ({attempt.kind}) is {state} and the ledger says {net} fen")
    if attempt.released and net != full and not attempt.contradicted:
        raise Violation("9", f"the goods of {attempt.id} went out and the ledger says {net} fen")


def _prompt(world: "World", attempt: "Attempt", row: Transaction) -> None:
    advice = playbook.advise(world.machine.state, row)
    if (advice.amount_fen, advice.last4, advice.stan) != (attempt.amount_fen, attempt.last4, attempt.stan):
        raise Violation("14", f"the prompt of {attempt.id} names another customer")
    if row.last4 is not None and advice.zh_long.startswith("上一位顾客") == (row.number == world.machine.state.agent.newest):
        raise Violation("14", f"the prompt of {attempt.id} does not say whose it is")


def _baskets(world: "World") -> None:
    """A basket is paid once, or somebody knows."""
    paid: dict[int, list[str]] = {}
    for attempt in world.app.attempts:
        untold = attempt.eager and not attempt.reported  # sent without permission, and never told: nobody can know
        if attempt.kind == "sale" and world.host.net(attempt.key) > 0 and not untold:
            paid.setdefault(attempt.basket, []).append(attempt.id)
    for basket, keys in paid.items():
        known = any(key in world.checks.incidents or key in world.checks.risk for key in keys)
        if len(keys) > 1 and not known:
            raise Violation("13", f"basket {basket} was paid by {keys} and nobody knows")


def _wallets(world: "World") -> None:
    rows = (row_of(world, scan.key) for scan in world.wallets.scans)
    world.wallets.end({row.id: row for row in rows if row is not None})


def _rest(world: "World") -> None:
    """The terminal is at rest: no line, no printer, no deadline wanted any more."""
    state = world.machine.state
    if not world.machine.up:
        raise Violation("8", "the agent is not running")
    if state.line.wanted != "none" or state.line.echo != "none":
        raise Violation("8", f"the line is still wanted: {state.line.wanted}, echo {state.line.echo}")
    if state.printer.watched or state.open_jobs:
        raise Violation("8", "the printer is still waited for")
    if world.app.current is not None or world.app.queue:
        raise Violation("8", "a sale never came to its end")


def _paper(world: "World") -> None:
    """No job twice, no second original."""
    jobs: dict[str, None] = {}
    originals: dict[str, str] = {}
    for job, transaction, marked in world.printer.paper:
        if job in jobs:
            raise Violation("6", f"job {job} came out twice")
        jobs[job] = None
        if transaction is not None and not marked and (job[0] == "r" or job[0] == "c"):
            if transaction in originals:
                raise Violation("6", f"two originals of {transaction}: {originals[transaction]} and {job}")
            originals[transaction] = job


def replay(world: "World") -> None:
    """The committed events alone come to the same rows."""
    state, again = world.machine.state, State()
    for event, now in world.machine.replayed:
        step(again, event, now)
        again.settle()
    mine, theirs = (
        (
            one.transactions, one.reversals, one.incidents, one.jobs, one.agent, one.line, one.printer, one.display,
            one.streaks, one.ledger,
        )
        for one in (state, again)
    )
    if mine != theirs:
        raise Violation("5", "replaying the committed events comes to other rows")
