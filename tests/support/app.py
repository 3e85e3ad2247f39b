"""A small payment app: speaks the local API over the Unix socket with nothing but the standard library."""

import http.client
import json
import socket
import time
from pathlib import Path
from typing import Any

from tests.support.waiting import PATIENCE_S

PAN = "6222021234567890128"
CHIP = "950500000000009F1E0831323334353637389F36020011"
TERMINAL = "12345678"
MERCHANT = "898310148160001"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class App:
    """One payment app at one socket. Every answer is (status, body)."""

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        self.path = path
        self.timeout = timeout

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """One call. Raises OSError when the agent is not there or dies meanwhile."""
        connection = _UnixConnection(self.path, self.timeout)
        try:
            data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
            response = connection.getresponse()
            raw = response.read()
            return response.status, json.loads(raw) if raw[:1] in b"{[" else raw.decode()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from None
        finally:
            connection.close()

    def open(
        self, stan: str, amount_fen: int = 100, *, sent: bool = True, key: str | None = None, **more: Any
    ) -> tuple[int, Any]:
        """Open a card sale."""
        body = {
            "rail": "card",
            "kind": "sale",
            "amount_fen": amount_fen,
            "stan": stan,
            "batch": "000001",
            "terminal_id": TERMINAL,
            "merchant_id": MERCHANT,
            "sent": sent,
            "card": {"pan": PAN, "expiry": "3012", "entry_mode": "051", "sequence": "001", "chip": CHIP},
        } | more
        return self.call("POST", "/v1/transactions", body, {"Idempotency-Key": key} if key else None)

    def result(self, key: str, outcome: str, **more: Any) -> tuple[int, Any]:
        """Report what the host said."""
        return self.call("POST", f"/v1/transactions/{key}/result", {"outcome": outcome, **more})

    def approve(self, key: str, **more: Any) -> tuple[int, Any]:
        """Report an approval with a receipt."""
        return self.result(key, "approved", response_code="00", rrn="261122000123", auth_code="A1B2C3", receipt=receipt(), **more)

    def get(self, path: str) -> Any:
        """The body of a GET that succeeds."""
        status, body = self.call("GET", path)
        assert status == 200, (status, body)
        return body

    def state(self, key: str) -> str:
        """The state of a transaction."""
        return str(self.get(f"/v1/transactions/{key}")["state"])


def receipt(amount: str = "1.00") -> dict[str, Any]:
    """A genuine receipt as a payment app hands it over."""
    lines = [
        {"text": "签购单", "align": "center", "size": 2},
        {"text": "商户名称:测试便利店"},
        {"text": f"终端编号:{TERMINAL}"},
        {"text": f"卡号:{PAN}"},
        {"text": "交易类型:消费/SALE"},
        {"text": f"金额:RMB {amount}", "bold": True},
        {"text": "本人确认以上交易,同意将其计入本卡账户"},
    ]
    return {"lines": lines, "qr": "https://receipt.example/261122000123"}


def until(what: Any, seconds: float = PATIENCE_S, pause: float = 0.02) -> Any:
    """The first true value of `what()`; AssertionError when none comes in time."""
    end = time.monotonic() + seconds
    while True:
        try:
            value = what()
        except OSError:
            value = None
        if value:
            return value
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(pause)
