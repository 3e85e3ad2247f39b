"""One way in: any sequence of events keeps the invariants, a refused one leaves no trace, and the same ones come to the same."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import event as e
from agent.core.accounts import Settled
from agent.core.change import Rejected
from agent.core.model import Disposition, Document, DocumentLine, Evidence, Original
from agent.core.state import State
from agent.core.step import step
from tests.agent.core.books import D0
from tests.agent.core.world import DAY, MERCHANT, MINUTE, TERMINAL, World

KEYS = ("a", "b", "c")
CODES = ("00", "25", "12", "96", "94", "13", "A0", "68", "ZZ", None)
LEVELS = ("UNPRINTED", "PARTIAL", "SENT_UNCONFIRMED", "FENCED", "CONFIRMED", "UNKNOWN")
OUTCOMES = ("approved", "declined", "no_answer", "bad_mac", "not_sent", "approved_not_completed")
PAPER = Document((DocumentLine("x"),))


def booked() -> st.SearchStrategy[Settled]:
    """A line of a settlement file about one of the transactions, or nearly."""
    return st.builds(
        Settled, number=st.just(1), day=st.integers(D0, D0 + 3), direction=st.sampled_from(("debit", "debit", "credit")),
        amount_fen=st.sampled_from((1, 100, 100, 101)), batch=st.just("000001"), stan=st.sampled_from(("000001", "000002")),
        nth=st.integers(1, 2),
    )


@st.composite
def events(draw: st.DrawFn) -> tuple[str, Any]:
    """("event", …), ("reply", key, code, mac), ("boot", new) or ("pass", ms): a random thing that can happen."""
    key = draw(st.sampled_from(KEYS))
    batch = draw(st.sampled_from(("000001", "000001", "000001", "000002")))
    down = draw(st.booleans())
    match draw(st.integers(0, 23)):
        case 0 | 1 | 2:
            kind = draw(st.sampled_from(("sale", "sale", "void", "instalment")))
            return "event", e.Opened(
                transaction=key, rail="card", kind=kind, amount_fen=draw(st.sampled_from((1, 100))), currency="156",
                stan=draw(st.sampled_from(("000001", "000002"))), batch=batch, terminal_id=TERMINAL, merchant_id=MERCHANT,
                ask=draw(st.booleans()), line_down=down, vault=f"vault-{key}",
                original=Original("000001", "000001") if kind == "void" else None,
            )
        case 3:
            return "event", e.SentAsked(transaction=key, line_down=down)
        case 4 | 5:
            outcome = draw(st.sampled_from(OUTCOMES))
            return "event", e.ResultReported(
                transaction=key, outcome=outcome, response_code=draw(st.sampled_from((None, "00", "51", "91"))),
                receipt=PAPER, job=f"r-{key}-{draw(st.integers(0, 99))}",
            )
        case 6:
            return "event", e.BatchChanged(batch=batch, what=draw(st.sampled_from(("settling", "settled", "changed"))))
        case 7:
            return "event", e.TerminalChanged(what=draw(st.sampled_from(("signed_in", "key_changed", "rebooted"))))
        case 8:
            return "event", e.ReversalOrdered(transaction=key, by="ops")
        case 9:
            return "resolve", draw(st.integers(0, 9))
        case 10 | 11:
            return "event", e.HostReachable(after_failure=down)
        case 12:
            return "event", draw(st.sampled_from((e.HostUnreachable(), e.LineLost(), e.EchoReply(code="00"))))
        case 13:
            return "event", e.SendFailed(transaction=key, why=draw(st.sampled_from(("line", "mac", "unpackable"))))
        case 14 | 15 | 16:
            return "reply", (key, draw(st.sampled_from(CODES)), draw(st.sampled_from(("good", "good", "bad", "missing"))))
        case 17:
            return "boot", down
        case 18:
            return "job", (draw(st.integers(0, 9)), draw(st.sampled_from(LEVELS)), draw(st.sampled_from(("none", "paper_out"))))
        case 19:
            return "event", draw(
                st.sampled_from(
                    (
                        e.EvidenceGiven(transaction=key, evidence=Evidence(kind="debit_sms")),
                        e.DispositionGiven(transaction=key, disposition=Disposition(accepts_risk=True)),
                        e.NoiseReceived(what="unasked"),
                        e.ReprintAsked(transaction=key, job=f"copy-{key}-{draw(st.integers(0, 99))}"),
                        e.PrinterSeen(fault="none"),
                        e.Acknowledged(transaction=key, code=draw(st.sampled_from(("P5", "P7a", "P15", "P16a"))), by="Li"),
                    )
                )
            )
        case 20 | 21:
            days = draw(st.sampled_from(((D0,), (D0, D0 + 1), (D0 + 1,), tuple(range(D0, D0 + 9)))))
            lines = draw(st.lists(booked(), max_size=3))
            return "event", e.SettlementImported(
                statement=str(draw(st.integers(0, 9))), terminal_id=TERMINAL, days=days, lines=tuple(lines), families=KEYS,
            )
        case 22:
            said = Disposition(
                goods=draw(st.sampled_from((None, "held", "released", "returned"))),
                replaced_by=draw(st.sampled_from((None, "cash", "none", *KEYS))),
            )
            by_hand = draw(st.sampled_from((None, None, "refunded", "voided")))
            return "event", e.DispositionGiven(transaction=key, disposition=said, by_hand=by_hand)
        case 23:
            amount_fen = draw(st.sampled_from((None, 1, 60, 100)))
            return "event", e.RefundReported(transaction=key, by="Li", confirmed=draw(st.booleans()), amount_fen=amount_fen)
        case _:
            return "pass", draw(st.sampled_from((1, 30_000, 60_000, 65_000, 10 * MINUTE, DAY)))


def play(script: list[tuple[str, Any]]) -> World:
    """Play it; refused events must leave the world as it was."""
    world = World()
    for what, value in script:
        before = world.all_rows() if what == "event" else {}
        try:
            _do(world, what, value)
        except Rejected:
            assert what != "event" or world.all_rows() == before
    return world


def _do(world: World, what: str, value: Any) -> None:
    match what:
        case "event":
            world.do(value)
        case "boot":
            world.boot(new=value)
        case "pass":
            world.go_to(world.now_ms + value)
        case "reply":
            key, code, mac = value
            if key in world.state.reversals:
                world.reply(code, key, mac=mac)
        case "job":
            number, level, fault = value
            jobs = list(world.state.jobs)
            if jobs:
                world.finish_job(jobs[number % len(jobs)], level, fault=fault)
        case "resolve":
            rows = list(world.state.incidents.values())
            if rows:
                row = rows[value % len(rows)]
                world.do(e.IncidentResolved(incident=row.id, transaction=row.transaction, resolution="no_action", by="Li"))


@given(st.lists(events(), max_size=40))
@settings(max_examples=400)
def test_no_sequence_of_events_breaks_an_invariant_or_loses_a_debt(script: list[tuple[str, Any]]) -> None:
    world = play(script)  # every step asserts the invariants of the rows it touched
    for row in world.state.transactions.values():
        if row.state in {"in_doubt", "reversing", "approved_not_completed"}:
            assert world.reversal(row.id).pending
        if row.state in {"unresolved", "declined_uncertain"}:
            assert any(incident.open for incident in world.state.incidents_of(row.id))


@given(st.lists(events(), max_size=40))
@settings(max_examples=200)
def test_the_same_events_come_to_the_same_rows_also_when_the_state_was_loaded_anew(script: list[tuple[str, Any]]) -> None:
    world = play(script)
    again = State()
    for event, now in world.steps:
        step(again, event, now)
        again.settle()
        # what is on disk is rows alone: a state made of them goes on like the one that was there
        again = State(
            [
                again.agent, again.line, again.printer, again.display, again.streaks, again.ledger,
                *sorted(again.transactions.values(), key=lambda row: row.number),
                *again.reversals.values(), *again.incidents.values(), *again.jobs.values(),
            ]
        )
    rebuilt = World(boot=False)
    rebuilt.state = again
    assert rebuilt.all_rows() == world.all_rows()


@given(st.lists(events(), max_size=30))
@settings(max_examples=100)
def test_a_rollback_restores_everything(script: list[tuple[str, Any]]) -> None:
    world = play(script)
    before, opened = world.all_rows(), set(world.state.open_transactions) | set(world.state.open_reversals)
    mark = world.state.mark()
    step(world.state, e.Booted(version="2", policy=world.policy), world.now)
    world.state.rollback(mark)
    assert world.all_rows() == before
    assert set(world.state.open_transactions) | set(world.state.open_reversals) == opened


def test_every_event_has_a_handler_and_a_stable_name() -> None:
    assert len({kind.__struct_config__.tag for kind in e.Event.__args__}) == len(e.Event.__args__)


def test_closed_families_are_forgotten_oldest_first_and_open_ones_never() -> None:
    world = World()
    world.doubt("a")
    for number, key in enumerate("bcd", start=2):
        world.open(key, stan=f"{number:06d}", amount_fen=200, ask=False)
        world.result("not_sent", key)
    world.state.forget_closed(keep=2)
    assert set(world.state.transactions) == {"a", "d"}
    assert set(world.state.family) == {"a", "d"}


def test_what_an_open_transaction_is_judged_by_is_not_forgotten() -> None:
    world = World()
    world.doubt("a", basket_id="7")
    world.open("b", stan="000002", basket_id="7", ask=False)
    world.result("not_sent", "b")
    assert world.transaction("a").repeated_by == "b"
    world.open("c", stan="000003", amount_fen=200, ask=False)
    world.result("not_sent", "c")
    world.state.forget_closed(keep=0)
    assert set(world.state.transactions) == {"a", "b"}, "whether the repeat was paid decides about a"
    world.open("v", stan="000004", kind="void", original=Original("000001", "000002"), ask=False)
    world.result("not_sent", "v")
    world.state.forget_closed(keep=0)
    assert set(world.state.transactions) == {"a", "b", "v"}, "and whether it was taken back"


def test_closed_rows_that_belong_to_no_transaction_are_forgotten_too_oldest_first_and_open_ones_never() -> None:
    world = World()
    for number in range(4):
        world.do(e.TestPrintAsked(job=f"t{number}"))
        world.finish_job(f"t{number}", "CONFIRMED")
    world.do(e.PrinterSeen(fault="paper_out", paper="out"))
    world.do(e.PrinterSeen(fault="none", paper="ok"))
    world.do(e.PrinterSeen(fault="cover_open", paper="ok"))
    world.do(e.TestPrintAsked(job="waits"))
    assert world.state.remembered == 7
    world.state.forget_closed(keep=3)
    assert list(world.state.jobs) == ["waits"]
    assert [row.open for row in world.state.incidents.values()] == [False, True], "the youngest closed one is kept"
    world.state.forget_closed(keep=0)
    assert (list(world.state.jobs), [row.open for row in world.state.incidents.values()]) == (["waits"], [True])
    world.do(e.PrinterSeen(fault="none", paper="ok"))
    world.finish_job("waits", "CONFIRMED")
    world.state.forget_closed(keep=0)
    assert (world.state.jobs, world.state.incidents, world.state.family) == ({}, {}, {})
