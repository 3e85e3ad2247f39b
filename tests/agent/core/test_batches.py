"""Several terminal ids on one agent: each has its own batch, and what one's settlement says of it says nothing of the others."""

import msgspec

from agent.core import batches
from agent.core import event as e
from agent.core.batches import TERMINALS_MAX
from agent.core.model import Agent, Batch
from agent.core.state import State
from tests.agent.core.world import MINUTE, SECOND, TERMINAL, World

OTHER = "87654321"


def both(*, batch: str = "000001", **policy: object) -> World:
    """A doubt "a" of the one terminal id, then a doubt "b" of the other, which is in `batch`; the line is down."""
    world = World(**policy)
    world.doubt("a")
    world.doubt("b", stan="000002", terminal_id=OTHER, batch=batch)
    return world


def no_original(world: World, key: str) -> str:
    """The host says twice that it has none, the second time long after the request: where that leaves the reversal."""
    if not world.host_up:
        world.connect()
    for _ in range(200):
        if world.reversal(key).state not in {"pending", "sending", "exhausted"}:
            break
        sending = next((row.id for row in world.state.open_reversals.values() if row.state == "sending"), None)
        if sending is not None:
            world.reply("25", sending)
        else:
            assert world.next_deadline_ms is not None
            world.go_to(world.next_deadline_ms)
    return world.reversal(key).state


def test_T16_the_settlement_of_one_terminal_id_leaves_the_others_no_original_to_be_believed() -> None:
    world = both(pending_after="send")
    world.at(2 * MINUTE)
    world.do(e.BatchChanged(batch="000001", what="settled", terminal_id=OTHER))
    assert no_original(world, "a") == "no_original"
    assert no_original(world, "b") == "refused", "its batch is gone"


def test_T16_a_sale_of_another_terminal_id_in_its_own_batch_changes_no_batch_but_its_own() -> None:
    world = both(batch="000009")
    world.at(2 * MINUTE)
    assert (no_original(world, "a"), no_original(world, "b")) == ("no_original", "no_original")


def test_T16_what_is_said_of_no_terminal_id_is_said_of_all() -> None:
    world = both(pending_after="send")
    world.at(2 * MINUTE)
    world.do(e.BatchChanged(batch="000001", what="settled"))
    assert (no_original(world, "a"), no_original(world, "b")) == ("refused", "refused")


def test_what_is_said_of_no_terminal_id_spares_a_batch_of_another_number() -> None:
    world = both(batch="000009")
    world.do(e.BatchChanged(batch="000001", what="settled"))
    assert (world.states("a")[1], world.states("b")[1]) == ("expired", "pending")
    world.at(2 * MINUTE)
    assert no_original(world, "b") == "no_original"


def test_a_terminal_id_that_was_never_heard_of_belongs_to_all() -> None:
    world = World()
    world.do(e.BatchChanged(batch="000001", what="settling"))
    assert world.open("b", terminal_id=OTHER).proceed == "refuse"


def test_a_settlement_of_all_that_nobody_said_was_over_ends_with_the_next_batch_and_blocks_no_newcomer() -> None:
    world = World()
    world.open("a")
    world.result("approved", "a")
    world.do(e.BatchChanged(batch="000001", what="settling"))
    assert batches.any_settles(world.state.agent)
    assert world.open("b", stan="000002", batch="000002").proceed == "go"
    world.result("approved", "b")
    assert not batches.any_settles(world.state.agent)
    assert world.open("c", stan="000003", terminal_id=OTHER).proceed == "go", "its first batch has the number of that old one"


def test_what_was_settled_for_all_stays_settled_for_a_newcomer() -> None:
    world = World(pending_after="send")
    world.do(e.BatchChanged(batch="000001", what="settled"))
    world.open("b", stan="000002", batch="000002")
    world.result("approved", "b")
    world.doubt("a", terminal_id=OTHER)
    world.at(2 * MINUTE)
    assert no_original(world, "a") == "refused"


def test_only_the_terminal_id_that_settles_sells_nothing() -> None:
    world = World()
    world.open("a")
    world.result("approved", "a")
    world.do(e.BatchChanged(batch="000001", what="settling", terminal_id=TERMINAL))
    assert world.open("b", stan="000002", terminal_id=OTHER).proceed == "go"
    world.result("approved", "b")
    assert world.open("c", stan="000003").proceed == "refuse"
    world.open("d", stan="000004", terminal_id=OTHER, batch="000009")
    world.result("approved", "d")
    assert world.open("e", stan="000005").proceed == "refuse", "another batch of another terminal id does not end it"


