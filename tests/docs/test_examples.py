"""Every call that the documents show is made on a real agent at a real acquirer, and must be answered as shown."""

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, Block, blocks, page, steps
from tests.support.agent import Agent
from tests.support.app import App
from tests.support.host import Host
from tests.support.terminal import ANSWER_MS, LOST_MS, transact
from tests.support.waiting import PATIENCE_S

ANY = "…"  # as a value: whatever comes; as a key: more fields than are shown

# Long waits, so that a slow machine plays the same story; "no original" is believed after 3 s instead of 60.
STEADY = {"answer_timeout_ms": 65_000, "reply_timeout_ms": 20_000, "no_original_after_ms": 3_000}
AMOUNTS_FEN = {"000124": 100, "000125": 250}


def same(shown: Any, got: Any) -> bool:
    """True when what came is what is shown."""
    if shown == ANY:
        return True
    if isinstance(shown, dict) and isinstance(got, dict):
        named = {key: value for key, value in shown.items() if key != ANY}
        complete = named.keys() == got.keys() if ANY not in shown else named.keys() <= got.keys()
        return complete and all(same(value, got[key]) for key, value in named.items())
    if isinstance(shown, list) and isinstance(got, list):
        return len(shown) == len(got) and all(map(same, shown, got))
    return bool(shown == got)


def wanted(status: int | None, text: str) -> Callable[[int, Any], bool]:
    """Is this the answer that is shown?"""
    shown = json.loads(text)
    return lambda code, got: (status is None or code == status) and same(shown, got)


def play(app: App, method: str, path: str, body: str, headers: dict[str, str], right: Callable[[int, Any], bool]) -> Any:
    """Make a call; reading is repeated until the agent has come as far as shown. The answer's body, or AssertionError."""
    end = time.monotonic() + PATIENCE_S
    while True:
        status, got = app.call(method, path, body.encode() if body else None, headers)
        if right(status, got):
            return got
        again = method == "GET" and time.monotonic() < end
        assert again, f"{method} {path} → {status} {json.dumps(got, ensure_ascii=False)}"
        time.sleep(0.05)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A real acquirer."""
    running = Host(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def start(tmp_path: Path, host: Host) -> Iterator[Callable[..., Agent]]:
    """Starts agents that are killed at the end."""
    made: list[Agent] = []

    def agent(**sections: dict[str, Any]) -> Agent:
        made.append(Agent(tmp_path, host.port, recovery=STEADY, **sections).start())
        return made[-1]

    yield agent
    for each in made:
        each.kill()


def test_the_five_minutes_of_the_readme(start: Callable[..., Agent]) -> None:
    app = start().app
    shown = [block for block in blocks(ROOT / "README.md") if "curl" in block.text or block.info == "json"]
    played, key = 0, ""
    for call, answer in pairwise(shown):
        if call.info == "sh" and answer.info == "json":
            method, path, body, headers = curl(call.text.replace("$ID", key))
            key = play(app, method, path, body, headers, wanted(None, answer.text)).get("id", key)
            played += 1
    assert played == 4


def curl(text: str) -> tuple[str, str, str, dict[str, str]]:
    """Method, path, body and headers of a curl command in a block."""
    words = shlex.split(text[text.index("curl") :])
    assert words[words.index("--unix-socket") + 1] == "reversald.sock"
    url = next(word for word in words if word.startswith("http://localhost/"))
    body = words[words.index("-d") + 1] if "-d" in words else ""
    headers = dict(word.split(": ", 1) for before, word in pairwise(words) if before == "-H")
    return "POST" if body else "GET", url.removeprefix("http://localhost"), body, headers


def test_every_call_of_the_integrators_page(start: Callable[..., Agent], host: Host) -> None:
    printer, display = {"driver": "escpos", "port": "tcp://127.0.0.1:9", "columns": 32}, {"driver": "cd5220", "port": "no-pole"}
    story = Story(start(printer=printer, display=display).app, host)
    played = [step for step in steps(page("integrator.md")) if story.take(step)]
    assert len(played) >= 40
    assert story.request is None, "a request without an answer"


class Story:
    """Plays the page from top to bottom. `{id}` is the transaction opened last, unless a comment says otherwise."""

    def __init__(self, app: App, host: Host) -> None:
        self._app, self._host = app, host
        self._ids: dict[str, str] = {}
        self._names = {"{id}": "", "{incident}": ""}
        self.request: Block | None = None

    def take(self, step: Block) -> bool:
        """Play one block; False when it is not part of the story."""
        if step.info == "comment":
            return self._comment(step.text)
        if step.info != "http":
            return False
        if step.text.startswith("HTTP/1.1 "):
            self._answer(step)
        else:
            assert self.request is None, f"{step.place}: the request before has no answer"
            self.request = step
        return True

    def _comment(self, text: str) -> bool:
        if match := re.fullmatch(r"the host: books (\d{6})(, the answer is lost)?", text):
            self._host.order(set={"0200": "drop-reply" if match[2] else "ok"})
            assert transact(self._host.port, match[1], AMOUNTS_FEN[match[1]], timeout_ms=LOST_MS if match[2] else ANSWER_MS) == (
                None if match[2] else "00"
            )
        elif match := re.fullmatch(r"from here on \{id\} is the transaction (\d{6})", text):
            self._names["{id}"] = self._ids[match[1]]
        else:
            raise AssertionError(f"nobody understands the comment {text!r}")
        return True

    def _answer(self, answer: Block) -> None:
        request, self.request = self.request, None
        assert request is not None, f"{answer.place}: an answer without a request"
        head, _, body = request.text.partition("\n\n")
        (method, path), *lines = (line.split(" ", 1) for line in head.strip().splitlines())
        headers = {name.rstrip(":"): value for name, value in lines}
        for name, value in self._names.items():
            path = path.replace(name, value)
        status, shown = int(answer.text.split()[1]), answer.text.partition("\n\n")[2]
        got = play(self._app, method, path, body.strip(), headers, wanted(status, shown))
        if path == "/v1/transactions":
            self._names["{id}"] = self._ids[json.loads(body)["stan"]] = got["id"]
        for item in got.get("items", ()):
            self._names["{incident}"] = item["id"]
