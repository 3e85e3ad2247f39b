"""The door: a Unix socket whose callers are known by their uid, and on wish a loopback port behind a bearer token."""

import hmac
import logging
import os
import socket
import struct
from pathlib import Path

from aiohttp import web

from agent.core.change import Internal, Overloaded, Rejected
from agent.hooks.api import HOUSE, UID, Handler
from agent.hooks.ports import House
from agent.hooks.problems import Problem, respond
from agent.hooks.routes import ROUTES
from agent.hooks.stream import BELL, Bell
from agent.journal.database import StorageFailed, StorageFull

log = logging.getLogger("reversald.hook")

BODY_BYTES_MAX = 64 * 1024
_NOBODY = -1  # the uid under which loopback callers keep their idempotency keys


class Door:
    """Serves the local API until `close`."""

    def __init__(self, house: House, allowed_uids: frozenset[int], token: str | None) -> None:
        self.bell = Bell()
        self._allowed_uids = allowed_uids
        self._token = token
        self._app = web.Application(middlewares=[self._guard], client_max_size=BODY_BYTES_MAX)
        self._app[HOUSE] = house
        self._app[BELL] = self.bell
        for route in ROUTES:
            self._app.router.add_route(route.method, route.path, route.handler)
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1.0)
        self.port: int | None = None

    async def open(self, path: Path, listen: tuple[str, int] | None) -> None:
        """Listen. A socket file left by a dead agent is replaced; a live one raises OSError."""
        await self._runner.setup()
        _clear_stale(path)
        old = os.umask(0o117)  # owner and group may connect; the uid is checked on every call
        try:
            await web.UnixSite(self._runner, str(path), backlog=128).start()
        finally:
            os.umask(old)
        if listen is not None:
            site = web.TCPSite(self._runner, *listen, backlog=128)
            await site.start()
            addresses = self._runner.addresses
            self.port = next(address[1] for address in addresses if isinstance(address, tuple))

    async def close(self) -> None:
        """Close the intake; streams end, running calls get a second."""
        self.bell.close()
        await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who asks, and every failure as a problem."""
        try:
            request[UID] = self._caller(request)
            return await handler(request)
        except Problem as problem:
            return respond(problem.body, problem.headers)
        except Rejected as error:
            return respond(Problem(error.status, error.code, error.detail).body)
        except web.HTTPRequestEntityTooLarge:
            return respond(Problem(413, "body-too-large", f"a body may have at most {BODY_BYTES_MAX} bytes").body)
        except web.HTTPException as error:
            return respond(Problem(error.status, "no-such-call", f"{request.method} {request.path}: {error.reason}").body)
        except StorageFull:
            return respond(Problem(507, "disk-full", "the disk is full; nothing was written, send it again later").body)
        except (StorageFailed, Overloaded):
            busy = Problem(503, "unavailable", "the agent cannot take this now; nothing was confirmed, send it again")
            return respond(busy.body, {"Retry-After": "1"})
        except Internal as error:
            return respond(Problem(500, "internal", f"a defect of the agent: {error}; nothing was changed").body)

    def _caller(self, request: web.Request) -> int:
        """The uid behind the socket, or _NOBODY with the right token. Raises Problem 401 or 403."""
        transport = request.transport
        link: socket.socket | None = None if transport is None else transport.get_extra_info("socket")
        if link is None:
            raise Problem(403, "caller-unknown", "the caller has gone")
        if link.family == socket.AF_UNIX:
            _, uid, _ = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if uid not in self._allowed_uids:
                raise Problem(403, "uid-not-allowed", f"uid {uid} may not use this socket: add it to hook.allowed_uids")
            return int(uid)
        given = request.headers.get("Authorization", "")
        if self._token is None or not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise Problem(401, "token-wanted", "send `Authorization: Bearer` with the token of hook.token_file")
        return _NOBODY


def _clear_stale(path: Path) -> None:
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(f"{path} is in use: another agent runs already")
