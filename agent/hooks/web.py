"""Of aiohttp's server what the local API uses, from where it is made: `aiohttp.web` loads a parser of command lines as well.

That is half a megabyte on every terminal, for `python -m aiohttp.web`. The names are the same ones.
"""

from aiohttp.helpers import AppKey
from aiohttp.web_app import Application
from aiohttp.web_exceptions import HTTPException
from aiohttp.web_middlewares import middleware
from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from aiohttp.web_request import BaseRequest, Request
from aiohttp.web_response import Response, StreamResponse
from aiohttp.web_runner import AppRunner
from aiohttp.web_server import Server

__all__ = [
    "AppKey", "AppRunner", "Application", "BaseRequest", "HTTPException", "Request", "RequestHandler", "RequestPayloadError",
    "Response", "Server", "StreamResponse", "middleware",
]
