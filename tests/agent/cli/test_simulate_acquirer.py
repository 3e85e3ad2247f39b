"""`reversald simulate acquirer` as a process: what it prints, the books it keeps, orders, and its end."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from device.acquirer.link import Link, tls_context
from device.acquirer.mac import SoftwareMac
from device.acquirer.message import Codec, Message
from device.simulator.control import ask
from tests.device.acquirer import certificates
from tests.device.acquirer.golden import KEY
from tests.device.simulator.test_acquirer_model import REVERSAL, SALE

PROGRAM = (sys.executable, "-m", "agent", "simulate", "acquirer")
CODEC = Codec()


@contextlib.contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """The simulator as a process, and its output; ended by SIGTERM, which must be a clean end."""
    with subprocess.Popen([*PROGRAM, "--port", "0", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          encoding="utf-8") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield process, process.stdout
        finally:
            process.send_signal(signal.SIGTERM)
            _, complaints = process.communicate(timeout=30)
        assert (process.returncode, complaints) == (0, "")


def address(output: IO[str]) -> str:
    """The HOST:PORT of a line that says where it listens."""
    return output.readline().split()[-1]


async def exchange(where: str, mti: str, fields: dict[int, str], mac: SoftwareMac, link: Link | None = None) -> Message:
    host, _, port = where.rpartition(":")
    link = link or Link(host, int(port))
    await link.connect()
    await link.send(CODEC.pack(mti, fields, mac.sign))
    reply = CODEC.read(await link.receive(20_000))
    await link.close()
    return reply


def test_it_prints_its_port_answers_logs_masked_and_keeps_its_books(tmp_path: Path) -> None:
    books = tmp_path / "ledger.json"
    with running("--ledger", str(books)) as (_, output):
        where = address(output)
        assert json.loads(books.read_text()) == []
        mac = SoftwareMac("unionpay-ecb", KEY)
        assert asyncio.run(exchange(where, "0200", SALE, mac)).fields[39] == "00"
        assert [row["net_debit_fen"] for row in json.loads(books.read_text())] == [100]
        assert asyncio.run(exchange(where, "0400", REVERSAL, mac)).fields[39] == "00"
        assert [row["net_debit_fen"] for row in json.loads(books.read_text())] == [0]
        log = [output.readline() for _ in range(6)]
    assert "→ 0200  STAN 000123  batch 000001  1.00元  622202*********0128" in log[1]
    assert "← 0210  [00]  STAN 000123" in log[2]
    assert SALE[2] not in "".join(log)
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.json"]


def test_json_lines_orders_and_scripts(tmp_path: Path) -> None:
    control = str(tmp_path / "control")
    options = ("--json", "--control", control, "--scenario", "0200=96,ok", "--set", "0400=25", "--algorithm", "x9.19")
    with running(*options) as (_, output):
        where = json.loads(output.readline())["note"]
        assert json.loads(output.readline())["note"] == f"control {control}"
        mac = SoftwareMac("x9.19", KEY)
        answers = [asyncio.run(exchange(where, mti, fields, mac)).fields[39]
                   for mti, fields in (("0200", SALE), ("0200", SALE), ("0400", REVERSAL))]
        assert answers == ["96", "00", "25"]
        assert ask(control, {"clear": True, "ledger": True})["ledger"][0]["net_debit_fen"] == 100
        assert asyncio.run(exchange(where, "0400", REVERSAL, mac)).fields[39] == "00"
        lines = [json.loads(output.readline()) for _ in range(8)]
    assert [line["response_code"] for line in lines if line["what"] == "out"] == ["96", "00"]


def test_a_key_file_tls_and_refusing_until_told_otherwise(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)
    key = tmp_path / "mac.key"
    key.write_text(KEY[::-1].hex())
    key.chmod(0o600)
    with running("--refuse", "--control", "127.0.0.1:0", "--key-file", str(key), "--tls-cert", str(files.cert),
                 "--tls-key", str(files.key), "--tls-ca", str(files.ca)) as (_, output):
        where = address(output)
        assert output.readline().split()[-1] == "refusing"
        assert ask(address(output), {"refuse": False}) == {"ok": True}
        link = Link("127.0.0.1", int(where.rpartition(":")[2]), tls=tls_context(*files))
        reply = asyncio.run(exchange(where, "0200", SALE, SoftwareMac("unionpay-ecb", KEY[::-1]), link))
        assert reply.fields[39] == "00"


def test_certificate_and_key_may_stand_in_one_file(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(files.key.read_bytes() + files.cert.read_bytes())
    with running("--tls-cert", str(both)) as (_, output):
        link = Link("127.0.0.1", int(address(output).rpartition(":")[2]), tls=tls_context(files.ca))
        reply = asyncio.run(exchange("", "0200", SALE, SoftwareMac("unionpay-ecb", KEY), link))
        assert reply.fields[39] == "00"


def test_it_goes_on_when_nobody_reads_its_log() -> None:
    with running() as (process, output):
        where = address(output)
        output.close()
        process.stdout = None
        mac = SoftwareMac("unionpay-ecb", KEY)
        for mti, fields in (("0200", SALE), ("0400", REVERSAL)):
            assert asyncio.run(exchange(where, mti, fields, mac)).fields[39] == "00"


@pytest.mark.parametrize(("options", "complaint"), [
    (("--set", "0200"), "write MTI=FAULT"),
    (("--set", "0200=oops"), "unknown fault 'oops'"),
    (("--scenario", "200=ok"), "no message type"),
    (("--key-file", "/nonexistent/mac.key"), "the key is missing"),
    (("--tpdu", "6"), "--tpdu must be hexadecimal"),
    (("--tls-key", "key.pem"), "needs --tls-cert"),
    (("--tls-cert", "/nonexistent/cert.pem"), "/nonexistent/cert.pem cannot be used for TLS: No such file"),
    (("--ledger", "/nonexistent/ledger.json"), "ledger cannot be written"),
    (("--control", "0.0.0.0:1"), "not on loopback"),
    (("--control", "/nonexistent/orders.sock"), "cannot listen on /nonexistent/orders.sock: No such file or directory"),
    (("--host", "192.0.2.1"), "cannot start"),
    (("--profile", "nobody"), "there is no profile 'nobody'"),
])
def test_a_mistake_is_named_without_a_trace(options: tuple[str, ...], complaint: str) -> None:
    words = [*PROGRAM, "--port", "0", "--lang", "en", *options]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (69 if "cannot listen" in complaint else {"--host": 69, "--profile": 78}.get(options[0], 64))
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_the_help_shows_examples_and_every_fault() -> None:
    done = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert "reversald simulate acquirer --scenario 0400=drop,96,00" in done.stdout
    assert "late:MS" in done.stdout


def test_the_group_lists_its_peers_and_does_not_load_them_before() -> None:
    check = "import sys, agent.cli.simulate; print([name for name in sys.modules if name.startswith('device')])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
