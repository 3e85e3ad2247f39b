"""What can be read: transactions, incidents, how the agent is. Reading never changes what the core remembers."""

import msgspec

from agent.core import batches, gate
from agent.core.model import Agent, Incident, Transaction
from agent.core.playbook import advise
from agent.core.receipt import paper_mm
from agent.core.state import State
from agent.core.verdict import booked_fen
from agent.hooks import body as b
from agent.hooks import settlementbody as s
from agent.hooks import web
from agent.hooks.api import HOUSE, answer, family, id_of
from agent.hooks.ports import House
from agent.hooks.problems import Problem

PAGE_MAX = 200
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


async def get_transaction(request: web.Request) -> web.StreamResponse:
    """GET /v1/transactions/{id}."""
    key = id_of(request)
    return answer(detail_of(family(request.app[HOUSE], key), key))


def detail_of(view: State, key: str) -> b.Detail:
    """Everything about one transaction, masked."""
    row, reversal = view.transactions[key], view.reversals.get(key)
    return b.Detail(
        id=key, state=row.state, advice=advise(view, row), kind=row.kind, amount_fen=row.amount_fen, stan=row.stan,
        batch=row.batch, terminal_id=row.terminal_id,
        card=(row.masked_pan or row.last4) if row.order is None else None, rrn=row.rrn,
        response_code=row.response_code,
        reversal=b.ReversalItem(reversal.state, reversal.reason, reversal.sends, reversal.response_code) if reversal else None,
        order=_order(row),
        jobs=[{"id": job.id, "what": job.what, "state": job.state, "marked": job.marked} for job in view.jobs_of(key)],
        incidents=[item_of(incident) for incident in view.incidents_of(key)],
        disposition=row.disposition, settlement=settlement_of(row), refund=refund_of(row),
    )


def _order(row: Transaction) -> b.OrderItem | None:
    order = row.order
    if order is None:
        return None
    return b.OrderItem(row.wallet or "", order.order_no, order.said, order.asked, order.cancels, order.refunds)


def settlement_of(row: Transaction) -> s.SettlementItem | None:
    """What the settlement files say of it."""
    account = row.account
    if account is None:
        return None
    return s.SettlementItem(account.verdict, account.final, account.case, booked_fen(row, account))


def refund_of(row: Transaction) -> s.RefundItem | None:
    """Its refund work item."""
    item = row.refund
    return None if item is None else s.RefundItem(item.number, item.state, item.due_fen, item.refunded_fen)


def item_of(row: Incident) -> b.IncidentItem:
    """One incident, for people."""
    return b.IncidentItem(
        id=row.id, transaction=row.transaction, code=row.code, opened_at=row.opened.wall_ms, open=row.open, owner=row.owner,
        next_action=row.next_action, number=row.number, resolution=row.resolution,
    )


async def get_incident(request: web.Request) -> web.StreamResponse:
    """GET /v1/incidents/{id}."""
    house, key = request.app[HOUSE], id_of(request)
    found = house.inbox.state.incidents.get(key) or house.inbox.store.incident(key)
    if found is None:
        raise Problem(404, "no-such-incident", f"no incident {key}")
    return answer(item_of(found))


async def list_incidents(request: web.Request) -> web.StreamResponse:
    """GET /v1/incidents?open=true&limit=&before=: newest first."""
    query = request.query
    unknown = set(query) - {"open", "limit", "before"}
    if unknown or query.get("open", "true") not in {"true", "false"}:
        raise Problem(400, "invalid-query", "known are open=true|false, limit=1…200 and before=<next of the page before>")
    limit, before = _number(query.get("limit", "50"), PAGE_MAX), _number(query.get("before", str(2**53)), 2**53)
    only_open = query.get("open") == "true"
    rows = request.app[HOUSE].inbox.store.incidents(only_open=only_open, before=before, limit=limit + 1)
    items = [item_of(row) for row in rows[:limit]]
    return answer(b.Page(items, items[-1].number if len(rows) > limit else None))


