"""A receipt that the agent does not hold: asked of the payment app over the app's own port, printed when it comes."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.e2e.test_printer import MARK, jobs
from tests.support.agent import Agent
from tests.support.app import receipt, until
from tests.support.host import Host
from tests.support.paper import Paper
from tests.support.terminal import transact


class Port:
    """The app's own port; `wishes` is what it was asked for, and `status` what it answers."""

    def __init__(self) -> None:
        wishes: list[tuple[str, object]] = []
        port = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                wishes.append((self.path, body))
                self.send_response(port.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self.status = 202
        self.wishes = wishes
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


@pytest.fixture
def port() -> Iterator[Port]:
    """The app's port."""
    made = Port()
    yield made
    made.stop()


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[Paper]:
    """A printer."""
    running = Paper(tmp_path)
    yield running
    running.stop()


def test_a_missing_receipt_is_asked_for_and_prints_as_the_original(
    make_agent: Callable[..., Agent], host: Host, paper: Paper, port: Port
) -> None:
    printer = {"driver": "escpos", "port": str(paper.port), "profile": "epson-tm"}
    shop = make_agent(host.port, printer=printer, payapp={"url": port.url}).start()
    _, sale = shop.app.open("000701")
    assert transact(host.port, "000701", 100) == "00"
    key = sale["id"]
    shop.app.result(key, "approved", response_code="00", rrn="261122000123")

    port.status = 503
    assert shop.app.call("POST", f"/v1/transactions/{key}/reprint", {})[1]["jobs"] == []
    until(lambda: port.wishes == [("/reprint", {"stan": "000701", "batch": "000001"})])
    until(lambda: [row["code"] for row in shop.app.get("/v1/incidents?open=true")["items"]] == ["payapp"])

    port.status = 200
    asked = shop.cli("print", "reprint", "701")
    assert asked.returncode == 75, asked.stderr
    assert "已请收银程序提供" in asked.stdout
    assert shop.app.call("POST", f"/v1/transactions/{key}/receipt", receipt())[0] == 202
    until(lambda: jobs(shop, key) == ["CONFIRMED"])
    until(lambda: paper.text().count("签购单") == 1)
    assert MARK not in paper.text()
    assert shop.app.get("/v1/incidents?open=true")["items"] == []
    assert len(port.wishes) == 2
