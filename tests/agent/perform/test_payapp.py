"""Wishes to the payment app: a failure goes back to the core, too many at once are a failure, and stopping ends them."""

import asyncio

from agent.core.change import AskReceipt
from agent.core.event import Event, ReceiptAskFailed
from agent.perform.payapp import ASKING_MAX, PayappLine
from device.payapp import Payapp

WISH = AskReceipt("a", "000001", "000001")
FAILED = ReceiptAskFailed(transaction="a")


def test_an_app_that_is_not_there_is_told_to_the_core() -> None:
    async def story() -> list[Event]:
        told: list[Event] = []
        heard = asyncio.Event()
        line = PayappLine(Payapp("http://127.0.0.1:1"), lambda event: (told.append(event), heard.set()))
        line.perform(WISH)
        await asyncio.wait_for(heard.wait(), 10)
        await line.stop()
        return told

    assert asyncio.run(story()) == [FAILED]


def test_more_wishes_than_may_be_under_way_fail_at_once_and_stopping_ends_the_others() -> None:
    async def story() -> list[Event]:
        told: list[Event] = []

        async def mute(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await gone.wait()
            writer.close()

        gone = asyncio.Event()
        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        line = PayappLine(Payapp(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), told.append)
        for _ in range(ASKING_MAX + 2):
            line.perform(WISH)
        await line.stop()
        gone.set()
        server.close()
        await server.wait_closed()
        return told

    assert asyncio.run(story()) == [FAILED, FAILED]
