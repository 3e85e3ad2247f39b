"""The local API: each call becomes one event, and is answered only when that event is on disk."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import uuid4

import msgspec

from agent.core import event as e
from agent.core.appevent import LinkReported
from agent.core.change import Decision
from agent.core.displayevent import DisplayTestAsked
from agent.core.model import Disposition
from agent.core.playbook import advise
from agent.core.settlementevent import Acknowledged, RefundReported
from agent.core.state import State
from agent.hooks import body as b
from agent.hooks import intake, statements, walletintake, web
from agent.hooks import screenbody as c
from agent.hooks import settlementbody as s
from agent.hooks.access import from_page, not_for_pages
from agent.hooks.masking import masked
from agent.hooks.ports import House
from agent.hooks.problems import Problem, http_problem, respond
from agent.hooks.wire import Wire
from agent.journal.idempotency import Idempotency
from agent.vault import Sealed, Vault

B = TypeVar("B")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOUSE = web.AppKey("house", House)
KEY_MAX = 64
BODY_S = 10.0  # within which a body must have come
ID_MAX = 48  # an id of ours, or the name of a request: that of its transaction, a dot and a number
JSON = "application/json"
_BODIES: tuple[type, ...] = (
    b.Open, b.Empty, b.Result, b.Receipt, b.EvidenceBody, b.DispositionBody, s.Batch, b.TerminalBody, b.Link, b.Resolve,
    b.Recover, b.Reprint, b.Guarantee, b.ReversalBody, b.RequestAnswer, s.Statement, s.RefundBody,
    c.AcknowledgeBody, c.LinkBody, c.SessionBody,
)
BODILESS: frozenset[type] = frozenset({b.Empty, b.Reprint, b.Guarantee, c.LinkBody})  # an empty body means: all defaults
PAYLOADS: dict[type, msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(kind) for kind in _BODIES}


async def read(request: web.Request, kind: type[B]) -> tuple[B, bytes]:
    """The body as its type. Raises Problem 400 naming the field, 413, or 408 when the rest of it does not come."""
    if (request.content_length or 0) > request.client_max_size:
        raise http_problem(413)
    try:
        async with asyncio.timeout(None if request.content.is_eof() else BODY_S):
            raw = await request.read()
    except TimeoutError:
        raise http_problem(408) from None
    if not raw and issubclass(kind, tuple(BODILESS)):
        raw = b"{}"
    try:
        return PAYLOADS[kind].decode(raw), raw
    except msgspec.ValidationError as error:
        raise Problem(400, "invalid-body", f"{error}; correct the body and send it again") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Problem(400, "invalid-json", "the body is not JSON in UTF-8; correct it and send it again") from None


def uid_of(request: web.Request) -> int:
    """The uid behind a Unix socket, as the kernel says; NOBODY for loopback TCP."""
    wire = request.protocol
    assert isinstance(wire, Wire), "the door makes no other"
    return wire.uid


def idempotency(request: web.Request, raw: bytes) -> Idempotency | None:
    """The caller's Idempotency-Key with a digest of what was asked. Raises Problem 400."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= KEY_MAX or not key.isascii() or not key.isprintable():
        raise Problem(400, "invalid-idempotency-key", f"Idempotency-Key takes 1 to {KEY_MAX} printable ASCII characters")
    vault = request.app[HOUSE].vault
    digest = _fingerprint(vault, request.method.encode(), request.path.encode(errors="replace"), raw)
    return Idempotency(uid_of(request), _fingerprint(vault, key.encode()).decode(), digest)


def _fingerprint(vault: Vault | None, *parts: bytes) -> bytes:
    """Tells the same from another. Keyed, where card data may be in it: PCI DSS 3.5.1.1 allows no other hash of it to stay."""
    plain = hashlib.sha256(b"\0".join(parts)).hexdigest()
    return (vault.card_hash(plain) if vault else plain).encode()


def id_of(request: web.Request) -> str:
    """The id in the path. Raises Problem 404 for what no id of ours looks like."""
    key = request.match_info["id"]
    if not key.isascii() or not key.isprintable() or len(key) > ID_MAX:
        raise Problem(404, "no-such-id", "no such id: ids are those that the agent gave")
    return key


