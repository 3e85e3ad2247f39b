"""The lowest line of the door: what is not HTTP, or fails below the calls, is answered as a problem and logged without content.

The library's own answers repeat parts of the request and log them; a request may hold a card number anywhere.
"""

import asyncio
import logging
import socket
import struct
import traceback

from aiohttp.http import HttpProcessingError

from agent.hooks import web
from agent.hooks.problems import Problem, http_problem, respond

log = logging.getLogger("reversald.hook")

LINE_BYTES_MAX = 8_190  # request line, and each header field
HEADERS_MAX = 64
KEEPALIVE_S = 300.0
NOBODY = -1  # the uid of a loopback caller, under which it keeps its idempotency keys
_CALLERS_FAULT = (web.RequestPayloadError, HttpProcessingError)  # a body that breaks off or is wrongly chunked

def of_exception(error: web.HTTPException) -> Problem:
    """The problem for a refusal that the router raised."""
    allow = error.headers.get("Allow")
    return http_problem(error.status, {"Allow": allow} if allow else None)


def log_defect(error: BaseException | None) -> None:
    """Where it broke, never with what: an exception's own words may hold a part of the request."""
    where = "".join(traceback.format_tb(error.__traceback__)) if error is not None else ""
    log.error("a defect: %s\n%s", type(error).__name__, where)


class Wire(web.RequestHandler):
    """One connection. `uid` is the caller's as the kernel noted it when it connected, NOBODY over loopback TCP."""

    __slots__ = ("uid",)

    def __init__(self, manager: web.Server, *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            manager, loop=loop, access_log=None, keepalive_timeout=KEEPALIVE_S,  # type: ignore[arg-type]  # None: no log
            max_line_size=LINE_BYTES_MAX, max_field_size=LINE_BYTES_MAX, max_headers=HEADERS_MAX, auto_decompress=False,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn once who it is: of a connection this never changes."""
        link: socket.socket = transport.get_extra_info("socket")
        self.uid = NOBODY
        if link.family == socket.AF_UNIX:
            _, self.uid, _ = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        super().connection_made(transport)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Whatever fails outside the calls: bytes that are no HTTP, or a defect. Closes the connection."""
        del message  # repeats the bytes that were not understood
        if isinstance(exc, _CALLERS_FAULT):
            status = 400
        if status >= 500:
            log_defect(exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun: nothing but an end can follow")
        problem = http_problem(status)
        response = respond(problem.body, problem.headers)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; a refusal from below the calls goes out as a problem, too."""
        if isinstance(resp, web.HTTPException):
            problem = of_exception(resp)
            resp = respond(problem.body, problem.headers)
            resp.force_close()
        return await super().finish_response(request, resp, start_time)

    def log_exception(self, *_args: object, **kw: object) -> None:
        """Never with content."""
        error = kw.get("exc_info")
        if not isinstance(error, _CALLERS_FAULT):
            log_defect(error if isinstance(error, BaseException) else None)
