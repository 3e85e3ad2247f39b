"""The running agent: what its callers wait for, what it writes, how much it holds, and how often it wakes."""

import asyncio
import itertools
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter_ns

import aiohttp

from tests.bench.figures import Figure, interleave, ratio, raw_append
from tests.support.agent import ROOT, Agent, program
from tests.support.app import CHIP, MERCHANT, PAN, TERMINAL, until

SALES = 30
CLIENTS = 64
IDLE_S = 10
_stans = itertools.count(1)

Call = Callable[[str, object], Awaitable[dict[str, object]]]


def _opening(terminal_id: str = TERMINAL) -> dict[str, object]:
    card = {"pan": PAN, "expiry": "3012", "entry_mode": "051", "sequence": "001", "chip": CHIP}
    return {
        "rail": "card", "kind": "sale", "amount_fen": 100, "stan": f"{next(_stans):06d}", "batch": "000001",
        "terminal_id": terminal_id, "merchant_id": MERCHANT, "sent": True, "card": card,
    }


async def _sale(call: Call, terminal_id: str = TERMINAL) -> None:
    opened = await call("/v1/transactions", _opening(terminal_id))
    await call(f"/v1/transactions/{opened['id']}/result", {"outcome": "approved", "response_code": "00", "rrn": "261122000123"})


