"""`print probe` against simulated printers of several models: the profile it writes is the one the printer was made from."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent import exits
from device.printer.probe import RULER, as_toml
from device.printer.profile import PrinterProfile, load_profile
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.paper import Paper
from tests.support.technician import run

FOUND = ("columns", "dots", "qr", "cut", "feed_lines", "status", "asb", "confirm")


@pytest.fixture
def plug_in(tmp_path: Path) -> Iterator[Callable[[str], Paper]]:
    """Plugs a printer of a model in."""
    with ExitStack() as ends:

        def plug(model: str) -> Paper:
            paper = Paper(tmp_path, profile=model)
            ends.callback(paper.stop)
            return paper

        yield plug


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A terminal whose agent does not run."""
    path = tmp_path / "reversald.toml"
    path.write_text('[acquirer]\nhost = "127.0.0.1"\n[terminal]\nlang = "en"\n')
    return path


# What a person answers: readable, the ruler on one line, a native QR code, (a raster one,) cut.
SEEN = {
    "epson-tm": "yes,yes,yes,yes",
    "generic-80mm": "yes,yes,yes,yes",
    "generic-58mm": "yes,no,yes,no",
    "mute-58mm": "yes,no,no,yes,no",
}


@pytest.mark.parametrize("model", SEEN)
def test_the_profile_of_each_model_is_found(config, plug_in, tmp_path, model):
    paper = plug_in(model)
    output = tmp_path / "found.toml"
    said = run(config, "print", "probe", "--port", paper.port, "--output", output, "--answers", SEEN[model])
    assert said.code == exits.DONE, said.err
    found, real = load_profile(str(output)), load_profile(model)
    assert {key: getattr(found, key) for key in FOUND} == {key: getattr(real, key) for key in FOUND}
    until(lambda: "-- cut --" in paper.text())
    rows = [row for row in paper.text().splitlines() if row.strip() and row.strip() in RULER]
    assert len(rows) == (1 if real.columns == 48 else 2), "the answers of this test are what is on the paper"
    assert ("drawer_kicks", 0) in paper.order("state").items()


def test_without_an_output_the_profile_goes_to_the_screen(config, plug_in):
    said = run(config, "print", "probe", "--port", plug_in("epson-tm").port, "--answers", "yes,yes,yes,yes")
    assert 'confirm = "process-id"\n' in said.out
    assert "it answers: status 1 2 3 4; fence yes; process id yes; automatic status yes" in said.err


def test_a_printer_without_paper_has_to_be_seen_to_first(config, plug_in):
    paper = plug_in("generic-58mm")
    paper.order("paper_out")
    said = run(config, "print", "probe", "--port", paper.port, "--answers", "yes")
    assert said.code == exits.UNAVAILABLE
    assert "cannot print now (out of paper)" in said.err


def test_a_line_that_cannot_be_read_ends_it(config, plug_in):
    said = run(config, "print", "probe", "--port", plug_in("mute-58mm").port, "--answers", "no")
    assert said.code == exits.UNAVAILABLE
    assert "check --baud" in said.err


def test_it_keeps_off_the_port_of_a_running_agent(plug_in, tmp_path):
    paper = plug_in("generic-58mm")
    agent = Agent(tmp_path, 1, printer={"driver": "escpos", "port": str(paper.port)}).start()
    try:
        for words in ((), ("--port", paper.port)):
            said = run(agent.config, "print", "probe", *words, "--answers", "yes")
            assert said.code == exits.UNAVAILABLE
            assert "正被占用;请先停止程序" in said.err
    finally:
        agent.stop()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ((), exits.USAGE, "use --port"),
        (("--port", "nowhere"), exits.UNAVAILABLE, "it is not there"),
        (("--port", "tcp://nowhere"), exits.UNAVAILABLE, "is not an address"),
        (("--port", "x", "--answers", "yes,perhaps"), exits.USAGE, "not perhaps"),
        (("--port", "x", "--output", "reversald.toml"), exits.USAGE, "exists"),
    ],
)
def test_a_mistake_is_one_clear_line(config, words, code, text):
    said = run(config, "print", "probe", *words, cwd=config.parent)
    assert said.code == code
    assert text in said.err
    assert len(said.err.splitlines()) == 1


def test_too_few_answers_name_the_question(config, plug_in):
    said = run(config, "print", "probe", "--port", plug_in("epson-tm").port, "--answers", "yes")
    assert said.code == exits.USAGE
    assert "still asked: does the ruler" in said.err


def test_what_it_writes_is_what_it_reads(tmp_path):
    profile = PrinterProfile(name='a "b"', columns=48, dots=576, cut=True, status=(1, 4), confirm="fence", feed_lines=2)
    path = tmp_path / "written.toml"
    path.write_text(as_toml(profile))
    assert load_profile(str(path)) == profile
