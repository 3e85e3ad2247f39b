"""The door: a Unix socket whose callers are known by their uid, and on wish a loopback port behind a bearer token."""

import asyncio
import hmac
import os
import socket
from pathlib import Path

from agent.core.change import Internal, Overloaded, Rejected
from agent.hooks import web
from agent.hooks.access import ACCESS, Access, not_for_pages
from agent.hooks.api import HOUSE, Handler, uid_of
from agent.hooks.ports import House
from agent.hooks.problems import Problem, respond
from agent.hooks.pull import PULLERS, Pullers
from agent.hooks.routes import ROUTES
from agent.hooks.statements import DESK, Desk
from agent.hooks.stream import BELL, Bell
from agent.hooks.wire import NOBODY, Wire, log_defect, of_exception
from agent.journal.database import StorageFailed, StorageFull, classify

BODY_BYTES_MAX = 64 * 1024
BACKLOG = 128
SHUTDOWN_S = 1.0
BEARER = {"WWW-Authenticate": "Bearer"}
_ACCESS: dict[object, str] = {route.handler: route.access for route in ROUTES}


class Door:
    """Serves the local API until `close`."""

    def __init__(self, house: House, allowed_uids: frozenset[int], token: str | None) -> None:
        self.bell = Bell()
        self._allowed_uids = allowed_uids
        self._token = token
        self._app = web.Application(middlewares=[self._guard], client_max_size=BODY_BYTES_MAX)
        self._app[HOUSE] = house
        self._app[BELL] = self.bell
        self._pullers = self._app[PULLERS] = Pullers(house.inbox)
        self._app[DESK] = Desk()
        self._access = self._app[ACCESS] = Access(token, house.boottime_ms)
        for route in ROUTES:
            self._app.router.add_route(route.method, route.path, route.handler)
        # A caller that hangs up ends its call, so that a listener's place is free again at once; what it posted is committed.
        self._runner = web.AppRunner(self._app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S)
        self._listening: list[asyncio.Server] = []
        self.port: int | None = None

    async def open(self, path: Path, listen: tuple[str, int] | None) -> None:
        """Listen. A socket file left by a dead agent is replaced; a live one raises OSError."""
        _clear_stale(path)
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        link = socket.socket(socket.AF_UNIX)
        old = os.umask(0o117)  # owner and group may connect; the uid is checked on every call
        try:
            link.bind(str(path))
        finally:
            os.umask(old)
        self._listening.append(await loop.create_unix_server(self._wire, sock=link, backlog=BACKLOG))
        if listen is not None:
            host, port = listen
            try:
                server = await loop.create_server(self._wire, host, port, backlog=BACKLOG)
            except OSError as error:
                raise OSError(f"hook.listen {host}:{port}: {error.strerror}") from None
            self._listening.append(server)
            self.port = server.sockets[0].getsockname()[1]
            self._access.listens(host, self.port)

    def _wire(self) -> Wire:
        server = self._runner.server
        assert server is not None, "the runner is set up before anybody can connect"
        return Wire(server, loop=asyncio.get_running_loop())

    async def close(self) -> None:
        """Close the intake; streams end, running calls get a second."""
        for server in self._listening:
            server.close()
        self.bell.close()
        await self._runner.cleanup()
        self._pullers.close()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who asks, and every failure as a problem."""
        try:
            self._admit(request)
            return await handler(request)
        except Problem as problem:
            return respond(problem.body, problem.headers)
        except Rejected as error:
            return respond(Problem(error.status, error.code, error.detail).body)
        except web.HTTPException as error:
            refused = of_exception(error)
            return respond(refused.body, refused.headers)
        except StorageFull:
            return respond(Problem(507, "disk-full", "the disk is full; nothing was written, send it again later").body)
        except (StorageFailed, Overloaded):
            return _unavailable()
        except Internal as error:
            return respond(Problem(500, "internal", f"a defect of the agent: {error}; nothing was changed").body)
        except Exception as error:
            if classify(error) is None:
                raise
            log_defect(error)
            return _unavailable()

    def _admit(self, request: web.Request) -> None:
        """Raises Problem 401 or 403 for whom the call is not open."""
        uid = uid_of(request)
        if uid != NOBODY:
            if uid not in self._allowed_uids:
                raise Problem(403, "uid-not-allowed", f"uid {uid} may not use this socket: add it to hook.allowed_uids")
            return
        given = request.headers.get("Authorization", "")
        wanted = f"Bearer {self._token}".encode()
        if self._token is not None and hmac.compare_digest(given.encode(errors="replace"), wanted):
            return
        access = _ACCESS.get(request.match_info.handler, "token")
        if access == "open":
            self._access.check_host(request)
        elif self._access.knows(request):
            self._access.check_host(request)
            if access != "page":
                raise not_for_pages()
        else:
            raise Problem(401, "token-wanted", "send `Authorization: Bearer` with the token of hook.token_file", BEARER)


def _unavailable() -> web.Response:
    busy = Problem(503, "unavailable", "the agent cannot take this now; nothing was confirmed, send it again")
    return respond(busy.body, {"Retry-After": "1"})


def _clear_stale(path: Path) -> None:
    """Remove the socket of an agent that has died. Raises OSError when it is alive, or no socket."""
    if not path.is_socket():
        if path.exists():
            raise OSError(f"{path} is there and is no socket: remove it, or choose another hook.socket")
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its queue is full: it lives
    raise OSError(f"{path} is in use: another agent runs already")
