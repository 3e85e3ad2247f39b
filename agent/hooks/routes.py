"""Every call of the local API in one table; the server and the OpenAPI description are both made from it."""

import re
from typing import Any, Literal, NamedTuple

import msgspec

from agent.hooks import api, assets, stream, views, web
from agent.hooks import body as b
from agent.hooks import screenbody as c
from agent.hooks import settlementbody as s


class Route(NamedTuple):
    """One call: what is posted, what comes back with which status and media type, what it is for, and who may call.

    `access` on the loopback port: "token", "page" (a page token will do), or "open" (no token; it gives away nothing). The
    Unix socket knows its callers by uid.
    """

    method: str
    path: str
    handler: api.Handler
    takes: type | None
    gives: type | None
    status: int
    summary: str
    media: str = api.JSON
    access: Literal["token", "page", "open"] = "token"


async def get_openapi(request: web.Request) -> web.StreamResponse:
    """GET /v1/openapi.json."""
    return api.answer(openapi(request.app[api.HOUSE].version))


ROUTES = (
    Route("POST", "/v1/transactions", api.open_transaction, b.Open, b.Answer, 201, "open a transaction"),
    Route("POST", "/v1/transactions/{id}/sent", api.ask_sent, b.Empty, b.Answer, 200, "may the first byte leave?"),
    Route("POST", "/v1/transactions/{id}/result", api.report_result, b.Result, b.Answer, 200, "what the app heard from the host"),
    Route("POST", "/v1/transactions/{id}/receipt", api.give_receipt, b.Receipt, b.JobAnswer, 202, "print the genuine receipt"),
    Route(
        "POST", "/v1/transactions/{id}/reprint", api.order_reprint, b.Reprint, b.JobAnswer, 202, "print a marked copy",
        access="page",
    ),
    Route(
        "POST", "/v1/transactions/{id}/guarantee", api.order_guarantee, b.Guarantee, b.JobAnswer, 202, "print the guarantee note",
        access="page",
    ),
    Route(
        "POST", "/v1/transactions/{id}/evidence", api.give_evidence, b.EvidenceBody, b.Answer, 200, "what the customer shows",
        access="page",
    ),
    Route(
        "POST", "/v1/transactions/{id}/disposition", api.give_disposition, b.DispositionBody, b.Answer, 200,
        "where goods and money went", access="page",
    ),
    Route(
        "POST", "/v1/transactions/{id}/acknowledge", api.acknowledge, c.AcknowledgeBody, b.Answer, 200,
        "a person has read what is left open", access="page",
    ),
    Route("POST", "/v1/transactions/{id}/refund", api.report_refund, s.RefundBody, b.Answer, 200, "confirmed or made"),
    Route("POST", "/v1/settlements", api.import_settlement, s.Statement, s.StatementAnswer, 200, "what the settlement file says"),
    Route("POST", "/v1/transactions/{id}/recover", api.order_recovery, b.Recover, b.Answer, 200, "send the reversal again"),
    Route(
        "POST", "/v1/transactions/{id}/reversal", api.report_reversal, b.ReversalBody, b.Answer, 200,
        "what became of the app's own 0400",
    ),
    Route("POST", "/v1/requests/{id}", api.answer_request, b.RequestAnswer, b.Answer, 200, "the answer to a request of ours"),
    Route("GET", "/v1/transactions/{id}", views.get_transaction, None, b.Detail, 200, "one transaction", access="page"),
    Route(
        "GET", "/v1/transactions/{id}/timeline", assets.get_timeline, None, c.Story, 200, "the story of a transaction, in words",
        access="page",
    ),
    Route("POST", "/v1/batch", api.change_batch, s.Batch, s.BatchAnswer, 200, "the app settles or changes its batch"),
    Route("POST", "/v1/terminal", api.change_terminal, b.TerminalBody, b.Done, 200, "sign-in, key change, reboot"),
    Route("POST", "/v1/link", api.report_link, b.Link, b.Done, 200, "the platform's word on the network"),
    Route("POST", "/v1/print/test", api.print_test, b.Empty, b.JobAnswer, 202, "a test page"),
    Route("POST", "/v1/display/test", api.test_display, b.Empty, b.Done, 202, "the test pattern on the customer display"),
    Route("GET", "/v1/incidents", views.list_incidents, None, b.Page, 200, "incidents, newest first"),
    Route("GET", "/v1/incidents/{id}", views.get_incident, None, b.IncidentItem, 200, "one incident"),
    Route("POST", "/v1/incidents/{id}/resolve", api.resolve_incident, b.Resolve, b.Done, 200, "a person closes a case"),
    Route("GET", "/v1/status", views.get_status, None, b.Status, 200, "how the agent is"),
    Route("GET", "/v1/ready", views.get_ready, None, b.Ready, 200, "may a sale begin?"),
    Route(
        "GET", "/v1/events", stream.get_events, None, None, 200, "server-sent events, resumable by Last-Event-ID",
        "text/event-stream", "page",
    ),
    Route("GET", "/v1/cashier", assets.get_cashier, None, c.Till, 200, "what the cashier's screen shows", access="page"),
    Route("GET", "/v1/overview", assets.get_overview, None, c.Overview, 200, "what the technician's page shows", access="page"),
    Route("POST", "/v1/pages/link", assets.make_link, c.LinkBody, c.LinkAnswer, 201, "an address for a browser, good for once"),
    Route(
        "POST", "/v1/pages/session", assets.begin_session, c.SessionBody, c.SessionAnswer, 201,
        "the page hands in its link and gets a page token", access="open",
    ),
    Route("GET", "/", assets.technician_page, None, None, 200, "the technician's page", "text/html", "open"),
    Route("GET", "/cashier", assets.cashier_page, None, None, 200, "the cashier's screen", "text/html", "open"),
    Route("GET", "/pages/{name}", assets.page_part, None, None, 200, "a part of the pages", "*/*", "open"),
    Route("GET", "/v1/openapi.json", get_openapi, None, None, 200, "this description"),
    Route("GET", "/healthz", views.get_health, None, b.Health, 200, "alive"),
    Route("GET", "/metrics", views.get_metrics, None, None, 200, "Prometheus text", "text/plain"),
)


