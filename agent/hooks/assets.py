"""The pages: HTML, style and script as they come with the program, under a strict policy for the browser, and what they ask for.

The files hold no data and no secret, so they are open to whoever reaches the port; what they show they fetch with a page token.
What puts that together is loaded with the first browser: a terminal without a screen never needs it.
"""

from functools import cache

from agent.hooks import web
from agent.hooks.access import ACCESS, LINK_MS
from agent.hooks.api import HOUSE, answer, id_of, read
from agent.hooks.problems import Problem
from agent.hooks.screenbody import LinkAnswer, LinkBody, SessionAnswer, SessionBody
from device.datafiles import folders

FOLDER = "pages"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Only what comes from this port, nothing inline, no frame around it, no form, and no address is passed on.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
}
PARTS = ("cashier.js", "icon.svg", "link.js", "page.css", "technician.js", "texts.js")


@cache
def _content(name: str) -> bytes:
    """A file of the pages, read once. Raises FileNotFoundError when the installation is not whole."""
    for folder in folders(FOLDER):
        if (path := folder / name).is_file():
            return path.read_bytes()
    raise FileNotFoundError(f"the pages are not installed: {name}")


def _served(name: str) -> web.Response:
    kind = TYPES[name[name.rindex("."):]]
    return web.Response(body=_content(name), content_type=kind, charset="utf-8", headers=HEADERS)


async def cashier_page(_request: web.Request) -> web.StreamResponse:
    """GET /cashier."""
    return _served("cashier.html")


async def technician_page(_request: web.Request) -> web.StreamResponse:
    """GET /."""
    return _served("technician.html")


async def page_part(request: web.Request) -> web.StreamResponse:
    """GET /pages/{name}."""
    name = request.match_info["name"]
    if name not in PARTS:
        raise Problem(404, "no-such-call", "the pages have no such part")
    return _served(name)


async def get_cashier(request: web.Request) -> web.StreamResponse:
    """GET /v1/cashier."""
    from agent.hooks.cashier import till

    return answer(till(request.app[HOUSE]))


async def get_overview(request: web.Request) -> web.StreamResponse:
    """GET /v1/overview?lang=."""
    from agent.hooks.page import lang_of, overview

    return answer(overview(request.app[HOUSE], lang_of(request)))


async def get_timeline(request: web.Request) -> web.StreamResponse:
    """GET /v1/transactions/{id}/timeline?lang=."""
    from agent.hooks.page import lang_of, story

    return answer(await story(request.app[HOUSE], id_of(request), lang_of(request)))


async def make_link(request: web.Request) -> web.StreamResponse:
    """POST /v1/pages/link."""
    body, _ = await read(request, LinkBody)
    access = request.app[ACCESS]
    key = access.link()
    path = "/cashier" if body.page == "cashier" else "/"
    query = "" if body.lang is None else f"?lang={body.lang}"
    return answer(LinkAnswer(f"http://{access.origin}{path}{query}#{key}", LINK_MS), 201)


async def begin_session(request: web.Request) -> web.StreamResponse:
    """POST /v1/pages/session."""
    body, _ = await read(request, SessionBody)
    return answer(SessionAnswer(request.app[ACCESS].redeem(body.key)), 201)