async def _with_calls(agent: Agent, body: Callable[[Call], Awaitable[float]]) -> float:
    connector = aiohttp.UnixConnector(str(agent.socket), limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def call(path: str, value: object) -> dict[str, object]:
            async with session.post("http://agent" + path, json=value) as response:
                assert response.status in {200, 201}, await response.text()
                answer: dict[str, object] = await response.json()
                return answer

        return await body(call)


def _agent(folder: Path, **sections: dict[str, object]) -> Agent:
    folder.mkdir(exist_ok=True)
    return Agent(folder, 9, **sections).start()


def hook_p50_vs_raw(folder: Path) -> Figure:
    """What one payment app waits for an answer, against one raw append with fdatasync."""
    agent = _agent(folder / "hook")

    async def one_client(call: Call) -> float:
        taken = []
        for _ in range(10):
            began = perf_counter_ns()
            opened = await call("/v1/transactions", _opening())
            taken.append(perf_counter_ns() - began)
            began = perf_counter_ns()
            await call(f"/v1/transactions/{opened['id']}/result", {"outcome": "approved", "response_code": "00"})
            taken.append(perf_counter_ns() - began)
        return statistics.median(taken) / 1000

    def ours() -> float:
        return asyncio.run(_with_calls(agent, one_client))

    try:
        return ratio(
            "hook_p50_vs_raw", "us", "p50 of one call over the Unix socket, one client, answered when it is on disk",
            "append 400 bytes + fdatasync", interleave(ours, raw_append(folder / "raw")),
        )
    finally:
        agent.stop()


def hook_64_vs_raw(folder: Path) -> Figure:
    """Calls a second of 64 clients, against raw fdatasyncs a second one after the other: group commit at work."""
    agent = _agent(folder / "hook64")

    async def many_clients(call: Call) -> float:
        began = perf_counter_ns()
        await asyncio.gather(*(_sale(call, f"T{number:07d}") for number in range(CLIENTS)))
        return 2 * CLIENTS / (perf_counter_ns() - began) * 1e9

    def ours() -> float:
        return asyncio.run(_with_calls(agent, many_clients))

    raw = raw_append(folder / "raw64")
    try:
        return ratio(
            "hook_64_vs_raw", "per_s", "calls a second, 64 clients at once, each answered when it is on disk",
            "append 400 bytes + fdatasync, one after the other", interleave(ours, lambda: 1e6 / raw()),
        )
    finally:
        agent.stop()


class _Trace:
    """strace on a running agent: counts of its system calls between `begin` and `end`."""

    def __init__(self, pid: int, output: Path) -> None:
        strace = shutil.which("strace")
        if strace is None:
            raise SystemExit("this figure needs strace: apt-get install strace")
        self._output = output
        calls = "trace=pwrite64,write,writev,fdatasync,fsync"
        self._process = subprocess.Popen(
            [strace, "-f", "-y", "-e", calls, "-o", str(output), "-p", str(pid)], stderr=subprocess.DEVNULL
        )
        until(lambda: f"TracerPid:\t{self._process.pid}" in Path(f"/proc/{pid}/status").read_text())

    def end(self) -> tuple[int, int]:
        """(syncs, bytes) that went to the database, its WAL included."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(10)
        syncs = size = 0
        for line in self._output.read_text().splitlines():
            if "reversald.db" not in line.split("(", 1)[-1][:400]:
                continue
            if "sync(" in line:
                syncs += 1
            elif "= " in line:
                result = line.rsplit("= ", 1)[1].split()[0]
                size += int(result) if result.isdigit() else 0
        return syncs, size


def _sales_traced(folder: Path) -> tuple[float, float, float]:
    """Per sale without a printer: commits as the journal counts them, fdatasyncs and bytes as the kernel does."""
    agent = _agent(folder)
    try:
        assert agent.process is not None

        async def sales(call: Call) -> float:
            for _ in range(SALES):
                await _sale(call)
            return 0.0

        asyncio.run(_with_calls(agent, sales))
        time.sleep(3)  # idle work of the first batch is done
        trace = _Trace(agent.process.pid, folder / "strace")
        steps_before = _inputs(agent)
        asyncio.run(_with_calls(agent, sales))
        commits = _inputs(agent) - steps_before
        syncs, size = trace.end()
        return commits / SALES, syncs / SALES, size / SALES
    finally:
        agent.stop()


def _inputs(agent: Agent) -> int:
    return sum("input" in line and line["input"] is not None for line in agent.journal())


def sale_commits(folder: Path) -> Figure:
    """Commits per sale: opened-and-sent, result; with a printer one more for the outcome of the job."""
    commits, _, _ = _sales_traced(folder / "commits")
    return Figure("sale_commits", commits, "commits", "of one approved sale without a printer (a job's outcome is one more)")


def fdatasync_per_commit(folder: Path) -> Figure:
    """fdatasyncs per commit, those of checkpoints and WAL restarts included."""
    commits, syncs, _ = _sales_traced(folder / "syncs")
    return Figure("fdatasync_per_commit", round(syncs / commits, 3), "fdatasyncs", "checkpoints and WAL restarts included")


def sale_device_bytes(folder: Path) -> Figure:
    """Bytes handed to the kernel for database and WAL per sale."""
    _, _, size = _sales_traced(folder / "bytes")
    says = "written to database and WAL for one approved sale, checkpoints included"
    return Figure("sale_device_bytes", round(size), "bytes", says)


def _spawn_ready(folder: Path, number: int) -> float:
    """Milliseconds from the start of the process to its READY=1."""
    folder.mkdir(exist_ok=True)
    agent = Agent(folder, 9)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        path = folder / f"notify{number}"
        ear.bind(str(path))
        ear.settimeout(20)
        began = perf_counter_ns()
        environment = {**os.environ, "NOTIFY_SOCKET": str(path)}
        argv = [*program(), "run", "--config", str(agent.config), "--log-level", "error"]
        process = subprocess.Popen(argv, cwd=ROOT, env=environment)
        while b"READY=1" not in ear.recv(256):
            pass
        taken_ms = (perf_counter_ns() - began) / 1e6
    process.terminate()
    process.wait(10)
    return taken_ms


_LIBRARIES = "aiohttp.web", "msgspec", "click", "sqlite3", "cryptography.hazmat.primitives.ciphers.aead"
_IMPORTS = "import " + ", ".join(_LIBRARIES)


def ready_ms(folder: Path) -> Figure:
    """From exec to READY=1, against an interpreter that only imports the libraries."""
    numbers = itertools.count()

    def floor() -> float:
        began = perf_counter_ns()
        subprocess.run([sys.executable, "-c", _IMPORTS], check=True)
        return (perf_counter_ns() - began) / 1e6

    measured = interleave(lambda: _spawn_ready(folder / "ready", next(numbers)), floor, rounds=30)
    peer = "python that only imports the libraries"
    found = ratio("ready_ms", "ms", "from exec to READY=1, journal already made", peer, measured)
    raw = {**found.raw, "ratio": found.value}
    return Figure("ready_ms", found.raw["ours_ms"], "ms", found.says, peer, None, found.rounds, raw)


def rss_mb(folder: Path) -> Figure:
    """Resident memory after 100 sales, against an interpreter that only imports the libraries."""
    agent = _agent(folder / "rss")
    try:
        assert agent.process is not None

        async def sales(call: Call) -> float:
            for _ in range(100):
                await _sale(call)
            return 0.0

        asyncio.run(_with_calls(agent, sales))
        ours = _rss_mb(agent.process.pid)
    finally:
        agent.stop()
    code = _IMPORTS + "; import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as peer:
        assert peer.stdout is not None
        peer.stdout.readline()
        floor = _rss_mb(peer.pid)
        peer.terminate()
    return Figure("rss_mb", ours, "MB", "VmRSS after 100 sales", "python that only imports the libraries", raw={"peer_MB": floor})


def _rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024, 1)


def idle_wakeups_s(folder: Path) -> Figure:
    """How often the idle agent wakes: voluntary context switches of all its threads, a second."""
    agent = _agent(folder / "idle")
    try:
        assert agent.process is not None
        time.sleep(4)
        before = _switches(agent.process.pid)
        time.sleep(IDLE_S)
        after = _switches(agent.process.pid)
    finally:
        agent.stop()
    per_s = round((after - before) / IDLE_S, 2)
    return Figure("idle_wakeups_s", per_s, "per second", f"voluntary context switches over {IDLE_S} s")


def _switches(pid: int) -> int:
    return sum(
        int(line.split()[1])
        for task in Path(f"/proc/{pid}/task").iterdir()
        for line in (task / "status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )
