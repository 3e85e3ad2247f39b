"""A real wallet gateway as a real process (`reversald simulate wallet`), and its books."""

import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.agent import ROOT, program
from tests.support.waiting import PATIENCE_S

KEY = "00" * 32


class Wallet:
    """One simulated gateway; its log and its key stand in `folder`."""

    def __init__(self, folder: Path, *options: str, port: int = 0) -> None:
        self.key_file = folder / "wallet.key"
        if not self.key_file.exists():
            self.key_file.touch(0o600)
            self.key_file.write_text(KEY)
        self.log = folder / "wallet.log"
        argv = [*program(), "simulate", "wallet", "--port", str(port), "--key-file", str(self.key_file), "--json", *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
        self.port = self._port()
        self.url = f"http://127.0.0.1:{self.port}"

    def _port(self) -> int:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for line in self.lines():
                if line["what"] == "listening":
                    return int(line["note"].rsplit(":", 1)[1])
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError("the wallet does not listen:\n" + self.log.read_text())

    def lines(self) -> list[dict[str, Any]]:
        """Its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]

    def calls(self, kind: str) -> list[dict[str, Any]]:
        """The calls of one kind that came in."""
        return [line for line in self.lines() if line["what"] == kind]

    def pay(self, order_no: str, amount_fen: int = 100, fate: str = "paid") -> str:
        """The customer pays."""
        return str(self._call("/simulator/pay", {"order_no": order_no, "amount_fen": amount_fen, "fate": fate})["state"])

    def order(self, **orders: Any) -> None:
        """Change faults while it runs."""
        self._call("/simulator/faults", orders)

    def ledger(self) -> dict[str, dict[str, Any]]:
        """The books by order number."""
        return {row["order_no"]: row for row in self._call("/simulator/ledger")["ledger"]}

    def _call(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data), timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)
