"""A day of random wallet customers at a real agent and a real gateway, with kills; afterwards books and journal must agree.

Every decision follows from the seed: what becomes of each payment, what the app reports, which faults the gateway's calls meet,
when the agent is killed, the connection cut or the gateway frozen. When the bytes of two processes meet is the machine's.
"""

import contextlib
import json
import signal
import sqlite3
import threading
import time
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.support.agent import Agent, toml
from tests.support.app import MERCHANT, TERMINAL, until
from tests.support.forwarder import Forwarder
from tests.support.wallet import Wallet

# The shapes of the defaults, hundreds of times faster: in the same order, and every bound is there.
_FAST: dict[str, Any] = {
    "poll_ms": 60, "paying_poll_ms": 150, "offline_poll_ms": 100, "give_up_ms": 250, "call_timeout_ms": 1_500,
    "queries_max": 40, "cancels_max": 6, "refunds_max": 5, "looks_max": 40,
}
RULES: dict[str, dict[str, Any]] = {
    "wechat": _FAST | {"cancel_after_ms": 400},
    "alipay": _FAST | {"cancel_after_ms": 0},
    "unionpay_qr": _FAST | {"cancel_after_ms": 300},
    "bestpay": _FAST | {"cancel_after_ms": 200},
}
LOOKS = "recheck_ms = [400, 1500]"
LATE_MS_MAX = 1_000  # a payment that comes later than the second look is beyond what the agent promises
TYPING_MS_MAX = 3_000
FATES = ("paid", "paid", "paid", "unpaid", "paying", "paying", "late", "late", "lost", "abnormal")
FAULTS = {
    "query": ("ok",) * 12 + ("unknown", "unknown", "garbage", "500", "close", "delay:200", "silent", "401"),
    "cancel": ("ok",) * 4 + ("lie", "lie", "refuse", "busy", "unknown", "close", "delay:200", "silent", "500"),
    "refund": ("ok",) * 3 + ("lie", "refuse", "busy", "unknown", "close", "delay:200", "500"),
}
FAULTS_MAX = 600
FINAL = frozenset({"paid", "declined", "not_sent", "closed", "refunded", "unresolved"})
CALLS = frozenset({"query", "cancel", "refund"})
EXTRA_QUERIES = 6 + 5 + 2 + 2  # one after each cancel and refund, two looks after closing, and those that evidence starts
QUIET_WITHIN_S = 60.0


class Scan(NamedTuple):
    """One customer. `reports` is what the app tells the agent: "as heard", an outcome, or nothing at all."""

    number: int
    wallet: str
    fate: str
    reports: str
    evidence: bool
    kill_at: str  # before | opened | paid | reported | "" (never)
    kill_after_ms: int
    trouble: str  # cut | freeze | ""

    @property
    def order_no(self) -> str:
        """The merchant's own number."""
        return f"2026030210{self.number:06d}"

    @property
    def stan(self) -> str:
        """The terminal's."""
        return f"{self.number:06d}"


def planned(seed: int, number: int) -> Scan:
    """The decisions about one customer: the same for the same seed, whatever happened before."""
    random = Random(f"{seed}/{number}")
    fate = random.choice(FATES)
    if fate in {"paying", "late"}:
        fate += f":{random.randrange(50, LATE_MS_MAX if fate == 'late' else TYPING_MS_MAX)}"
    wallet, reports = random.choice(tuple(RULES)), random.choice(("as heard", "no_answer", "no_answer", "bad_mac", "nothing"))
    kill_at = random.choice(("before", "opened", "paid", "reported")) if random.random() < 0.15 else ""
    trouble = random.choice(("cut", "freeze")) if random.random() < 0.1 else ""
    return Scan(
        number, wallet, fate, reports, evidence=random.random() < 0.15, kill_at=kill_at,
        kill_after_ms=random.choice((0, 1, 5, 20, 100)), trouble=trouble,
    )


