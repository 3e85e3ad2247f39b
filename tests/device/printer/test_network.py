"""Network printers and bridges: real sockets, and what happens when the other end goes away or never answers."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from device.errors import PortLost, PortStalled, PortUnavailable
from device.printer import Document, Line, Printer, Proof
from device.printer.encoder import encode
from device.printer.factory import open_printer
from device.printer.profile import load_profile
from device.printer.tcp import TcpPort
from device.printer.vendor import VendorPrinter
from tests.device.printer.live import LivePrinter, live_printer

P80 = load_profile("generic-80mm")
BUILT_IN = replace(load_profile("generic-58mm"), confirm="process-id", confirm_timeout_ms=2000)


def slip(text: str, lines: int = 1) -> bytes:
    return encode(Document(tuple(Line(f"{text} {number}") for number in range(lines))), P80)


@pytest.fixture
def networked(tmp_path: Path) -> Iterator[LivePrinter]:
    with live_printer(tmp_path, "generic-80mm", tcp="127.0.0.1:0") as printer:
        yield printer


def test_a_network_printer_prints_and_proves(networked: LivePrinter) -> None:
    printer = open_printer("escpos", networked.port, 0, P80)
    printer.open()
    assert printer.print(slip("网络"), 1).level == "FENCED"
    printer.close()
    networked.wait_for("网络 0")


def test_a_network_printer_without_paper_keeps_the_job(networked: LivePrinter) -> None:
    printer = open_printer("escpos", networked.port, 0, P80)
    printer.open()
    networked.order(do="paper_out")
    outcome = printer.print(slip("缺纸"), 1)
    assert (outcome.level, outcome.status.fault) == ("UNPRINTED", "paper_out")
    printer.close()


def test_a_peer_that_closes_is_heard_in_a_wait(tmp_path: Path) -> None:
    with live_printer(tmp_path, "generic-80mm", tcp="127.0.0.1:0") as simulated:
        printer = open_printer("escpos", simulated.port, 0, P80)
        printer.open()
        with contextlib.closing(socket.create_connection(("127.0.0.1", int(simulated.port.rpartition(":")[2])))) as second:
            assert second.recv(1) == b""  # one connection at a time
        simulated.order(do="state")
    while printer.is_open:
        heard = printer.wait(30)
    assert heard.status is not None
    assert heard.status.fault == "unavailable"


def test_a_connection_that_takes_nothing_is_stalled_and_dropped_with_all_that_was_queued() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # small, so that it is full long before the deadline
        port = TcpPort("127.0.0.1", server.getsockname()[1], 100_000)
        port.open()
        peer, _ = server.accept()
        with pytest.raises(PortStalled) as caught:
            port.write(bytes(20_000_000), port.now_s() + 1.0)
        assert 0 < caught.value.accepted_bytes < 1_000_000
        assert port.discard() > 0
        assert not port.is_open
        with pytest.raises(PortLost):
            port.write(b"x", port.now_s() + 1)
        peer.settimeout(30)
        with pytest.raises(ConnectionResetError):
            read_to_the_end(peer)
        peer.close()


def read_to_the_end(peer: socket.socket) -> None:
    while peer.recv(1 << 20):
        pass


def test_an_address_where_nobody_listens_is_refused_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    with pytest.raises(PortUnavailable, match="nothing listens there") as caught:
        TcpPort("127.0.0.1", number, 1000).open()
    assert caught.value.cause == "refused"


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_built_in_printer_prints_through_its_bridge(tmp_path: Path, kind: str) -> None:
    address = f"unix:{tmp_path / 'bridge'}" if kind == "unix" else "tcp://127.0.0.1:0"
    with live_printer(tmp_path, bridge=address) as simulated:
        printer = open_printer("vendor", simulated.port, 0, BUILT_IN)
        printer.open()
        assert printer.status().fault == "none"
        assert printer.print(slip("内置"), 1).level == "CONFIRMED"
        printer.close()
        simulated.wait_for("内置 0")


@pytest.fixture
def bridged(tmp_path: Path) -> Iterator[tuple[LivePrinter, Printer]]:
    with live_printer(tmp_path, bridge="tcp://127.0.0.1:0") as simulated:
        printer = open_printer("vendor", simulated.port, 0, BUILT_IN)
        printer.open()
        yield simulated, printer
        printer.close()


def test_a_bridge_that_refuses_leaves_the_job_unprinted(bridged: tuple[LivePrinter, Printer]) -> None:
    simulated, printer = bridged
    simulated.order(do="cover_open")
    outcome = printer.print(slip("开盖"), 1)
    assert (outcome.level, outcome.accepted_bytes, outcome.status.fault) == ("UNPRINTED", 0, "cover_open")
    heard = printer.wait(30)
    assert heard.status is not None
    assert heard.status.fault == "cover_open"
    simulated.order(do="cover_close")
    assert printer.resume().fault == "none"
    assert printer.clear().fault == "none"


def test_paper_that_ends_in_mid_job_is_confirmed_late_through_the_bridge(bridged: tuple[LivePrinter, Printer]) -> None:
    simulated, printer = bridged
    simulated.order(do="paper_out", after_lines=2)
    outcome = printer.print(slip("内", 6), 9)
    assert (outcome.level, outcome.status.fault) == ("SENT_UNCONFIRMED", "paper_out")
    simulated.order(do="paper_in")
    proofs: list[Proof] = []
    while not proofs:
        proofs += printer.wait(30).proofs
    assert proofs == [Proof(9, "CONFIRMED")]


def test_a_bridge_that_died_is_silent_and_a_new_connection_is_a_new_start(bridged: tuple[LivePrinter, Printer]) -> None:
    """Seen after a change of roll: the service keeps its socket open and answers nothing any more."""
    simulated, printer = bridged
    simulated.order(do="silent")
    outcome = printer.print(slip("死"), 1)
    assert (outcome.level, outcome.status.fault) == ("UNPRINTED", "silent")
    assert not printer.is_open
    simulated.order(do="speak")
    printer.open()
    assert printer.print(slip("活"), 2).level == "CONFIRMED"


def test_a_built_in_printer_refuses_at_low_battery_says_so_unasked_and_prints_when_charged(
    bridged: tuple[LivePrinter, Printer]
) -> None:
    simulated, printer = bridged
    simulated.order(do="battery_low")
    heard = printer.wait(30)
    assert heard.status is not None
    assert heard.status.fault == "battery_low"
    outcome = printer.print(slip("电"), 1)
    assert (outcome.level, outcome.status.fault) == ("UNPRINTED", "battery_low")
    simulated.order(do="charge")
    assert printer.print(slip("电"), 2).level == "CONFIRMED"


def test_a_service_that_is_dead_after_a_change_of_roll_is_bound_anew_by_a_new_connection(
    bridged: tuple[LivePrinter, Printer]
) -> None:
    simulated, printer = bridged
    simulated.order(do="die_at_roll")
    simulated.order(do="paper_out")
    assert printer.print(slip("卷"), 1).status.fault == "paper_out"
    simulated.order(do="paper_in")
    outcome = printer.print(slip("卷"), 2)
    assert (outcome.level, outcome.status.fault) == ("UNPRINTED", "silent")
    assert not printer.is_open
    printer.open()
    assert printer.print(slip("卷"), 3).level == "CONFIRMED"


class Script:
    """A bridge that says what the test wants, line for line."""

    def __init__(self, *answers: dict[str, object] | bytes | None) -> None:
        self.requests: list[dict[str, object]] = []
        self._answers = list(answers)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        line, _ = self._server.accept()
        with contextlib.suppress(ConnectionError), line, line.makefile("rb") as lines:
            for request in lines:
                asked = msgspec.json.decode(request)
                self.requests.append(asked)
                answer = self._answers.pop(0) if self._answers else None
                if isinstance(answer, bytes):
                    line.sendall(answer)
                elif answer is not None:
                    line.sendall(msgspec.json.encode({"id": asked["id"], **answer}) + b"\n")

    def close(self) -> None:
        self._thread.join(30)
        self._server.close()


@contextlib.contextmanager
def scripted(*answers: dict[str, object] | bytes | None) -> Iterator[tuple[Script, VendorPrinter]]:
    script = Script(*answers)
    printer = VendorPrinter(TcpPort("127.0.0.1", int(script.port.rpartition(":")[2]), 100_000), BUILT_IN)
    printer.open()
    try:
        yield script, printer
    finally:
        printer.close()
        script.close()


GOOD: dict[str, object] = {"paper": "ok", "online": True}


def test_a_print_without_an_answer_may_have_been_printed() -> None:
    with scripted(GOOD, None) as (script, printer):
        outcome = printer.print(b"abc", 1)
        assert (outcome.level, outcome.status.fault) == ("SENT_UNCONFIRMED", "silent")
        assert not printer.is_open
    assert [request["op"] for request in script.requests] == ["status", "print"]


def test_a_low_battery_keeps_the_job() -> None:
    with scripted({"paper": "ok", "battery_low": True}) as (_, printer):
        outcome = printer.print(b"abc", 1)
        assert (outcome.level, outcome.status.battery_low, outcome.status.fault) == ("UNPRINTED", True, "battery_low")


def test_a_job_that_the_service_dropped_before_printing_is_unprinted() -> None:
    answer = b'{"id": 2, "accepted": true}\n{"event": "failed", "job": 1, "reason": "overheated", "nothing_printed": true}\n'
    with scripted(GOOD, answer) as (_, printer):
        outcome = printer.print(b"abc", 1)
        assert (outcome.level, outcome.accepted_bytes, outcome.status.fault) == ("UNPRINTED", 0, "overheated")


def test_an_answer_that_does_not_accept_the_job_refuses_it() -> None:
    with scripted(GOOD, {}) as (_, printer):
        assert printer.print(b"abc", 1).level == "UNPRINTED"


def test_a_job_that_failed_somewhere_is_never_sent_again() -> None:
    answer = b'{"id": 2, "accepted": true}\n{"event": "failed", "job": 1, "reason": "paper_out"}\n'
    with scripted(GOOD, answer) as (_, printer):
        outcome = printer.print(b"abc", 1)
        assert (outcome.level, outcome.status.fault) == ("SENT_UNCONFIRMED", "paper_out")


def test_unreadable_lines_and_unknown_keys_are_no_answers_and_no_crash() -> None:
    rubbish = b'\xff\xfe\n{"id": "x"}\n[]\n{"id": 1, "paper": "ok", "online": true, "model": "V9"}\n'
    with scripted(rubbish) as (_, printer):
        assert printer.status().fault == "none"


def test_a_bridge_that_never_ends_its_line_is_given_up() -> None:
    with scripted(b"x" * 200_000) as (_, printer):
        assert printer.status().fault == "silent"
        assert not printer.is_open