def answer(value: object, status: int = 200) -> web.Response:
    """A JSON response."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type=JSON)


def standing(house: House, decision: Decision, status: int = 200) -> web.Response:
    """The transaction as it stands after a decision; a conflict is a problem that also says how it stands."""
    key = decision.transaction or ""
    view = house.inbox.view(key)
    row = view.transactions[key]
    advice = advise(view, row, decision.proceed)
    if decision.conflict is not None:
        problem = Problem(409, decision.conflict, decision.detail).body
        return respond(msgspec.structs.replace(problem, state=row.state, advice=advice, id=key))
    return answer(b.Answer(key, row.state, advice, decision.proceed, decision.retry_after_ms, decision.agreement), status)


def family(house: House, key: str) -> State:
    """A state that holds this transaction, or 404."""
    view = house.inbox.view(key)
    if key not in view.transactions:
        raise Problem(404, "no-such-transaction", f"no transaction {key}")
    return view


async def open_transaction(request: web.Request) -> web.StreamResponse:
    """POST /v1/transactions."""
    house = request.app[HOUSE]
    body, raw = await read(request, b.Open)
    asked, store = idempotency(request, raw), house.inbox.store
    known = asked is not None and store.asked_before(asked, house.inbox.state.now.wall_ms) is not None
    if not known and store.database.short_of_space():
        raise Problem(507, "disk-full", "the disk is nearly full: no new transaction is taken; nothing was written")
    if body.rail == "card":
        down = body.sent and house.line_down()
        event, sealed = intake.opened(body, house.vault, house.inbox.state.agent.policy, line_down=down)
    else:
        event, sealed = walletintake.opened(body, house.tokens), None
    if body.sent:
        house.poke_line()
    decision = await house.inbox.decide(event, sealed, asked)
    return standing(house, decision, 201)


async def ask_sent(request: web.Request) -> web.StreamResponse:
    """POST /v1/transactions/{id}/sent."""
    house, key = request.app[HOUSE], id_of(request)
    _, raw = await read(request, b.Empty)
    event = e.SentAsked(transaction=key, line_down=house.line_down())
    house.poke_line()
    return standing(house, await house.inbox.decide(event, None, idempotency(request, raw)))


async def report_result(request: web.Request) -> web.StreamResponse:
    """POST /v1/transactions/{id}/result."""
    house, key = request.app[HOUSE], id_of(request)
    body, raw = await read(request, b.Result)
    row = family(house, key).transactions[key]
    fresh = intake.chip_for_reversal(body.chip, house.inbox.state.agent.policy)
    sealed = None
    if fresh and body.outcome == "approved_not_completed" and row.vault is not None and house.vault is not None:
        sealed = Sealed(row.vault, house.vault.seal(row.vault, {"55": fresh}))
    decision = await house.inbox.decide(intake.result(row, body), sealed, idempotency(request, raw))
    return standing(house, decision)


async def give_receipt(request: web.Request) -> web.StreamResponse:
    """POST /v1/transactions/{id}/receipt."""
    house, key = request.app[HOUSE], id_of(request)
    body, raw = await read(request, b.Receipt)
    event = e.ReceiptGiven(
        transaction=key, jobs=tuple(str(uuid4()) for _ in range(body.copies)),
        document=intake.document_of(body, family(house, key).transactions[key]),
    )
    return _jobs(house, await house.inbox.decide(event, None, idempotency(request, raw)))


async def order_reprint(request: web.Request) -> web.StreamResponse:
    """POST /v1/transactions/{id}/reprint."""
    house, key = request.app[HOUSE], id_of(request)
    body, raw = await read(request, b.Reprint)
    event = e.ReprintAsked(transaction=key, job=str(uuid4()), blank=body.blank)
    return _jobs(house, await house.inbox.decide(event, None, idempotency(request, raw)))


async def order_guarantee(request: web.Request) -> web.StreamResponse:
    """POST /v1/transactions/{id}/guarantee."""
    house, key = request.app[HOUSE], id_of(request)
    body, raw = await read(request, b.Guarantee)
    event = e.GuaranteeAsked(
        transaction=key, jobs=tuple(str(uuid4()) for _ in range(body.copies)), version=body.version,
        contact=body.contact and masked(body.contact),
    )
    return _jobs(house, await house.inbox.decide(event, None, idempotency(request, raw)))


async def print_test(request: web.Request) -> web.StreamResponse:
    """POST /v1/print/test."""
    house = request.app[HOUSE]
    _, raw = await read(request, b.Empty)
    event = e.TestPrintAsked(job=str(uuid4()))
    return _jobs(house, await house.inbox.decide(event, None, idempotency(request, raw)))


async def test_display(request: web.Request) -> web.StreamResponse:
    """POST /v1/display/test."""
    _, raw = await read(request, b.Empty)
    await _take(request, DisplayTestAsked(), raw)
    return answer(b.Done(), 202)


def _jobs(house: House, decision: Decision) -> web.Response:
    printer = house.inbox.state.printer
    return answer(b.JobAnswer(decision.jobs, printer.fault, printer.paper, decision.transaction), 202)


async def give_evidence(request: web.Request) -> web.StreamResponse:
    """POST /v1/transactions/{id}/evidence."""
    house, key = request.app[HOUSE], id_of(request)
    body, raw = await read(request, b.EvidenceBody)
    event = e.EvidenceGiven(transaction=key, evidence=walletintake.evidence_of(family(house, key).transactions[key], body))
    return standing(house, await house.inbox.decide(event, None, idempotency(request, raw)))


async def give_disposition(request: web.Request) -> web.StreamResponse:
    """POST /v1/transactions/{id}/disposition."""
    house, key = request.app[HOUSE], id_of(request)
    body, raw = await read(request, b.DispositionBody)
    if body.by_hand is not None and from_page(request):
        raise not_for_pages()  # it ends the reversal
    said = Disposition(
        body.goods, body.replaced_by and masked(body.replaced_by), body.accepts_risk,
        body.contact and masked(body.contact),
    )
    event = e.DispositionGiven(transaction=key, disposition=said, by_hand=body.by_hand)
    return standing(house, await house.inbox.decide(event, None, idempotency(request, raw)))


async def acknowledge(request: web.Request) -> web.StreamResponse:
    """POST /v1/transactions/{id}/acknowledge."""
    house, key = request.app[HOUSE], id_of(request)
    body, raw = await read(request, c.AcknowledgeBody)
    event = Acknowledged(transaction=key, code=body.code, by=masked(body.by))
    return standing(house, await house.inbox.decide(event, None, idempotency(request, raw)))


async def report_refund(request: web.Request) -> web.StreamResponse:
    """POST /v1/transactions/{id}/refund."""
    house, key = request.app[HOUSE], id_of(request)
    body, raw = await read(request, s.RefundBody)
    event = RefundReported(transaction=key, by=masked(body.by), confirmed=body.confirmed, amount_fen=body.amount_fen)
    return standing(house, await house.inbox.decide(event, None, idempotency(request, raw)))


async def import_settlement(request: web.Request) -> web.StreamResponse:
    """POST /v1/settlements: a whole statement, or the next part of one; the last part applies all of it."""
    house = request.app[HOUSE]
    body, raw = await read(request, s.Statement)
    verdicts = request.app[statements.DESK].take(body)
    if verdicts is None:
        return answer(s.StatementAnswer(masked(body.statement), applied=False, report=None))
    event = await statements.event_of(house, body, verdicts)
    if body.preview:
        return answer(s.StatementAnswer(masked(body.statement), applied=False, report=statements.preview(house, event)))
    decision = await house.inbox.decide(event, None, idempotency(request, raw))
    return answer(s.StatementAnswer(masked(body.statement), applied=True, report=decision.report))


async def order_recovery(request: web.Request) -> web.StreamResponse:
    """POST /v1/transactions/{id}/recover."""
    house, key = request.app[HOUSE], id_of(request)
    body, raw = await read(request, b.Recover)
    event = e.ReversalOrdered(transaction=key, by=masked(body.by))
    return standing(house, await house.inbox.decide(event, None, idempotency(request, raw)))


async def report_reversal(request: web.Request) -> web.StreamResponse:
    """POST /v1/transactions/{id}/reversal."""
    house, key = request.app[HOUSE], id_of(request)
    body, raw = await read(request, b.ReversalBody)
    return standing(house, await house.inbox.decide(intake.reversal(key, body), None, idempotency(request, raw)))


async def answer_request(request: web.Request) -> web.StreamResponse:
    """POST /v1/requests/{id}."""
    house, key = request.app[HOUSE], id_of(request)
    body, raw = await read(request, b.RequestAnswer)
    return standing(house, await house.inbox.decide(intake.request_answer(key, body), None, idempotency(request, raw)))


async def change_batch(request: web.Request) -> web.StreamResponse:
    """POST /v1/batch."""
    body, raw = await read(request, s.Batch)
    event = e.BatchChanged(batch=body.batch, what=body.event, terminal_id=body.terminal_id)
    said: Decision = await _take(request, event, raw)
    if said.proceed is None:
        return answer(s.BatchAnswer(ok=True))
    rows = request.app[HOUSE].inbox.state.open_reversals.values()
    pending = sum(row.pending for row in rows if body.terminal_id in {None, row.terminal_id})
    return answer(s.BatchAnswer(ok=True, proceed=said.proceed, retry_after_ms=said.retry_after_ms, pending_reversals=pending))


async def change_terminal(request: web.Request) -> web.StreamResponse:
    """POST /v1/terminal."""
    body, raw = await read(request, b.TerminalBody)
    await _take(request, e.TerminalChanged(what=body.event), raw)
    return answer(b.Done())


async def report_link(request: web.Request) -> web.StreamResponse:
    """POST /v1/link: a hint to look at the line now; the host probe is the proof. Without a line of ours it is all we know."""
    house = request.app[HOUSE]
    body, raw = await read(request, b.Link)
    if house.inbox.state.agent.policy.mode == "payapp":
        await _take(request, LinkReported(up=body.state == "up"), raw)
    else:
        house.network_changed()
    return answer(b.Done())


async def resolve_incident(request: web.Request) -> web.StreamResponse:
    """POST /v1/incidents/{id}/resolve."""
    house, key = request.app[HOUSE], id_of(request)
    body, raw = await read(request, b.Resolve)
    found = house.inbox.state.incidents.get(key) or house.inbox.store.incident(key)
    if found is None:
        raise Problem(404, "no-such-incident", f"no incident {key}")
    event = e.IncidentResolved(
        incident=key, transaction=found.transaction, resolution=body.resolution, by=masked(body.by),
        note=masked(body.note),
    )
    await _take(request, event, raw)
    return answer(b.Done())


async def _take(request: web.Request, event: e.Event, raw: bytes) -> Any:
    return await request.app[HOUSE].inbox.decide(event, None, idempotency(request, raw))
