"""A till for browser stories: a real acquirer, a real agent with its loopback port, and a browser that came in by a link."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.agent import Agent
from tests.support.app import App, until
from tests.support.broker import free_port
from tests.support.browser import Browser, browser
from tests.support.host import Host
from tests.support.terminal import LOST_MS, transact

TOKEN = "a-token-that-never-goes-into-a-browser"
MERCHANT_NAME = "测试便利店"


class Till:
    """Everything that stands at one till."""

    def __init__(self, folder: Path, host: Host, screen: Browser, **sections: dict[str, Any]) -> None:
        token = folder / "hook.token"
        token.touch(0o600)
        token.write_text(TOKEN)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        hook = {"listen": f"127.0.0.1:{self.port}", "token_file": "hook.token"}
        self.agent = Agent(folder, host.port, **{"hook": hook} | sections)
        self.host, self.screen = host, screen
        self.agent.start()

    @property
    def app(self) -> App:
        """The payment app."""
        return self.agent.app

    def link(self, page: str = "cashier", lang: str = "zh") -> str:
        """An address that works once, as a technician gets it."""
        made = self.agent.cli("page", page, "--lang", lang)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def enter(self, page: str = "cashier", lang: str = "zh") -> None:
        """The browser opens the page by a fresh link."""
        self.screen.open("about:blank")
        self.screen.open(self.link(page, lang))

    def sale(self, stan: str, amount_fen: int = 12_850) -> str:
        """A sale that may be sent; its id."""
        status, body = self.app.open(stan, amount_fen)
        assert (status, body["proceed"]) == (201, "go"), body
        return str(body["id"])

    def doubt(self, stan: str, amount_fen: int = 12_850) -> str:
        """A sale that the host booked, whose answer was lost together with the line; its id."""
        key = self.sale(stan, amount_fen)
        self.host.order(set={"0200": "drop-reply"})
        transact(self.host.port, stan, amount_fen, timeout_ms=LOST_MS)
        self.line(up=False)
        self.app.result(key, "no_answer")
        return key

    def line(self, *, up: bool) -> None:
        """The line to the host."""
        self.host.order(refuse=not up, cut=not up, **({"clear": True} if up else {}))

    def unresolved(self, stan: str, amount_fen: int = 12_850) -> str:
        """A sale that the host booked and will not reverse; its id."""
        self.host.order(set={"0200": "drop-reply", "0400": "30"})
        key = self.sale(stan, amount_fen)
        transact(self.host.port, stan, amount_fen, timeout_ms=LOST_MS)
        self.app.result(key, "no_answer")
        until(lambda: self.app.state(key) == "unresolved")
        return key

    def dispose(self, key: str, **said: Any) -> None:
        """Somebody says where goods and money went."""
        assert self.app.call("POST", f"/v1/transactions/{key}/disposition", said)[0] == 200

    def paid(self, stan: str, amount_fen: int = 12_850) -> str:
        """A sale that the host approved, in its books too; its id."""
        key = self.sale(stan, amount_fen)
        assert transact(self.host.port, stan, amount_fen) == "00"
        assert self.app.approve(key)[1]["state"] == "approved"
        return key

    def settle(self, *booked: str) -> None:
        """The settlement files with these transactions, and those of the days after it until nothing can come any more."""
        day, rows = self.today(), [self.app.get(f"/v1/transactions/{key}") for key in booked]
        lines = [
            {"date": day.isoformat(), "direction": "debit", **{name: row[name] for name in ("batch", "stan", "amount_fen")}}
            for row in rows
        ]
        for later in range(5):
            date_ = (day + timedelta(days=later)).isoformat()
            body = {
                "statement": date_, "dates": [date_], "terminal_id": "12345678", "verdicts": [] if later else lines,
            }
            status, answer = self.app.call("POST", "/v1/settlements", body)
            assert status == 200, answer

    @staticmethod
    def today() -> date:
        """The business day now: China, and the cut-off at 23:00."""
        return (datetime.now(UTC) + timedelta(hours=9)).date()

    def told(self, type_: str) -> list[dict[str, Any]]:
        """The data of every fact of this type in the journal."""
        return [entry["data"] for entry in self.agent.journal() if entry["type"] == type_]


@contextmanager
def till(folder: Path, width: int = 480, height: int = 800, **sections: dict[str, Any]) -> Iterator[Till]:
    """A running till; everything ends with it."""
    host = Host(folder)
    try:
        with browser(folder, width, height) as screen:
            terminal = {"terminal": {"merchant_name": MERCHANT_NAME, "terminal_id": "12345678"}}
            made = Till(folder, host, screen, **terminal | sections)
            try:
                yield made
            finally:
                made.agent.kill()
    finally:
        host.stop()
