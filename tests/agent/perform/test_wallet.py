"""Calls to the wallet gateway: how each ended goes back to the core, too many at once have not left, and stopping ends them."""

import asyncio
import time
from typing import Any

from agent.core.change import AskWallet
from agent.core.event import Event, WalletAnswered
from agent.perform.wallet import CALLS_MAX, WalletLine
from device.simulator.wallet.faults import Faults
from device.simulator.wallet.server import WalletServer
from device.wallet import Gateway

KEY = bytes(32)


def ask(call: str, number: int = 1) -> AskWallet:
    return AskWallet("a", number, call, "o", 100, "R" if call == "refund" else None)  # type: ignore[arg-type]


def told(
    *effects: AskWallet, faults: dict[str, str] | None = None, port: int | None = None, wait: int = 1, fate: str = "paid"
) -> list[Any]:
    """What the core hears, for an order that was paid unless it met another fate."""

    async def story() -> list[Event]:
        said: list[Event] = []
        enough = asyncio.Event()

        def hear(event: Event) -> None:
            said.append(event)
            if len(said) >= wait:
                enough.set()

        script = Faults()
        script.set(faults or {})
        async with WalletServer(key=KEY, faults=script) as server:
            server.model.pay("o", 100, fate, None, 0)
            url = f"http://127.0.0.1:{port or server.port}"
            line = WalletLine(Gateway(url, KEY, "12345678", lambda: time.time_ns() // 1_000_000, timeout_s=5.0), hear)
            for effect in effects:
                line.perform(effect)
            await asyncio.wait_for(enough.wait(), 20)
            await line.stop()
        return said

    return asyncio.run(story())


def test_answers_come_back_with_the_number_of_their_call() -> None:
    assert told(ask("query", 7)) == [
        WalletAnswered(transaction="a", number=7, outcome="answered", state="paid", amount_fen=100)
    ]
    for call in ("cancel", "refund"):
        assert told(ask(call)) == [
            WalletAnswered(transaction="a", number=1, outcome="answered", state="refunded", amount_fen=100, retry=False)
        ]


def test_no_usable_answer_and_no_connection_are_two_things() -> None:
    assert told(ask("cancel"), faults={"cancel": "garbage"}) == [WalletAnswered(transaction="a", number=1, outcome="unknown")]
    assert told(ask("cancel"), port=1) == [WalletAnswered(transaction="a", number=1, outcome="not_reached")]


def test_more_calls_than_may_be_under_way_have_not_left_and_stopping_ends_the_others() -> None:
    effects = [ask("query", number) for number in range(CALLS_MAX + 2)]
    said = told(*effects, faults={"query": "silent"}, wait=2)
    assert said == [WalletAnswered(transaction="a", number=CALLS_MAX + more, outcome="not_reached") for more in (0, 1)]


def test_an_abnormal_account_is_named_by_the_reason() -> None:
    assert [event.abnormal for event in told(ask("query"), fate="abnormal")] == [True]
