"""Orders from the operator's side: keys as files, arguments, statements cut into orders, and terminals that are slow or gone."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from agent import statementlayout
from agent.commandform import COMMAND_BYTES_MAX, signed_bytes
from agent.envelope import Command, Response, decode, encode
from agent.statementfile import Booking
from device.broker import parse_broker
from device.mqtt import Backoff, Ending, Inbound, Message, MqttClient, Session
from fleet import signing
from fleet.commanding import arguments, parts
from fleet.errors import KeyFileError, OrderError
from fleet.sqlite import SqliteStore
from tests.support.broker import Mosquitto
from tests.support.commands import FLEET, KEY, SN, fleet, write_keys
from tests.support.process import Process
from tests.support.waiting import until

COMMON: dict[str, Any] = {"fleet": FLEET, "epoch": "e", "boot": 1, "ts": 1, "clk": "ntp", "mono": 1}


class Terminal:
    """A terminal that answers as the test says: `answer` gets each command and gives what is said on `rsp`."""

    def __init__(self, url: str, sn: str, answer: Callable[[Command], Response | None]) -> None:
        self.sn, self.answer, self.heard = sn, answer, list[Inbound]()
        self._client = MqttClient(parse_broker(url), sn, backoff=Backoff(0.02, 0.1))
        self._client.start(self, None, [f"rv1/{FLEET}/{sn}/cmd"])

    async def stop(self) -> None:
        await self._client.stop()

    def on_connected(self, _session: Session) -> None: ...

    def on_disconnected(self, _ending: Ending) -> None: ...

    def on_unsubscribed(self, text: str) -> None:
        raise AssertionError(text)

    def on_message(self, message: Inbound) -> None:
        self.heard.append(message)
        said = self.answer(decode(message.payload, Command))
        if said is not None:
            self._client.publish(Message(f"rv1/{FLEET}/{self.sn}/rsp", encode(said), correlation=message.correlation))


def response(command: Command, status: str, **d: Any) -> Response:
    return Response(**COMMON, sn=command.sn, id=command.id, name=command.name, status=status, d=d)  # type: ignore[arg-type]


def ordered(broker: Mosquitto, folder: Path, *words: str, valid: str = "20") -> Process:
    private = folder / "fleet.key"
    if not private.exists():
        write_keys(folder)
    options = ("--broker", broker.url, "--fleet", FLEET, "--signing-key", str(private), "--valid", valid, "--lang", "en")
    return Process("-m", "fleet", *words, *options)


def told(database: Path) -> bool:
    """Does the operator's database know who the terminal is?"""
    store = SqliteStore(database)
    try:
        return bool(store.terminal_ids(FLEET))
    finally:
        store.close()


async def ended(process: Process) -> int:
    return await asyncio.to_thread(process.wait)


