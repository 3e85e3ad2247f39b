"""From "the link is up" to "the 0410 is on disk", in a network of its own whose loopback link is really cut and mended.

Runs as a program too: `python -m tests.bench.linkup FOLDER` moves into the new network with host and agent, and prints what it
measured as JSON. Needs root, or a kernel that lets ordinary users make namespaces.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

from tests.bench.figures import ROUNDS, Figure, interleave
from tests.bench.running import Trace
from tests.support import ownnetwork
from tests.support.agent import ROOT, Agent
from tests.support.app import until
from tests.support.host import Host
from tests.support.terminal import transact

NO_NAMESPACE = 75
TIMERS = {"answer_timeout_ms": 60_000, "reply_timeout_ms": 20_000, "spacing_ms": 60_000, "backoff_min_ms": 60_000}
TIMERS |= {"backoff_max_ms": 60_000}


def link_up_to_0410_ms(folder: Path) -> Figure:
    """Milliseconds from the link's return to the accepted reversal on disk, told over the local API."""
    argv = [sys.executable, "-m", "tests.bench.linkup", str(folder.resolve())]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == NO_NAMESPACE:
        raise SystemExit("link_up_to_0410_ms needs a network namespace: run it as root, or allow user namespaces")
    if done.returncode:
        raise SystemExit(done.stderr)
    said = json.loads(done.stdout.splitlines()[-1])
    low, median, high = statistics.quantiles(said["ours"], n=4)
    peer = statistics.median(said["peer"])
    raw = {"peer_ms": round(peer, 2), "ratio": round(median / peer, 2), "commits": said["commits"], "fdatasyncs": said["syncs"]}
    return Figure(
        "link_up_to_0410_ms", round(median, 2), "ms", "link up → netlink, connect, 0400, 0410 on disk and told; budget 10",
        "connect, fdatasync, 120 bytes there and back, fdatasync", (round(low, 2), round(high, 2)), len(said["ours"]), raw,
    )


class Shop:
    """An agent and its host in this network."""

    def __init__(self, folder: Path) -> None:
        (folder / "shop").mkdir()
        self.host = Host(folder / "shop")
        self.agent = Agent(folder / "shop", self.host.port, recovery=TIMERS).start()
        self._stan = 0
        self._events = socket.socket(socket.AF_UNIX)
        self._events.connect(str(self.agent.socket))
        self._events.sendall(b"GET /v1/events HTTP/1.1\r\nHost: a\r\n\r\n")

    def doubt(self) -> None:
        """A sale that the host booked; the link is cut, its answer lost, and the agent knows that the line is down."""
        self._stan += 1
        stan = f"{self._stan:06d}"
        _, sale = self.agent.app.open(stan)
        assert transact(self.host.port, stan, 100, timeout_ms=5_000) == "00"
        ownnetwork.loopback(up=False)
        self.agent.app.result(sale["id"], "no_answer")
        until(lambda: self.agent.app.get("/v1/status")["line"] == "down")

    def mend(self) -> float:
        """Mend the link; milliseconds until the reversal is on disk and told."""
        began = perf_counter_ns()
        ownnetwork.loopback(up=True)
        seen = self._until(b"reversal.confirmed", b"")
        taken_ms = (perf_counter_ns() - began) / 1e6
        self._until(b"recovery.link_ok", seen)  # the echo test after it: then the line is closed
        return taken_ms

    def _until(self, type_: bytes, seen: bytes) -> bytes:
        while type_ not in seen:
            seen += self._events.recv(65_536)
        return seen

    def round(self) -> float:
        """Cut, lose, mend."""
        self.doubt()
        return self.mend()

    def counts(self, folder: Path) -> tuple[int, int]:
        """Commits and fdatasyncs from the mended link to the end of the echo test after the reversal."""
        self.doubt()
        assert self.agent.process is not None
        seq = self.agent.journal()[-1]["seq"]
        trace = Trace(self.agent.process.pid, folder / "strace")
        self.mend()
        syncs, _ = trace.end()
        return sum(line.get("input") is not None for line in self.agent.journal(seq)), syncs

    def close(self) -> None:
        """End both."""
        self._events.close()
        self.agent.stop()
        self.host.stop()


def floor(path: Path) -> Callable[[], float]:
    """What cannot be spared: a connect, two fdatasyncs, and 120 bytes there and back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo() -> None:
        while True:
            near, _ = listener.accept()
            with near:
                near.sendall(near.recv(256))

    threading.Thread(target=echo, daemon=True).start()
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def keep(data: bytes) -> None:
        os.write(descriptor, data)
        os.fdatasync(descriptor)

    def once() -> float:
        ownnetwork.loopback(up=False)
        began = perf_counter_ns()
        ownnetwork.loopback(up=True)
        with socket.create_connection(listener.getsockname()) as line:
            keep(b"x" * 400)
            line.sendall(b"x" * 120)
            keep(line.recv(256))
        return (perf_counter_ns() - began) / 1e6

    return once


def main(folder: Path) -> int:
    """Measure in a network of our own; exit code 75 where the kernel refuses one."""
    if not ownnetwork.enter():
        return NO_NAMESPACE
    ownnetwork.loopback(up=True)
    shop = Shop(folder)
    try:
        ours, peer = interleave(shop.round, floor(folder / "raw-link"), ROUNDS, turns=1)
        commits, syncs = shop.counts(folder)
    finally:
        shop.close()
    print(json.dumps({"ours": ours, "peer": peer, "commits": commits, "syncs": syncs}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