def test_the_change_of_one_terminal_ids_batch_ends_no_reversal_of_another() -> None:
    world = both()
    world.do(e.BatchChanged(batch="000002", what="changed", terminal_id=TERMINAL))
    assert (world.states("a")[1], world.states("b")[1]) == ("expired", "pending")


def test_settling_by_name_opens_no_opportunity_of_another_terminal_id() -> None:
    world = both()
    decision = world.do(e.BatchChanged(batch="000001", what="settling", terminal_id=OTHER))
    assert decision.proceed == "wait"
    assert (world.reversal("a").settle_at, world.reversal("b").settle_at) == (None, 1)
    world.do(e.BatchChanged(batch="000002", what="changed", terminal_id=TERMINAL))
    assert world.reversal("b").settle_at == 1, "the turns of another are not forgotten"


def test_one_settlement_that_may_go_does_not_begin_the_wait_of_another_anew() -> None:
    """With the line down for 180 s a settlement goes; one of another terminal id with nothing pending had broken that off."""
    world = World()
    world.doubt()
    world.do(e.HostUnreachable())
    asked = e.SettlementAsked(batch="000001", terminal_id=TERMINAL)
    assert world.do(asked).proceed == "wait"
    world.go_to(100 * SECOND)
    assert world.do(e.SettlementAsked(batch="000001", terminal_id=OTHER)).proceed == "go"
    world.go_to(180 * SECOND)
    assert world.do(asked).proceed == "go"


def test_a_settled_word_about_an_earlier_batch_does_not_close_the_one_that_is_open() -> None:
    world = World()
    world.open("a", batch="000002")
    world.do(e.BatchChanged(batch="000001", what="settled", terminal_id=TERMINAL))
    assert batches.of(world.state.agent, TERMINAL).state == "open"


def test_asking_alone_says_nothing_of_a_batch_that_nobody_named() -> None:
    world = World(settlement_while_pending="refuse")
    world.doubt("a")
    world.state.put(msgspec.structs.replace(world.state.agent, batches=()))  # as after too many others
    world.state.settle()
    assert world.do(e.SettlementAsked(batch="000001", terminal_id=TERMINAL)).proceed == "refuse"
    assert batches.of(world.state.agent, TERMINAL).number is None


def test_a_repeat_goes_on_while_another_terminal_id_settles() -> None:
    world = World()
    world.open("r", stan="000003", kind="refund", vault=None)
    world.do(e.BatchChanged(batch="000001", what="settled", terminal_id=OTHER))
    world.result("no_answer", "r")
    assert world.transaction("r").repeats


# ── rows on disk, and the limit ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_row_of_an_earlier_program_holds_for_every_terminal_id_until_it_is_heard_of() -> None:
    old = msgspec.json.decode(
        b'{"boot_id":"boot-1","boots":3,"version":"1","batch":"000007","batch_state":"settling","settlement_since_ms":5}',
        type=Agent,
    )
    state = State([old])
    for terminal_id in (TERMINAL, OTHER):
        known = batches.of(state.agent, terminal_id)
        assert (known.number, known.state, known.held_since_ms) == ("000007", "settling", 5)
    batches.put(state, Batch(terminal_id=TERMINAL, number="000008"))
    assert batches.of(state.agent, TERMINAL).number == "000008"
    assert batches.of(state.agent, OTHER).state == "settling"


def test_of_too_many_terminal_ids_the_one_longest_without_news_is_forgotten_and_believed_nothing() -> None:
    world = World(pending_after="send")
    world.do(e.BatchChanged(batch="000001", what="changed"))
    world.doubt("a")
    world.do(e.BatchChanged(batch="000001", what="settled", terminal_id=TERMINAL))
    world.do(e.BatchChanged(batch="000001", what="settling", terminal_id=OTHER))
    for number in range(TERMINALS_MAX - 1):
        world.open(f"t{number}", stan=f"{number + 10:06d}", terminal_id=f"{number:08d}", batch="000002")
    agent = world.state.agent
    assert len(agent.batches) == TERMINALS_MAX
    assert batches.of(agent, OTHER).state == "settling", "one that settles is forgotten last"
    assert batches.of(agent, TERMINAL).number is None, "not known, and not what was once said of all"
    world.at(2 * MINUTE)
    assert no_original(world, "a") == "refused"