def _number(text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:17]) <= most:
        raise Problem(400, "invalid-query", f"a whole number from 1 to {most} is wanted")
    return int(text)


def status_of(house: House) -> b.Status:
    """How the agent is, in one struct: API, metrics and `snap` all come from here."""
    state, store = house.inbox.state, house.inbox.store
    agent, pending = state.agent, [row for row in state.open_reversals.values() if row.pending]
    batch, now_ms = batches.at_the_till(agent), house.boottime_ms()
    stamps = [state.transactions[row.id].opened for row in pending]
    ages = [now_ms - stamp.mono_ms if stamp.boot == agent.boots else now_ms for stamp in stamps]
    doubt = [row for row in state.open_transactions.values() if row.state in b.IN_DOUBT]
    return b.Status(
        version=house.version, mode=agent.policy.mode, terminal_id=agent.policy.terminal_id, boots=agent.boots,
        batch=batch.number, batch_state=batch.state, batches=_batches(agent), pending_reversals=len(pending),
        oldest_pending_ms=max(ages, default=None), money_in_doubt_fen=sum(row.amount_fen for row in doubt),
        open_incidents=len(state.open_incidents), line={None: "unknown", True: "up", False: "down"}[state.line.up],
        printer=state.printer.fault if agent.policy.has_printer else "disabled", paper=state.printer.paper,
        jobs_waiting=len(state.open_jobs), printed=state.printer.printed,
        printed_lines=state.printer.printed_lines, printed_mm=paper_mm(state.printer.printed_lines),
        print_failures=state.printer.failures, journal_seq=store.seq,
        display=state.display.fault if agent.policy.has_display else "disabled",
        journal_hash=store.hash.hex(), scrub_owed=store.scrub_owed,
    )


def _batches(agent: Agent) -> list[s.TerminalBatch]:
    return [s.TerminalBatch(each.terminal_id or "", each.number, each.state) for each in agent.batches]


async def get_status(request: web.Request) -> web.StreamResponse:
    """GET /v1/status."""
    return answer(status_of(request.app[HOUSE]))


async def get_ready(request: web.Request) -> web.StreamResponse:
    """GET /v1/ready: what stands before a sale, without asking for permission."""
    house = request.app[HOUSE]
    state = house.inbox.state
    gated = state.agent.policy.mode != "payapp"  # there the app's own kernel lets reversals go first
    blocks = any(row.blocks for row in state.open_reversals.values()) or gate.line_is_ours(state)
    reasons = {
        "disk_full": house.inbox.store.database.short_of_space(),
        "batch_settling": gated and batches.any_settles(state.agent),
        "line_down": gated and blocks and house.line_down(),
        "reversal_first": gated and blocks and not house.line_down(),
        "transaction_running": gated and any(row.state == "sent" for row in state.open_transactions.values()),
    }
    found = [reason for reason, holds in reasons.items() if holds]
    return answer(b.Ready(not found, found))


async def get_health(request: web.Request) -> web.StreamResponse:
    """GET /healthz."""
    house = request.app[HOUSE]
    return answer(b.Health(ok=True, version=house.version, seq=house.inbox.store.seq))


async def get_metrics(request: web.Request) -> web.StreamResponse:
    """GET /metrics: Prometheus text, from the status."""
    values = msgspec.to_builtins(status_of(request.app[HOUSE]))
    lines: list[str] = []
    for name, value in values.items():
        if isinstance(value, int):
            lines += [f"# TYPE reversald_{name} gauge", f"reversald_{name} {int(value)}"]
    labels = {name: values[name] for name in ("version", "mode", "line", "printer", "paper", "display", "batch_state")}
    text = ",".join(f'{name}="{value}"' for name, value in labels.items())
    lines += ["# TYPE reversald_state gauge", f"reversald_state{{{text}}} 1", ""]
    return web.Response(body="\n".join(lines).encode(), headers={"Content-Type": PROMETHEUS})
