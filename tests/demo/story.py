"""The story: a receipt, a lost answer, a power cut, a reversal that comes by itself, and paper that runs out in between."""

import sys
import time
from typing import Any

from tests.demo.stage import Stage
from tests.support.app import receipt, until
from tests.support.terminal import transact

COLOURS = {"cashier": 33, "host": 36, "agent": 32, "printer": 35, "fleet": 34, "world": 31}
SHOWN = ("reversal.", "incident.", "receipt.", "printer.", "line.", "recovery.")


class Story:
    """Plays the acts on a stage and tells them as they happen."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.app = stage.agent.app
        self._began = time.monotonic()
        self._told = 0

    def tell(self, who: str, text: str) -> None:
        """One line of the timeline."""
        moment = f"{time.monotonic() - self._began:6.2f}s"
        if sys.stdout.isatty():
            print(f"\033[2m{moment}\033[0m  \033[{COLOURS[who]}m{who:<8}\033[0m {text}")
        else:
            print(f"{moment}  {who:<8} {text}", flush=True)

    def advice(self, key: str) -> dict[str, Any]:
        """Tell what the cashier reads now."""
        advice: dict[str, Any] = self.app.get(f"/v1/transactions/{key}")["advice"]
        goods = "hold goods" if advice["hold_goods"] else "goods may go"
        again = "may pay again" if advice["may_pay_again"] else "do not pay again"
        self.tell("cashier", f"{advice['zh']} · {advice['en']}  [{advice['code']}: {goods}, {again}]")
        self.tell("cashier", f"  {advice['zh_long']}")
        return advice

    def sale(self, stan: str, amount_fen: int, *, lose_answer: bool = False) -> tuple[str, str | None]:
        """The payment app's half: ask permission, send the 0200, hear or not hear the answer."""
        status, sale = self.app.open(stan, amount_fen, key=f"open-{stan}")
        assert status == 201, sale
        while sale["proceed"] != "go":
            self.tell("agent", f"may STAN {stan} be sent? {sale['proceed']}: {sale['advice']['zh']} · {sale['advice']['en']}")
            time.sleep(0.3)
            sale = self.app.call("POST", f"/v1/transactions/{sale['id']}/sent")[1]
        self.tell("agent", f"may STAN {stan} ({amount_fen / 100:.2f}元) be sent? go")
        code = transact(self.stage.host.port, stan, amount_fen, timeout_ms=500)
        heard = f"answers {code}" if code else "has booked it, but its answer is lost on the line"
        self.tell("host" if code else "world", heard if not lose_answer else f"the line is cut: the host {heard}")
        return str(sale["id"]), code

    def happened(self) -> None:
        """Tell what the journal has told since the last time."""
        for line in self.stage.agent.journal(self._told):
            self._told = line["seq"]
            if line["type"].startswith(SHOWN):
                words = " ".join(f"{name}={value}" for name, value in line["data"].items() if name not in {"job", "bytes", "of"})
                self.tell("printer" if line["type"].startswith(("receipt", "printer")) else "agent", f"{line['type']} {words}")

    def play(self) -> None:
        """All acts."""
        self.an_ordinary_sale()
        key = self.a_lost_answer()
        self.a_power_cut(key)
        self.the_line_returns(key)
        self.no_paper()

    def an_ordinary_sale(self) -> None:
        """A sale is approved and its receipt is on paper."""
        key, _ = self.sale("000101", 1234)
        self.app.approve(key)
        until(lambda: self.printed(key) == ["CONFIRMED"])
        self.happened()
        self.advice(key)

    def printed(self, key: str) -> list[str]:
        """The states of a transaction's print jobs."""
        return [job["state"] for job in self.app.get(f"/v1/transactions/{key}")["jobs"]]

    def a_lost_answer(self) -> str:
        """The host books a sale, and nobody hears of it."""
        host = self.stage.host
        host.order(set={"0200": "drop-reply"})
        key, _ = self.sale("000102", 8800, lose_answer=True)
        host.order(refuse=True, cut=True, clear=True)
        self.app.result(key, "no_answer")
        self.happened()
        self.advice(key)
        self.tell("host", f"books: net debit of STAN 000102 is {host.net_debit_fen('000102') / 100:.2f}元: a one-sided account")
        return key

    def a_power_cut(self, key: str) -> None:
        """kill -9 in mid-doubt; the reversal is still there afterwards, and a new sale is kept from going first."""
        self.stage.agent.kill()
        self.tell("world", "kill -9: the agent is dead")
        self.stage.agent.start()
        until(lambda: self.app.get("/v1/status")["line"] == "down")
        status = self.app.get("/v1/status")
        self.happened()
        self.tell("agent", f"restarted offline: {status['pending_reversals']} reversal pending, line {status['line']}")
        self.advice(key)

    def the_line_returns(self, key: str) -> None:
        """冲正成功, by itself."""
        self.stage.host.order(refuse=False)
        self.tell("world", "the line is back")
        until(lambda: self.app.state(key) == "reversed")
        until(lambda: "CONFIRMED" in self.printed(key))
        self.happened()
        self.advice(key)
        self.tell("host", f"books: net debit of STAN 000102 is {self.stage.host.net_debit_fen('000102') / 100:.2f}元")

    def no_paper(self) -> None:
        """Paper runs out in the middle of a receipt; another waits; paper comes back, and each is on paper once."""
        self.stage.printer(do="paper_out", after_lines=5)
        first, _ = self.sale("000103", 500)
        self.app.approve(first)
        until(lambda: self.printed(first) not in (["WAITING"], ["INTENT"]))
        self.happened()
        self.advice(first)
        second, _ = self.sale("000104", 700)
        self.app.result(second, "approved", response_code="00", rrn="261122000104", receipt=receipt("7.00"))
        self.advice(second)
        self.stage.printer(do="paper_in")
        self.tell("world", "a new roll of paper is in")
        until(lambda: self.printed(second) == ["CONFIRMED"])
        self.happened()
        self.advice(second)
