"""Message sequence charts from exchanges that are really played: over sockets, with the simulated host, on a real journal.

A story is an async function that does something and lets a `Chart` take notes; `sequences()` is the page. The modes differ
only in who is on the line.
"""

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from agent.journal.store import Stepped, Store
from device.acquirer.stream import FrameStream
from device.simulator.acquirer import AcquirerServer, Line
from device.simulator.acquirer_model import AcquirerModel
from tests.support.house import OpenHouse, open_house
from tests.support.payshop import Shop
from tests.support.relay import CODEC, MAC, RelayHouse, Terminal, open_relay, own_0400, sale

WHO = {"app": "payment app", "agent": "reversald", "host": "acquirer's host"}
TOLD = ("transaction.", "reversal.", "relay.", "request.", "settlement.")  # facts that a chart shows
HELD = "delay:400"  # of an 0410: time enough for the next sale to come


class Chart:
    """Takes notes in the order of things and draws them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def arrow(self, source: str, target: str, text: str) -> None:
        """A message that arrived."""
        self.lines.append(f"    {source}->>{target}: {text}")

    def lost(self, source: str, text: str) -> None:
        """A message that never arrives, or a connection that ends."""
        self.lines.append(f"    Note over {source}: {text}")

    def on_disk(self, steps: list[Stepped]) -> None:
        """A commit: what is true from now on."""
        told = [fact.type for stepped in steps for fact in stepped.change.facts if fact.type.startswith(TOLD)]
        if told:
            self.lines.append(f"    Note over agent: on disk: {', '.join(told)}")

    def at_host(self, caller: Callable[[str], str]) -> Callable[[Line], None]:
        """A listener for the simulated host; `caller` says who sends messages of a type. Echo tests are left out."""

        def heard(line: Line) -> None:
            if line.mti in {"0820", "0830"} or line.what not in {"in", "out"}:
                return
            text = f"{line.mti} STAN {line.stan}" + (f", F39 {line.response_code}" if line.response_code else "")
            who = caller(f"{int(line.mti) - 10:04d}" if line.what == "out" else line.mti)
            self.arrow(*((who, "host") if line.what == "in" else ("host", who)), text)

        return heard

    def drawn(self) -> str:
        """The chart as a block of a page."""
        who = [f"    participant {key} as {name}" for key, name in WHO.items()]
        return "\n".join(["```mermaid", "sequenceDiagram", *who, *self.lines, "```"])


def played(story: Callable[[Chart, Path], Awaitable[None]]) -> str:
    """Play it, with every commit and every answer of the relay noted as it happens."""
    chart = Chart()
    begin, commit, write = Store.begin, Store.commit, FrameStream.write
    ahead: list[Stepped] = []

    def begun(self: Store, steps: list[Stepped]) -> None:
        begin(self, steps)
        ahead.extend(steps)

    def committed(self: Store, steps: list[Stepped]) -> None:
        commit(self, steps)
        chart.on_disk([*ahead, *steps])
        ahead.clear()

    async def written(self: FrameStream, frame: bytes) -> None:
        seen = CODEC.peek(frame[2:])
        if seen.mti[2] in "13" and seen.mti != "0830":  # an answer: only the relay sends any, to the terminal
            chart.arrow("agent", "app", f"{seen.mti} STAN {seen.f11}, F39 {seen.f39}")
        await write(self, frame)

    Store.begin, Store.commit, FrameStream.write = begun, committed, written  # type: ignore[method-assign]  # there is no hook
    try:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(story(chart, Path(folder)))
    finally:
        Store.begin, Store.commit, FrameStream.write = begin, commit, write  # type: ignore[method-assign]
    return chart.drawn()


# ── direct ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def direct(chart: Chart, folder: Path) -> None:
    """A lost answer, and the next sale that waits for its reversal."""
    async with AcquirerServer(AcquirerModel(), mac=MAC) as host, open_house(folder) as house:
        relay = RelayHouse(house, host, [])
        await relay.start()
        host.on_line = chart.at_host(lambda mti: "app" if mti == "0200" else "agent")
        relay.fault("0200", "drop-reply")
        relay.fault("0400", HELD)
        key = await _opened(chart, house, "000201")
        own = Terminal(*await asyncio.open_connection("127.0.0.1", host.port))
        own.send(sale("000201"))
        await relay.until(lambda: any("app->>host: 0200" in line for line in chart.lines))
        chart.lost("app", "no answer in its time")
        await host.refuse(True)  # so that the agent's answer and its 0400 do not race
        await _reported(chart, house, key, "no_answer")
        await host.refuse(False)
        relay.own.prober.poke()
        await relay.until(lambda: any("0400" in line for line in chart.lines))
        key = await _opened(chart, house, "000202")
        await relay.becomes("reversed")
        chart.arrow("app", "agent", "POST /v1/transactions/(id)/sent")
        answer = await house.post(f"/v1/transactions/{key}/sent")
        chart.arrow("agent", "app", f"{answer.body['proceed']}, {answer.body['state']}")
        own = Terminal(*await asyncio.open_connection("127.0.0.1", host.port))
        own.send(sale("000202"))
        await own.hears()
        await _reported(chart, house, key, "approved", response_code="00")
        await own.close()
        await relay.stop()


async def _opened(chart: Chart, house: OpenHouse, stan: str) -> str:
    chart.arrow("app", "agent", f"POST /v1/transactions, STAN {stan}, sent")
    answer = await house.open(stan)
    chart.arrow("agent", "app", f"{answer.body['proceed']}, {answer.body['state']}")
    return answer.id


async def _reported(chart: Chart, house: OpenHouse, key: str, outcome: str, **more: Any) -> None:
    chart.arrow("app", "agent", f"POST /v1/transactions/(id)/result: {outcome}")
    answer = await house.result(key, outcome, **more)
    chart.arrow("agent", "app", f"{answer.status} {answer.body['state']}")


# ── relay ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def relay_holds(chart: Chart, folder: Path) -> None:
    """A lost answer, and the next sale that is held while the reversal goes ahead of it."""
    async with open_relay(folder) as relay:
        relay.host.on_line = chart.at_host(lambda _: "agent")
        relay.fault("0200", "drop-reply")
        relay.fault("0400", HELD)
        terminal = await _sends(chart, relay, "000201")
        await relay.until(lambda: any("agent->>host: 0200" in line for line in chart.lines))
        chart.lost("app", "no answer in its time: it hangs up")
        await terminal.close()
        await relay.until(lambda: any("agent->>host: 0400" in line for line in chart.lines))
        terminal = await _sends(chart, relay, "000202")
        await relay.until(lambda: relay.state("000202") == "intent")
        chart.lost("agent", "held, at most hold_ms")
        await terminal.hears()
        await relay.becomes("approved", "000202")


async def relay_adopts(chart: Chart, folder: Path) -> None:
    """The payment app reverses by itself: its 0400 is adopted."""
    async with open_relay(folder) as relay:
        relay.host.on_line = chart.at_host(lambda _: "agent")
        relay.fault("0200", "drop-reply")
        terminal = await _sends(chart, relay, "000201")
        await relay.until(lambda: any("agent->>host: 0200" in line for line in chart.lines))
        chart.arrow("app", "agent", "0400 STAN 000201")
        terminal.send(own_0400())
        await terminal.hears()
        await relay.becomes("reversed")


async def _sends(chart: Chart, relay: RelayHouse, stan: str) -> Terminal:
    terminal = await relay.terminal()
    chart.arrow("app", "agent", f"0200 STAN {stan}")
    terminal.send(sale(stan))
    return terminal


# ── payapp ───────────────────────────────────────────────────────────────────────────────────────────────────────────

STEADY = {"answer_timeout_ms": 65_000, "reply_timeout_ms": 30_000, "backoff_min_ms": 60_000, "backoff_max_ms": 60_000}
ARROWS = {">": ("app", "agent"), "<": ("agent", "app"), "?": ("agent", "app"), "!": ("app", "agent")}


def _overheard(chart: Chart) -> Callable[[str], None]:
    """A listener for the simulated app: its calls to the agent, and the agent's to it."""

    def heard(line: str) -> None:
        if line[0] in ARROWS:
            text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}\.\d+", "(request)", line[2:])
            chart.arrow(*ARROWS[line[0]], re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "(id)", text).rstrip())

    return heard


