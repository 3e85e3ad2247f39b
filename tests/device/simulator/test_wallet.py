"""The simulated wallet: its books are the truth, its fates and faults are what they say, and orders come from this machine."""

import asyncio
from typing import Any

import aiohttp
import pytest

from device.simulator.wallet.faults import WORDS, FaultError, Faults, fault
from device.simulator.wallet.gateway import call
from device.simulator.wallet.model import Reply, WalletModel
from device.simulator.wallet.server import Line, WalletServer


def paid(fate: str = "paid", after_ms: int | None = None, **how: Any) -> WalletModel:
    model = WalletModel(**how)
    model.pay("o", 100, fate, after_ms, 0)
    return model


def net(model: WalletModel) -> int:
    account = model.find("o")
    assert account is not None
    return account.net_debit_fen


def test_a_cancel_gives_a_paid_order_back_once() -> None:
    model = paid()
    assert [model.cancel("o").state, model.cancel("o").state] == ["refunded", "refunded"]
    assert net(model) == 0


def test_a_refund_gives_back_once_and_only_the_whole_amount() -> None:
    model = paid()
    assert model.refund("o", "R", 99).state == "paid"
    assert [model.refund("o", "R", 100).state, model.refund("o", "R2", 100).state] == ["refunded", "refunded"]
    assert (net(model), model.rows()[0]["refund_no"]) == (0, "R")
    assert model.refund("nobody", "R", 1).state == "not_found"


def test_while_a_password_is_asked_for_wechat_takes_no_cancel_and_others_do() -> None:
    assert paid("paying").cancel("o") == Reply("paying", retry=True)
    assert paid("paying", paying_refuses=False).cancel("o").state == "closed"


def test_a_password_comes_in_time_or_not_at_all() -> None:
    model = paid("paying", 1_000)
    model.advance(999)
    assert model.query("o").state == "paying"
    assert model.next_ms() == 1_000
    model.advance(1_000)
    assert (model.query("o"), net(model)) == (Reply("paid", 100), 100)


def test_a_late_payment_comes_even_after_the_cancel() -> None:
    model = paid("late", 5_000)
    assert model.cancel("o").state == "closed"
    model.advance(5_000)
    assert (model.query("o").state, net(model)) == ("paid", 100)
    assert model.cancel("o").state == "refunded"


def test_an_order_number_is_used_once_also_after_a_cancel_that_came_first() -> None:
    model = WalletModel()
    assert model.cancel("o").state == "closed"
    assert model.pay("o", 100, "paid", None, 0) == "closed"
    assert net(model) == 0
    assert model.pay("x", 100, "lost", None, 0) == "unknown"
    assert model.query("x").state == "not_found"


@pytest.mark.parametrize("word", [word for word in WORDS if word != "delay:MS"] + ["delay:5"])
def test_every_fault_does_what_it_says(word: str) -> None:
    model = paid()
    outcome = call(model, "cancel", "o", fault(word))
    said = WORDS["delay:MS" if word.startswith("delay") else word]
    assert net(model) == (100 if said.startswith("not done") else 0)
    assert (outcome.reply is None) == ("no answer ever" in said)
    assert outcome.status == (int(word) if word.isdigit() else 200)


def test_a_lie_says_done_and_a_refusal_says_never() -> None:
    model = paid("unpaid")
    assert call(model, "cancel", "o", fault("lie")).reply == Reply("closed", retry=False)
    assert call(model, "cancel", "o", fault("refuse")).reply == Reply("not_paid", retry=False)
    assert call(model, "cancel", "o", fault("busy")).reply == Reply("not_paid", retry=True)
    assert call(paid(), "query", "o", fault("lie")).reply == Reply("not_paid", retry=False)
    assert call(paid(), "query", "o", fault("unknown")).reply == Reply("unknown")


@pytest.mark.parametrize("text", ["what", "delay", "delay:x", "delay:9999999", "ok@2", "ok@x", "ok:5", ""])
def test_a_fault_that_is_none_says_what_there_is(text: str) -> None:
    with pytest.raises(FaultError):
        fault(text)


def test_scripts_come_before_standing_faults_and_chances_are_drawn() -> None:
    faults = Faults()
    faults.set({"cancel": "lie", "query": "unknown@0"})
    faults.scenario({"cancel": ["silent", "ok"]})
    assert [faults.choose("cancel").word for _ in range(3)] == ["silent", "ok", "lie"]
    assert faults.choose("query").word == "ok"
    faults.clear()
    assert faults.choose("cancel").word == "ok"
    with pytest.raises(FaultError):
        faults.set({"pay": "ok"})
    with pytest.raises(FaultError):
        faults.scenario({"query": ["ok"] * 1_001})


def test_customers_pay_faults_change_and_books_are_read_over_http() -> None:
    said: list[Line] = []

    async def story() -> list[Any]:
        async with WalletServer(on_line=said.append) as server, aiohttp.ClientSession() as session:
            base = f"http://127.0.0.1:{server.port}"

            async def post(path: str, body: Any) -> Any:
                async with session.post(base + path, json=body) as answer:
                    return answer.status, await answer.json()

            seen = [
                await post("/simulator/pay", {"order_no": "o", "amount_fen": 100}),
                await post("/simulator/pay", {"order_no": "p", "amount_fen": 100, "fate": "paying:60000"}),
                await post("/simulator/pay", {"order_no": "q", "amount_fen": 100, "fate": "eaten"}),
                await post("/simulator/pay", {"order_no": "q"}),
                await post("/simulator/faults", {"set": {"query": "unknown"}, "scenario": {"cancel": ["refuse"]}}),
                await post("/simulator/faults", {"set": {"query": "eaten"}}),
                await post("/orders/o/cancel", {}),
                await post("/orders/o/refund", {"no": 1}),
                await post("/simulator/faults", {"clear": True}),
            ]
            async with session.get(base + "/simulator/ledger") as answer:
                seen.append((answer.status, (await answer.json())["ledger"]))
            return seen

    seen = asyncio.run(story())
    assert [status for status, _ in seen] == [200, 200, 400, 400, 200, 400, 200, 400, 200, 200]
    assert seen[0][1] == {"state": "paid"}
    assert seen[1][1] == {"state": "paying"}
    assert seen[6][1] == {"state": "paid", "retry": False}
    assert [(row["order_no"], row["net_debit_fen"]) for row in seen[-1][1]] == [("o", 100), ("p", 0)]
    assert [line.what for line in said] == ["listening", "pay", "pay", "cancel"]
