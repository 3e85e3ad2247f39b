"""The running agent: what its callers wait for, what it writes, how much it holds, and how often it wakes."""

import itertools
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns

from tests.bench.figures import TURNS, Figure, interleave, ratio, raw_append, timed_us
from tests.support.agent import ROOT, Agent, program
from tests.support.app import CHIP, MERCHANT, PAN, TERMINAL, until

SALES = 30
CLIENTS = 64
IDLE_S = 10
_stans = itertools.count(1)
APPROVED = {"outcome": "approved", "response_code": "00", "rrn": "261122000123"}


def _opening(terminal_id: str = TERMINAL) -> dict[str, object]:
    card = {"pan": PAN, "expiry": "3012", "entry_mode": "051", "sequence": "001", "chip": CHIP}
    return {
        "rail": "card", "kind": "sale", "amount_fen": 100, "stan": f"{next(_stans):06d}", "batch": "000001",
        "terminal_id": terminal_id, "merchant_id": MERCHANT, "sent": True, "card": card,
    }


class Caller:
    """A payment app that costs next to nothing: one kept connection, one request at a time, bytes in and bytes out."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))

    def call(self, path: str, value: object) -> dict[str, object]:
        """Post and wait for the answer."""
        self.post(path, value)
        return self.answer()

    def post(self, path: str, value: object) -> None:
        """Send a request."""
        body = json.dumps(value).encode()
        self._socket.sendall(b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)) + body)

    def answer(self) -> dict[str, object]:
        """Wait for the answer to the oldest request."""
        data = self._socket.recv(65_536)
        head, _, body = data.partition(b"\r\n\r\n")
        size = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
        while len(body) < size:
            body += self._socket.recv(65_536)
        assert b" 20" in head[:13], data
        found: dict[str, object] = json.loads(body)
        return found

    def sale(self) -> None:
        """Open and ask, then report an approval."""
        opened = self.call("/v1/transactions", _opening())
        self.call(f"/v1/transactions/{opened['id']}/result", APPROVED)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def _agent(folder: Path, **sections: dict[str, object]) -> Agent:
    folder.mkdir(exist_ok=True)
    return Agent(folder, 9, **sections).start()


def hook_p50_vs_raw(folder: Path) -> Figure:
    """What one payment app waits for an answer, against one raw append with fdatasync."""
    agent = _agent(folder / "hook")
    caller = Caller(agent.socket)

    def calls() -> Iterator[tuple[str, dict[str, object]]]:
        while True:
            yield "/v1/transactions", _opening()
            yield f"/v1/transactions/{answers[-1]['id']}/result", APPROVED

    answers: list[dict[str, object]] = []
    following = calls()

    def ours() -> float:
        path, value = next(following)
        return timed_us(lambda: answers.append(caller.call(path, value)))

    try:
        return ratio(
            "hook_p50_vs_raw", "us", "p50 of one call over the Unix socket, one client, answered when it is on disk",
            "append 400 bytes + fdatasync", interleave(ours, raw_append(folder / "raw")),
        )
    finally:
        caller.close()
        agent.stop()


def hook_64_vs_raw(folder: Path) -> Figure:
    """Calls a second of 64 clients, against raw fdatasyncs a second one after the other: group commit at work."""
    agent = _agent(folder / "hook64")
    callers = [Caller(agent.socket) for _ in range(CLIENTS)]

    def ours() -> float:
        openings = [_opening(f"T{number:07d}") for number in range(CLIENTS)]
        began = perf_counter_ns()
        for caller, opening in zip(callers, openings, strict=True):
            caller.post("/v1/transactions", opening)
        for caller in callers:
            opened = caller.answer()
            caller.post(f"/v1/transactions/{opened['id']}/result", APPROVED)
        for caller in callers:
            caller.answer()
        return 2 * CLIENTS / (perf_counter_ns() - began) * 1e9

    raw = raw_append(folder / "raw64")
    try:
        return ratio(
            "hook_64_vs_raw", "per_s", "calls a second, 64 clients at once, each answered when it is on disk",
            "append 400 bytes + fdatasync, one after the other",
            interleave(ours, lambda: 1e6 / statistics.median(raw() for _ in range(TURNS)), turns=1),
        )
    finally:
        for caller in callers:
            caller.close()
        agent.stop()


class Trace:
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

        caller = Caller(agent.socket)
        for _ in range(SALES):
            caller.sale()
        time.sleep(3)  # idle work of the first batch is done
        trace = Trace(agent.process.pid, folder / "strace")
        steps_before = _inputs(agent)
        for _ in range(SALES):
            caller.sale()
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


_LIBRARIES = "aiohttp.web", "msgspec", "sqlite3", "cryptography.hazmat.primitives.ciphers.aead"
_IMPORTS = "import " + ", ".join(_LIBRARIES)


def ready_ms(folder: Path) -> Figure:
    """From exec to READY=1, against an interpreter that only imports the libraries."""
    numbers = itertools.count()

    def floor() -> float:
        began = perf_counter_ns()
        subprocess.run([sys.executable, "-c", _IMPORTS], check=True)
        return (perf_counter_ns() - began) / 1e6

    measured = interleave(lambda: _spawn_ready(folder / "ready", next(numbers)), floor, rounds=30, turns=1)
    peer = "python that only imports the libraries"
    found = ratio("ready_ms", "ms", "from exec to READY=1, journal already made", peer, measured)
    raw = {**found.raw, "ratio": found.value}
    return Figure("ready_ms", found.raw["ours_ms"], "ms", found.says, peer, None, found.rounds, raw)


def rss_mb(folder: Path) -> Figure:
    """Resident memory after 100 sales, against an interpreter that only imports the libraries."""
    _agent(folder / "rss").stop()  # the first start makes the tables, with libraries that later ones do not need
    agent = _agent(folder / "rss")
    try:
        assert agent.process is not None

        caller = Caller(agent.socket)
        for _ in range(100):
            caller.sale()
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