_IN_PATH: dict[str, dict[str, Any]] = {
    "id": {"type": "string", "maxLength": api.ID_MAX},
    "name": {"type": "string", "enum": list(assets.PARTS)},
}
_LANG = {
    "name": "lang", "in": "query", "description": "by default the terminal's own",
    "schema": {"type": "string", "enum": ["zh", "en"]},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key", "in": "header",
    "description": "the same key and body get the first answer, for 24 hours; with another body 409",
    "schema": {"type": "string", "minLength": 1, "maxLength": api.KEY_MAX, "pattern": "^[ -~]+$"},
}
_PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "/v1/overview": [_LANG],
    "/v1/transactions/{id}/timeline": [_LANG],
    "/": [_LANG],
    "/cashier": [_LANG],
    "/v1/incidents": [
        {"name": "open", "in": "query", "description": "true: only open ones", "schema": {"type": "boolean"}},
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": views.PAGE_MAX, "default": 50}},
        {"name": "before", "in": "query", "description": "`next` of a page", "schema": {"type": "integer", "minimum": 1}},
    ],
    "/v1/events": [
        {
            "name": "Last-Event-ID", "in": "header", "description": "the last `id:` that was seen; without it, from now on",
            "schema": {"type": "string", "pattern": "^[0-9]{1,17}$"},
        },
        {
            "name": "requests", "in": "query", "schema": {"type": "boolean", "default": False},
            "description": "true: this listener is the payment app and answers our requests; it first hears those that are open",
        },
    ],
}


def openapi(version: str) -> dict[str, Any]:
    """OpenAPI 3.1, from the types."""
    types = {kind for route in ROUTES for kind in (route.takes, route.gives) if kind is not None} | {b.ProblemBody}
    ordered = sorted(types, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "reversald local API", "version": version,
            "description": "HTTP/1.1 and JSON on a Unix socket; on loopback TCP with a bearer token. Money is whole fen.",
        },
        "paths": paths,
        "components": {
            "schemas": _portable(dict(sorted(components.items()))),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "on loopback TCP only"},
                "page": {"type": "http", "scheme": "bearer", "description": "a page token, for the calls of the pages"},
            },
        },
        "security": [{}, {"token": []}],
    }


def _portable(schema: Any) -> Any:
    """Patterns as ECMA-262 writes them, whose `$` is the end of the text and nothing else."""
    if isinstance(schema, dict):
        return {
            key: value.replace(r"\Z", "$") if key == "pattern" and isinstance(value, str) else _portable(value)
            for key, value in schema.items()
        }
    return [_portable(item) for item in schema] if isinstance(schema, list) else schema


def _operation(route: Route) -> dict[str, Any]:
    given = {route.media: {"schema": _ref(route.gives)}} if route.gives else {route.media: {}}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.handler.__name__,
        "responses": {
            str(route.status): {"description": "done", "content": given},
            "default": {
                "description": "a problem (RFC 9457)", "content": {"application/problem+json": {"schema": _ref(b.ProblemBody)}},
            },
        },
    }
    if route.access != "token":
        operation["security"] = [{}] if route.access == "open" else [{}, {"token": []}, {"page": []}]
    placed = re.findall(r"{(\w+)}", route.path)
    parameters = [
        *({"name": name, "in": "path", "required": True, "schema": _IN_PATH[name]} for name in placed),
        *([_IDEMPOTENCY_KEY] if route.method == "POST" and not route.path.startswith("/v1/pages/") else []),
        *_PARAMETERS.get(route.path, []),
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.takes is not None:
        required = route.takes not in api.BODILESS
        operation["requestBody"] = {"required": required, "content": {api.JSON: {"schema": _ref(route.takes)}}}
    return operation


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