def test_a_slow_terminal_is_asked_again_under_the_same_id_and_its_parts_are_shown(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        def answer(command: Command) -> Response | None:
            if len(terminal.heard) == 1:
                return None  # lost on the way
            return response(command, "done", result={"entries": 1})

        terminal = Terminal(broker.url, SN, answer)
        with ordered(broker, tmp_path, "command", SN, "upload-log", "from_seq=7", "--wait") as process:
            assert await ended(process) == 0
        await terminal.stop()
        first, second = (decode(message.payload, Command) for message in terminal.heard)
        assert first == second
        KEY.public_key().verify(bytes.fromhex(first.sig), signed_bytes(first))
        assert (first.name, first.args) == ("upload-log", {"from_seq": 7, "entries": 500})
        assert terminal.heard[0].reply_to == f"rv1/{FLEET}/{SN}/rsp"
        assert terminal.heard[0].correlation == first.id.encode()
        assert "command done  upload the journal  entries=1" in process.out[-1]

    with Mosquitto(tmp_path / "broker") as broker:
        asyncio.run(play(broker))


def test_a_terminal_that_is_gone_is_75_and_one_that_refuses_is_1(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        with ordered(broker, tmp_path, "replay", SN, "--from-seq", "1", "--wait", valid="1") as process:
            assert await ended(process) == 75
        assert "no answer in time" in process.err[-1]
        terminal = Terminal(broker.url, SN, lambda command: response(command, "rejected", why="expired"))
        with ordered(broker, tmp_path, "replay", SN, "--from-seq", "1", "--wait") as process:
            assert await ended(process) == 1
        assert "it has expired" in process.out[-1]
        with ordered(broker, tmp_path, "replay", SN, "--from-seq", "1") as process:
            assert await ended(process) == 0, "without --wait the broker's word is enough"
        await terminal.stop()
        assert process.out == [decode(terminal.heard[-1].payload, Command).id]

    with Mosquitto(tmp_path / "broker") as broker:
        asyncio.run(play(broker))


def test_a_statement_that_a_terminal_forgot_in_the_middle_is_sent_anew_from_its_first_part(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        seen: list[int] = []

        def answer(command: Command) -> Response:
            part = command.args["part"]
            seen.append(part)
            if seen == [1, 2]:
                return response(command, "rejected", why="statement-interrupted")
            return response(command, "done", result={"applied": part == 2})

        terminal = Terminal(broker.url, SN, answer)
        database = tmp_path / "fleet.db"
        with Process("-m", "fleet", "serve", "--broker", broker.url, "--database", str(database)) as serve:
            serve.wait_for("connected")
            snap = {**COMMON, "sn": SN, "v": 1, "d": {"terminal_id": "12345678"}}
            await until(lambda: terminal._client.connected)
            assert terminal._client.publish(Message(f"rv1/{FLEET}/{SN}/snap", json.dumps(snap).encode()))
            await until(lambda: told(database))
            assert await asyncio.to_thread(serve.terminate) == 0
        lines = "".join(f"2026-03-02,12345678,000001,{number:06d},1.00,debit\n" for number in range(300))
        file = tmp_path / "s.csv"
        file.write_text("date,terminal_id,batch,stan,amount,direction\n" + lines)
        with ordered(broker, tmp_path, "settle", str(file), "--database", str(database)) as process:
            assert await ended(process) == 0, process.err
        await terminal.stop()
        assert seen == [1, 2, 1, 2]
        ids = [decode(message.payload, Command).id for message in terminal.heard]
        assert len(set(ids)) == 4, "what begins anew has new ids"

    with Mosquitto(tmp_path / "broker") as broker:
        asyncio.run(play(broker))


def test_a_key_is_made_once_private_and_its_line_is_what_terminals_take(tmp_path: Path) -> None:
    path = tmp_path / "fleet.key"
    made = fleet("key", "new", str(path), "--name", "service desk")
    assert made.returncode == 0
    assert path.stat().st_mode & 0o777 == 0o600
    signer = signing.load(path)
    assert made.stdout == signer.line("service desk") + "\n"
    again = fleet("key", "new", str(path))
    assert (again.returncode, again.stdout) == (64, "")
    assert "is there already" in again.stderr
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        signing.load(path)
    with pytest.raises(KeyFileError, match="key new"):
        signing.load(tmp_path / "absent")
    path.write_text("no key")
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="64 hexadecimal"):
        signing.load(path)


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("query", ["what=status"], {"what": "status", "of": None}),
        ("recover", ["transaction=000123"], {"transaction": "000123"}),
        ("replay", ["from_seq=12"], {"from_seq": 12}),
        ("config", ["version=2", 'terminal.hotline="400"', "recovery.spacing_ms=61000", "terminal.lang=en"],
         {"version": 2, "set": {"terminal.hotline": "400", "recovery.spacing_ms": 61_000, "terminal.lang": "en"}}),
        ("display", ["zh=a=b", "en=x", "seconds=5"], {"zh": "a=b", "en": "x", "seconds": 5}),
    ],
)  # fmt: skip
def test_words_become_arguments(name: str, words: list[str], expected: dict[str, Any]) -> None:
    assert arguments(name, words) == expected


@pytest.mark.parametrize(("name", "words"), [("replay", ["12"]), ("replay", ["from_seq=x"]), ("query", []), ("query", ["x=1"])])
def test_words_that_are_none_are_named(name: str, words: list[str]) -> None:
    with pytest.raises(OrderError):
        arguments(name, words)


def test_the_largest_part_of_a_statement_fits_into_a_command() -> None:
    line = Booking("2026-03-02", 999_999_999_999, "credit", 10_000_000, "999999", "999999", "A" * 12, "A" * 64)
    days, covers = [f"2026-03-{day:02d}" for day in range(1, 32)], get_args(statementlayout.Source)
    orders = parts([line] * 2_000, days, Path("文" * 60 + ".csv"), covers)
    signer = signing.Signer(KEY)
    sizes = [len(encode(signer.command(FLEET, "T" * 20, name, args, 600))) for name, args in orders]
    assert max(sizes) <= COMMAND_BYTES_MAX
    assert [order[1]["part"] for order in orders] == list(range(1, 15))
    assert msgspec.json.encode(orders[0][1]["statement"])
