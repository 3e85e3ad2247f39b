"""How a browser on the terminal comes in over the loopback port: a link that works once, then a token of little power.

A browser cannot keep a secret as a program can: the token of `hook.token_file` never goes there. Whoever may use the API asks
for a link. Its secret stands in the fragment of the address, which no browser sends; the page hands it in once and gets a token
for its own tab (`sessionStorage`), which opens the calls of the pages and no others. There is no cookie: another page in the
same browser has nothing to ride on. Page tokens outlive a restart and end when the token of `hook.token_file` is changed.
"""

import hmac
import os
from collections.abc import Callable
from hashlib import sha256

from agent.hooks import web
from agent.hooks.problems import Problem

LINK_MS = 120_000
LINKS_MAX = 8  # not handed in yet; the oldest gives way
_SCOPE = b"reversald page token 1"


def not_for_pages() -> Problem:
    """The refusal of what a page token does not open."""
    return Problem(403, "not-for-pages", "a page reads, and passes on what people say; this is for the payment app")


class Access:
    """Links and page tokens of one door. `token` None: there is no loopback port, and no browser comes in."""

    def __init__(self, token: str | None, boottime_ms: Callable[[], int]) -> None:
        self._key = None if token is None else hmac.new(token.encode(), _SCOPE, sha256).digest()
        self._boottime_ms = boottime_ms
        self._links: dict[str, int] = {}  # secret: the boot time at which it dies
        self.origin: str | None = None

    def listens(self, host: str, port: int) -> None:
        """The loopback port is open here."""
        self.origin = f"{f'[{host}]' if ':' in host else host}:{port}"

    def link(self) -> str:
        """A secret that can be handed in once, within LINK_MS. Raises Problem 409 where no browser can come in."""
        if self._key is None or self.origin is None:
            raise Problem(409, "no-page-port", "set hook.listen and hook.token_file: a browser comes in over the loopback port")
        now_ms = self._boottime_ms()
        self._links = {key: until_ms for key, until_ms in self._links.items() if until_ms > now_ms}
        while len(self._links) >= LINKS_MAX:
            del self._links[next(iter(self._links))]
        key = os.urandom(16).hex()
        self._links[key] = now_ms + LINK_MS
        return key

    def redeem(self, key: str) -> str:
        """The page token for a link, which is used up by that. Raises Problem 403."""
        until_ms = self._links.pop(key, 0)
        if self._key is None or until_ms <= self._boottime_ms():
            raise Problem(403, "link-used-up", "this link was used or is too old; ask for a new one: `reversald page`")
        name = os.urandom(16).hex()
        return f"{name}.{self._signed(self._key, name)}"

    def knows(self, request: web.Request) -> bool:
        """True for a request that carries a page token of ours."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        name, dot, signature = token.partition(".")
        if self._key is None or not dot or not token.isascii():
            return False
        return hmac.compare_digest(self._signed(self._key, name), signature)

    def check_host(self, request: web.Request) -> None:
        """A page of ours is called by our own name: another one means that a foreign name was made to point here.

        Raises Problem 421.
        """
        port = (self.origin or "").rpartition(":")[2]
        if request.host not in {self.origin, *(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))}:
            raise Problem(421, "wrong-host", "the pages are served under a loopback address only, as the link has it")

    @staticmethod
    def _signed(key: bytes, name: str) -> str:
        return hmac.new(key, name.encode(), sha256).hexdigest()


ACCESS = web.AppKey("access", Access)


def from_page(request: web.Request) -> bool:
    """True for a caller that came in with a page token."""
    return request.app[ACCESS].knows(request)
