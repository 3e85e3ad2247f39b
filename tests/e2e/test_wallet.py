"""Wallets with real processes: agent, payment app, gateway; killed in the middle of a cancel, and never a fen apart."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import Agent
from tests.support.app import MERCHANT, TERMINAL
from tests.support.wallet import Wallet

# The shape of the defaults, a hundred times faster.
RULES = """
[wechat]
poll_ms = 60
paying_poll_ms = 200
give_up_ms = 250
cancel_after_ms = 150
call_timeout_ms = 1500
recheck_ms = [400]
[alipay]
poll_ms = 60
paying_poll_ms = 200
give_up_ms = 60
cancel = false
queries_max = 3
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Wallet]:
    running = Wallet(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def agent(tmp_path: Path, gateway: Wallet) -> Iterator[Agent]:
    (tmp_path / "rules.toml").write_text(RULES)
    running = Agent(tmp_path, 9, wallet={"url": gateway.url, "key_file": "wallet.key", "rules": "rules.toml"}).start()
    yield running
    running.kill()


def scan(agent: Agent, order_no: str, stan: str = "000001", **more: Any) -> str:
    body = {
        "rail": "wallet", "kind": "sale", "amount_fen": 100, "stan": stan, "batch": "000001", "terminal_id": TERMINAL,
        "merchant_id": MERCHANT, "sent": True, "wallet": "wechat", "order_no": order_no, "basket_id": "B1",
    }
    status, answer = agent.app.call("POST", "/v1/transactions", body | more)
    assert (status, answer["proceed"]) == (201, "go"), answer
    return str(answer["id"])


def until(agent: Agent, key: str, right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The transaction once it is so."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        _, row = agent.app.call("GET", f"/v1/transactions/{key}")
        if right(row):
            return dict(row)
        time.sleep(0.02)
    raise AssertionError(row)


def test_a_lost_result_is_asked_of_the_wallet_and_the_goods_go_out(agent: Agent, gateway: Wallet) -> None:
    key = scan(agent, "paid1")
    gateway.pay("paid1")
    assert agent.app.result(key, "no_answer")[1]["state"] in {"querying", "paid"}
    row = until(agent, key, lambda row: row["state"] == "paid")
    assert (row["advice"]["code"], row["advice"]["hold_goods"], row["order"]["cancels"]) == ("P23", False, 0)  # no printer here
    assert gateway.calls("cancel") == []


def test_an_order_that_nobody_paid_is_cancelled_in_time_and_asked_again(agent: Agent, gateway: Wallet) -> None:
    gateway.pay("unpaid1", fate="unpaid")
    key = scan(agent, "unpaid1")
    sent = time.time() * 1000
    agent.app.result(key, "no_answer")
    row = until(agent, key, lambda row: row["state"] == "closed")
    assert (row["advice"]["code"], row["advice"]["may_pay_again"]) == ("P10", True)
    lines = [line for line in gateway.lines() if line["what"] in {"query", "cancel"}]
    cancelled = next(index for index, line in enumerate(lines) if line["what"] == "cancel")
    assert lines[0]["what"] == "query"
    assert lines[cancelled + 1]["what"] == "query"
    assert lines[cancelled]["at_ms"] - sent >= 100, "not before its rule allows"
    scan(agent, "unpaid2", "000002")


def test_killed_in_the_middle_of_a_cancel_it_asks_first_and_no_money_is_lost(agent: Agent, gateway: Wallet) -> None:
    gateway.pay("cut1", fate="unpaid")
    gateway.order(scenario={"cancel": ["silent"]})
    key = scan(agent, "cut1")
    agent.app.result(key, "no_answer")
    until(agent, key, lambda row: row["state"] == "cancelling" and bool(gateway.calls("cancel")))
    agent.kill()
    before = len(gateway.lines())
    agent.start()
    until(agent, key, lambda row: row["state"] == "closed")
    following = [line["what"] for line in gateway.lines()[before:] if line["what"] in {"query", "cancel"}]
    assert following[0] == "query"
    assert gateway.ledger()["cut1"]["net_debit_fen"] == 0
    assert agent.cli("verify").returncode == 0


def test_a_payment_that_comes_after_the_cancel_goes_back_and_is_reported(agent: Agent, gateway: Wallet) -> None:
    gateway.pay("late1", fate="late:2500")
    key = scan(agent, "late1")
    agent.app.result(key, "no_answer")
    until(agent, key, lambda row: row["state"] == "closed")
    end = time.monotonic() + 30
    while gateway.ledger()["late1"]["state"] != "paid":
        assert time.monotonic() < end
        time.sleep(0.05)
    agent.app.call("POST", f"/v1/transactions/{key}/evidence", {"kind": "debit_sms", "amount_fen": 100})
    row = until(agent, key, lambda row: row["state"] == "refunded")
    assert row["advice"]["hold_goods"]
    assert {incident["code"] for incident in row["incidents"]} == {"in_doubt", "paid_after_cancel"}
    assert gateway.ledger()["late1"]["net_debit_fen"] == 0


def test_the_agent_waits_out_a_gateway_that_is_away(agent: Agent, gateway: Wallet, tmp_path: Path) -> None:
    gateway.stop()
    key = scan(agent, "away1")
    agent.app.result(key, "no_answer")
    until(agent, key, lambda row: row["advice"]["code"] == "N8")
    back = Wallet(tmp_path, port=gateway.port)
    back.pay("away1")
    agent.app.call("POST", "/v1/link", {"state": "up"})
    until(agent, key, lambda row: row["state"] == "paid")
    back.stop()


def test_the_wallets_bill_finds_orders_by_their_number_and_the_wallet_refunds(agent: Agent, gateway: Wallet) -> None:
    gateway.order(set={"query": "unknown"})
    key = scan(agent, "2026030210000007", "000007", wallet="alipay")
    gateway.pay("2026030210000007")
    agent.app.result(key, "no_answer")
    until(agent, key, lambda row: row["state"] == "unresolved")
    agent.app.call("POST", f"/v1/transactions/{key}/disposition", {"replaced_by": "cash"})
    opened = json.loads(agent.cli("show", "000007", "--json").stdout)["items"][0]["opened_at"]
    day = (datetime.fromtimestamp(opened / 1000, UTC) + timedelta(hours=9)).date()  # China, and the cut-off at 23:00
    bill = agent.folder / "bill.csv"
    rows = [f"`{day},`2026030210000007,`1.00", f"`{day},`6222021234567890128,`5.00", f"`{day + timedelta(days=1)},`none,`0.01"]
    bill.write_text("\n".join(["时间,订单号,金额", *rows]) + "\n")
    layout = agent.folder / "alipay.toml"
    layout.write_text('[columns]\ndate = "时间"\norder_no = "订单号"\namount = "金额"\n[values]\nstrip = "`"\n')
    said = ["settle", "import", str(bill), "--layout", str(layout), "--lang", "en"]
    refused = agent.cli(*said)
    assert (refused.returncode, "--covers" in refused.stderr) == (64, True)
    shown = agent.cli(*said, "--covers", "alipay", "--preview").stdout.splitlines()
    assert shown[0].startswith("preview, not imported: 3 lines, 0 agree, 1 about cases")
    assert shown[1] == f"unmatched, line 3: {day} 622202*********0128 debit CNY 5.00 (no such transaction here)"
    assert agent.cli(*said, "--covers", "alipay").stdout.splitlines()[-1] == "a refund is due: 1"
    gateway.order(clear=True)
    assert agent.cli("settle", "refund", "000007", "--by", "Li", "--confirm").returncode == 0
    until(agent, key, lambda row: row["state"] == "refunded")
    assert (gateway.ledger()["2026030210000007"]["net_debit_fen"], len(gateway.calls("refund"))) == (0, 1)
    assert agent.cli("verify").returncode == 0