class ScanDay:
    """One agent and one gateway. `play` the customers, then `check` what is left."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed = seed
        self.kills = 0
        self.cuts: list[tuple[float, float]] = []  # wall milliseconds in which answers were swallowed
        self.wallet = Wallet(folder)
        self.line = Forwarder(self.wallet.port)
        rules = "\n".join(section + LOOKS + "\n" for section in (toml({name: rule}) for name, rule in RULES.items()))
        (folder / "rules.toml").write_text(rules)
        self.agent = Agent(
            folder, 9, recovery={"answer_timeout_ms": 300},
            wallet={"url": f"http://127.0.0.1:{self.line.port}", "key_file": "wallet.key", "rules": "rules.toml"},
        ).start()
        random = Random(seed)
        scripts = {call: [random.choice(words) for _ in range(FAULTS_MAX)] for call, words in FAULTS.items()}
        self.wallet.order(scenario=scripts)
        self.ids: dict[int, str] = {}

    def close(self) -> None:
        """End every process."""
        self.agent.kill()
        self.line.refuse()
        self.wallet.stop()

    # ── a customer ───────────────────────────────────────────────────────────────────────────────────────────────────

    def play(self, scan: Scan) -> None:
        """From the code that is scanned to the app's report; the agent is killed where it was decided."""
        trouble = threading.Thread(target=self._trouble, args=(scan,))
        trouble.start()
        self._maybe_kill(scan, "before")
        key = self._open(scan)
        self.ids[scan.number] = key
        self._maybe_kill(scan, "opened")
        if self._may_send(key):
            self._pay(scan, key)
        trouble.join()

    def _pay(self, scan: Scan, key: str) -> None:
        heard = self.wallet.pay(scan.order_no, fate=scan.fate)
        self._maybe_kill(scan, "paid")
        outcome = {"paid": "approved", "not_paid": "declined"}.get(heard, "no_answer")
        if scan.fate.startswith("late") or scan.reports != "as heard":  # whoever declines what is paid later is no sound app
            outcome = scan.reports if scan.reports != "as heard" else "no_answer"
        if outcome != "nothing":
            self._call("POST", f"/v1/transactions/{key}/result", {"outcome": outcome})
        self._maybe_kill(scan, "reported")
        if scan.evidence:
            self._call("POST", f"/v1/transactions/{key}/evidence", {"kind": "wallet_record"})

    def _open(self, scan: Scan) -> str:
        rail = {"rail": "bestpay"} if scan.wallet == "bestpay" else {"rail": "wallet", "wallet": scan.wallet}
        body = {
            "kind": "sale", "amount_fen": 100, "stan": scan.stan, "batch": "000001", "terminal_id": TERMINAL,
            "merchant_id": MERCHANT, "order_no": scan.order_no,
        }
        status, answer = self._call("POST", "/v1/transactions", body | rail, {"Idempotency-Key": scan.order_no})
        assert status == 201, answer
        return str(answer["id"])

    def _may_send(self, key: str) -> bool:
        """Permission, once nobody else is sent. False when a kill came between: then a sound app sends nothing."""
        end = time.monotonic() + QUIET_WITHIN_S
        while True:
            status, answer = self._call("POST", f"/v1/transactions/{key}/sent", {})
            if answer.get("proceed") == "go" or status == 409:
                return status != 409
            assert time.monotonic() < end, answer
            time.sleep(0.01)

    def _call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Said again until the agent, which may be killed meanwhile, has answered."""
        end = time.monotonic() + QUIET_WITHIN_S
        while True:
            try:
                return self.agent.app.call(method, path, body, headers)
            except OSError:
                assert time.monotonic() < end, "the agent does not answer"
                self._revive()

    def _maybe_kill(self, scan: Scan, moment: str) -> None:
        if scan.kill_at == moment:
            time.sleep(scan.kill_after_ms / 1_000)
            self.kills += 1
            self.agent.kill()
            self.agent.start()

    def _revive(self) -> None:
        process = self.agent.process
        if process is not None and process.poll() is not None:
            self.agent.start()
        time.sleep(0.01)

    def _trouble(self, scan: Scan) -> None:
        """The gateway's connections are cut before the answer for a while, or the gateway stands still."""
        if scan.trouble == "cut":
            began = time.time() * 1_000
            self.line.mode = "swallow"
            time.sleep(0.3)
            self.line.mode = "pass"
            self.cuts.append((began, time.time() * 1_000))
        elif scan.trouble == "freeze":
            self.wallet.process.send_signal(signal.SIGSTOP)
            time.sleep(0.3)
            self.wallet.process.send_signal(signal.SIGCONT)

    # ── afterwards ───────────────────────────────────────────────────────────────────────────────────────────────────

    def check(self) -> dict[str, int]:
        """The faults stop, everything comes to its end, and the books say the same; how often each end was reached."""
        self.wallet.order(clear=True)
        until(lambda: not self._waiting(), QUIET_WITHIN_S)
        self.agent.kill()
        verified = self.agent.cli("verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        ledger, ends = self.wallet.ledger(), dict[str, int]()
        calls = self._calls()
        for row in self._rows("transactions"):
            ends[row["state"]] = ends.get(row["state"], 0) + 1
            order_no = row["order"]["order_no"]
            self._agree(row, ledger.get(order_no))
            self._by_its_rule(row, calls.get(order_no, []))
        assert len(self.ids) == sum(ends.values()), "an order was forgotten"
        return ends

    def _waiting(self) -> list[str]:
        """What is not at its end, with every look after it."""
        self._call("GET", "/healthz")
        return [row["id"] for row in self._rows("transactions") if row["state"] not in FINAL or row.get("due_ms") is not None]

    def _rows(self, table: str) -> list[dict[str, Any]]:
        with contextlib.closing(sqlite3.connect(f"file:{self.agent.database}?mode=ro", uri=True)) as database:
            return [json.loads(body) for (body,) in database.execute(f"SELECT body FROM {table} ORDER BY number")]

    def _agree(self, row: dict[str, Any], booked: dict[str, Any] | None) -> None:
        """The wallet's ledger and the journal, to the fen."""
        net, said = 0 if booked is None else booked["net_debit_fen"], f"{row['id']} is {row['state']}, the ledger says {booked}"
        if row["state"] == "unresolved":
            incidents = [each for each in self._rows("incidents") if each.get("transaction") == row["id"] and each["open"]]
            assert any(each["owner"] and each["next_action"] for each in incidents), f"{said}, and it is nobody's"
        else:
            assert net == (100 if row["state"] == "paid" else 0), said
        if booked is not None:
            assert booked["refunds"] <= 1, f"refunded more than once: {said}"

    def _calls(self) -> dict[str, list[dict[str, Any]]]:
        """What reached the gateway, by order and in its order."""
        found: dict[str, list[dict[str, Any]]] = {}
        for line in self.wallet.lines():
            if line["what"] in CALLS:
                found.setdefault(line["order_no"], []).append(line)
        return found

    def _by_its_rule(self, row: dict[str, Any], calls: list[dict[str, Any]]) -> None:
        """No cancel before its rule, a query before every cancel and refund, and no more of each than the bounds allow."""
        rule, counted = RULES[row["wallet"]], {what: sum(call["what"] == what for call in calls) for what in CALLS}
        story = f"{row['id']} ({row['wallet']}): {[(call['what'], call.get('state'), call.get('note')) for call in calls]}"
        assert counted["cancel"] <= rule["cancels_max"], story
        assert counted["refund"] <= rule["refunds_max"], story
        assert counted["query"] <= rule["queries_max"] + rule["looks_max"] + EXTRA_QUERIES + self.kills, story
        for before, call in zip([None, *calls], calls, strict=False):
            if call["what"] == "query":
                continue
            assert before is not None, story
            assert before["what"] == "query", story
            if call["what"] == "cancel":
                sent = row.get("sent") or row["opened"]
                assert call["at_ms"] - sent[2] >= rule["cancel_after_ms"], f"cancelled too early: {story}"
                assert not self._customer_was_typing(row, before), f"cancelled while the customer typed a password: {story}"

    def _customer_was_typing(self, row: dict[str, Any], query: dict[str, Any]) -> bool:
        """As the agent has heard it: an answer that was cut off, or spoilt by a fault, told it nothing."""
        cut = any(first - 20 <= query["at_ms"] <= last for first, last in self.cuts)
        return row["wallet"] == "wechat" and query.get("state") == "paying" and "note" not in query and not cut
