"""Run as a program: a link is cut and mended under a prober and its network ear; prints what was seen, one word a step.

In a network of its own the loopback link is really cut. Where the kernel refuses that, the host goes away instead, and
the kernel's messages are asked for: they arrive on the same socket and read the same.
"""

import asyncio
import contextlib
import socket
import struct

from device import connectivity
from device.connectivity import NetworkEar, Prober
from tests.support import ownnetwork

_RTM_GETLINK, _NLM_F_REQUEST_DUMP = 18, 0x301


async def story(own: bool) -> None:
    connectivity.FAST_S = connectivity.SLOW_MAX_S = 3600.0  # only what the ear hears can start a second attempt
    host = socket.socket()
    host.bind(("127.0.0.1", 0) if not own else ("0.0.0.0", 0))
    outcomes: asyncio.Queue[bool] = asyncio.Queue()

    async def attempt() -> bool:
        try:
            async with asyncio.timeout(0.3):  # a cut link swallows the SYN
                _, writer = await asyncio.open_connection("127.0.0.1", host.getsockname()[1])
        except OSError:
            outcomes.put_nowait(False)
            return False
        writer.close()
        outcomes.put_nowait(True)
        return True

    prober = Prober(attempt)
    ear = NetworkEar(prober.poke)
    assert ear.open()

    async def until(wanted: bool) -> None:
        while await outcomes.get() is not wanted:
            pass

    def change(up: bool) -> None:
        nonlocal host
        if own:
            ownnetwork.loopback(up)
            return
        if up:
            host.listen()
        else:
            address = host.getsockname()
            host.close()
            host = socket.socket()
            host.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            host.bind(address)
        assert ear._socket is not None
        ear._socket.send(struct.pack("=IHHIIB3x", 20, _RTM_GETLINK, _NLM_F_REQUEST_DUMP, 1, 0, 0))

    if own:
        host.listen()
    probing = asyncio.create_task(prober.run())
    prober.want(True)
    await until(False)
    await asyncio.sleep(0.1)  # the prober takes note of the outcome
    print("down" if prober.proved_down() else "unproved")
    for up in (True, False, True):
        change(up)
        await until(up)
        print("up" if up else "down")
    probing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await probing
    ear.close()
    host.close()


if __name__ == "__main__":
    own = ownnetwork.enter()
    print("own" if own else "shared")
    asyncio.run(story(own))
