"""Which batch each terminal id is in, and how far its settlement is: on one relay several settle, each for itself.

What is said of no terminal id holds for all, for only who says it knows whose it is: a batch taken for closed by one too many
leaves a reversal to the settlement files, one taken for open would let a "no original" be believed that its settlement made.
What is not known is neither open nor settling.
"""

from msgspec.structs import replace

from agent.core.kinds import family
from agent.core.model import Agent, Batch, Transaction
from agent.core.state import State

TERMINALS_MAX = 16  # that are remembered; of more, the one longest without news is not, and one that is settling last of all


def of(agent: Agent, terminal_id: str | None) -> Batch:
    """The batch of this terminal id: its own, or what holds for all (None: that)."""
    for batch in agent.batches:
        if batch.terminal_id == terminal_id:
            return batch
    return Batch(
        terminal_id=terminal_id, number=agent.batch, state=agent.batch_state, held_since_ms=agent.settlement_since_ms
    )


def is_open(agent: Agent, terminal_id: str, number: str) -> bool:
    """True only when it is surely the batch of this terminal id, and its settlement has not begun."""
    batch = of(agent, terminal_id)
    return batch.number == number and batch.state == "open"


def settles_without(agent: Agent, row: Transaction) -> bool:
    """Has the settlement of its batch begun, and does it not belong to it?

    Terminals upload stored advice (0220) before their 0500, and repeat what had no answer. A new refund is not stored: a
    person begins it at the counter.
    """
    batch = of(agent, row.terminal_id)
    if batch.state != "settling" or batch.number != row.batch:
        return False
    stored = agent.policy.kind(row.kind).in_doubt == "repeat" and family(row.kind) != "refund"
    return not (stored or row.repeats)


def at_the_till(agent: Agent) -> Batch:
    """The one to show where there is room for one: of the configured terminal id, else of the one last heard of, else of all."""
    configured = of(agent, agent.policy.terminal_id)
    heard_of = {batch.terminal_id for batch in agent.batches}
    return configured if configured.terminal_id in heard_of or not heard_of else agent.batches[-1]


def any_settles(agent: Agent) -> bool:
    """True while the settlement of some terminal id is running; what was said of all counts until one is heard of."""
    return "settling" in ({batch.state for batch in agent.batches} or {agent.batch_state})


def put(state: State, batch: Batch) -> bool:
    """Write it; what is said of all takes the place of what was known of each. False when it said so already."""
    agent = state.agent
    if batch.terminal_id is None:
        changed = replace(
            agent, batch=batch.number, batch_state=batch.state, settlement_since_ms=batch.held_since_ms, batches=()
        )
    elif batch == of(agent, batch.terminal_id):
        changed = agent
    else:
        others = [each for each in agent.batches if each.terminal_id != batch.terminal_id]
        changed = replace(agent, batches=(*others, batch))
        if len(changed.batches) > TERMINALS_MAX:
            changed = _without_one(changed, others)
    if changed == agent:
        return False
    state.put(changed)
    return True


def opened(state: State, terminal_id: str, number: str) -> bool:
    """A transaction is in this batch; True when it is another than before. Then a settlement of all is over, said or not."""
    if of(state.agent, terminal_id).number == number:
        return False
    put(state, Batch(terminal_id=terminal_id, number=number))
    agent = state.agent
    if agent.batch_state == "settling" and agent.batch != number:
        state.put(replace(agent, batch=None, batch_state="open", settlement_since_ms=None))
    return True


def _without_one(agent: Agent, others: list[Batch]) -> Agent:
    """From now on nothing surely is of all that have no batch of their own: what was said of them once is older than one."""
    gone = min(others, key=lambda batch: batch.state == "settling")
    unknown = None if agent.batch_state == "open" else agent.batch
    return replace(agent, batch=unknown, batches=tuple(batch for batch in agent.batches if batch is not gone))


def booted(state: State) -> None:
    """The clock begins anew, and with it every wait of a settlement."""
    agent = state.agent
    waiting = tuple(replace(batch, held_since_ms=None) for batch in agent.batches)
    state.put(replace(agent, settlement_since_ms=None, batches=waiting))


def settled(state: State, terminal_id: str | None, number: str) -> None:
    """The batch of this number is gone, of this terminal id or (None) of all that are in it."""
    agent = state.agent
    concerned = [batch for batch in agent.batches if terminal_id in {None, batch.terminal_id}]
    if terminal_id is not None and not concerned:
        concerned = [of(agent, terminal_id)]
    for batch in concerned:
        if batch.number in {None, number}:
            put(state, replace(batch, number=number, state="settled", held_since_ms=None))
    agent = state.agent
    if terminal_id is None and agent.batch in {None, number}:
        state.put(replace(agent, batch=number, batch_state="settled", settlement_since_ms=None))
