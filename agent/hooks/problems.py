"""Every bad input gets a problem+json that says who is at fault, what was wrong and what to do; never a PAN, never a trace."""

import http
import re

import msgspec
from aiohttp import web

from agent.hooks.body import ProblemBody

_LONG_DIGITS = re.compile(r"\d[\d -]{11,22}\d")
DETAIL_MAX = 400


def masked(text: str) -> str:
    """`text` with every run of 13–19 digits (spaces and dashes between them allowed) cut to first 6 and last 4."""

    def hide(match: re.Match[str]) -> str:
        digits = re.sub(r"\D", "", match.group())
        return match.group() if not 13 <= len(digits) <= 19 else digits[:6] + "*" * (len(digits) - 10) + digits[-4:]

    return _LONG_DIGITS.sub(hide, text)


class Problem(Exception):  # noqa: N818
    """An answer that is not a success; `code` becomes the stable `type`."""

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.body = ProblemBody(
            type=f"urn:reversald:problem:{code}", title=http.HTTPStatus(status).phrase, status=status,
            detail=masked(detail)[:DETAIL_MAX],
        )
        self.headers = headers


def respond(body: ProblemBody, headers: dict[str, str] | None = None) -> web.Response:
    """The problem as a response."""
    return web.Response(
        body=msgspec.json.encode(body), status=body.status, content_type="application/problem+json", headers=headers
    )
