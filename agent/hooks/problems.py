"""Every bad input gets a problem+json that says who is at fault, what was wrong and what to do; never a PAN, never a trace."""

import http

import msgspec

from agent.hooks import web
from agent.hooks.body import ProblemBody
from agent.hooks.masking import masked

DETAIL_MAX = 400


class Problem(Exception):
    """An answer that is not a success; `code` becomes the stable `type`."""

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        # Cut before, so that a long one is no work, and behind, so that no half of a card number is left at the end.
        said = masked(detail[: 2 * DETAIL_MAX], longer_too=True)[:DETAIL_MAX]
        super().__init__(said)
        self.body = ProblemBody(
            type=f"urn:reversald:problem:{code}", title=http.HTTPStatus(status).phrase, status=status, detail=said
        )
        self.headers = headers


_CODES = {
    400: ("not-http", "this is not a well-formed HTTP/1.1 request; nothing was done"),
    408: ("body-too-slow", "the rest of the body did not come; nothing was done, send it again"),
    404: ("no-such-call", "there is no such call; /v1/openapi.json lists them"),
    405: ("method-not-allowed", "the call exists, but not with this method; `Allow` names those it has"),
    413: ("body-too-large", "the body is larger than the agent takes; nothing was done"),
    417: ("expectation-failed", "only `Expect: 100-continue` is known"),
}


def http_problem(status: int, headers: dict[str, str] | None = None) -> Problem:
    """The problem for a refusal that HTTP itself names; anything unforeseen below 500 is a malformed request."""
    known = status if status in _CODES else 400
    if status >= 500:
        return Problem(500, "internal", "a defect of the agent; ask for the state before you try again")
    return Problem(known, *_CODES[known], headers)


def respond(body: ProblemBody, headers: dict[str, str] | None = None) -> web.Response:
    """The problem as a response."""
    return web.Response(
        body=msgspec.json.encode(body), status=body.status, content_type="application/problem+json", headers=headers
    )