async def _payapp(chart: Chart, folder: Path, **till: Any) -> None:
    """Offline the doubt waits; when the link is back the agent asks, and the app's kernel reverses."""
    shop = Shop(folder, till=till, recovery=STEADY)
    await shop.open()
    try:
        shop.host.on_line = chart.at_host(lambda _: "app")
        await shop.call("POST", "/v1/link", {"state": "down"})
        shop.till.say = _overheard(chart)
        key = await shop.lost()
        chart.arrow("app", "agent", "POST /v1/link up")
        await shop.call("POST", "/v1/link", {"state": "up"})
        await shop.reaches(key, "reversed")
        await shop.until(lambda: _is_last(chart))
    finally:
        await shop.close()


async def _is_last(chart: Chart) -> bool:
    return "agent->>app: 200 reversed" in chart.lines[-1] or "F39 00" in chart.lines[-1]


async def payapp_flushes(chart: Chart, folder: Path) -> None:
    """The app knows the flush."""
    await _payapp(chart, folder)


STORIES: dict[str, tuple[tuple[str, Callable[[Chart, Path], Awaitable[None]]], ...]] = {
    "Mode direct": (("The answer is lost; the next sale waits until the reversal is done", direct),),
    "Mode relay": (
        ("The answer is lost; the next sale is held while the reversal goes ahead of it", relay_holds),
        ("The payment app reverses by itself, and its 0400 is adopted", relay_adopts),
    ),
    "Mode payapp": (
        ("The answer is lost offline; when the link is back the agent asks, and the app's kernel reverses", payapp_flushes),
    ),
}


def sequences() -> str:
    """The page."""
    lines = [
        "# Who says what to whom",
        "",
        "Drawn by `./dev docs` from exchanges that are really played: over sockets, with the simulated host, on a real",
        'journal. A note "on disk" is a commit; what stands below it happened only after it. 报文时序图由实际对话生成。',
        "",
        "Echo tests (0820) are left out.",
    ]
    for mode, stories in STORIES.items():
        lines += ["", f"## {mode}"]
        for title, story in stories:
            lines += ["", f"{title}.", "", played(story)]
    return "\n".join(lines) + "\n"
