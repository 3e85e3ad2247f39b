"""`display`: a real agent and a simulated pole as processes; and what a technician reads when one of them is not there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import exits
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.pole import PoleProcess
from tests.support.story import Story, recovered
from tests.support.technician import run


@pytest.fixture(scope="module")
def pole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoleProcess]:
    made = PoleProcess(tmp_path_factory.mktemp("pole"), "--commands", "escpos")
    yield made
    made.stop()


@pytest.fixture
def agent(pole: PoleProcess, tmp_path: Path) -> Iterator[Agent]:
    """An agent with that display, and no host to talk to."""
    pole.order("plug")
    section = {"driver": "escpos", "port": str(pole.port)}
    made = Agent(tmp_path, 1, display=section, terminal={"merchant_name": "测试便利店"}).start()
    try:
        until(lambda: made.app.get("/v1/status")["display"] == "mute")
        yield made
    finally:
        made.stop()


def test_the_pattern_is_on_the_display_and_the_technician_is_told_to_look(agent: Agent, pole: PoleProcess) -> None:
    said = run(agent.config, "display", "test")
    assert said.code == exits.DONE
    assert said.out.startswith("已送出测试画面")
    pole.reads("12345678901234567890", "客显测试ABCDEFGHIJ中")
    assert run(agent.config, "display", "test", "--json").value == {"display": "mute", "sent": True}


def test_while_a_customer_reads_about_a_payment_there_is_no_test(agent: Agent, pole: PoleProcess) -> None:
    agent.app.open("000001", 100, sent=False)
    said = run(agent.config, "display", "test", "--lang", "en")
    assert said.code == exits.TRY_LATER
    assert "a customer is reading about a payment" in said.err
    pole.reads("请按提示操作")


def test_the_display_says_how_it_is_in_both_languages(agent: Agent, pole: PoleProcess) -> None:
    assert run(agent.config, "display", "status").out == "客显: 已接通(不回报)\n"
    assert run(agent.config, "display", "status", "--lang", "en").out == "display: connected, it never answers\n"
    assert run(agent.config, "display", "status", "--json").value == {"display": "mute"}
    assert "已接通" in run(agent.config, "status").out
    pole.order("unplug")
    until(lambda: agent.app.get("/v1/status")["display"] == "unavailable")
    for words in (("display", "status"), ("display", "test")):
        said = run(agent.config, *words)
        assert (said.code, said.out) == (exits.UNAVAILABLE, "客显: 未连接\n")
    assert run(agent.config, "status", "--json").value["display"] == "unavailable"


def test_a_terminal_without_a_display_says_so(tmp_path: Path) -> None:
    agent = Agent(tmp_path, 1).start()
    try:
        for words in (("display", "status"), ("display", "test")):
            said = run(agent.config, *words)
            assert (said.code, said.err) == (exits.UNAVAILABLE, "reversald: 本终端未配置客显\n")
    finally:
        agent.stop()


def test_without_the_daemon_the_last_word_is_in_the_status(tmp_path: Path) -> None:
    story: Story = recovered(tmp_path, has_display=True)
    story.close()
    assert run(story.config, "display", "test").code == exits.UNAVAILABLE
    assert run(story.config, "status", "--json").value["display"] == "unknown"
