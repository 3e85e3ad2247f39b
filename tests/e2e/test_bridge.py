"""A built-in printer behind its bridge app: a real agent, the contract over a Unix socket, and answers that may never come."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_printer import advice, jobs, sell
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.host import Host
from tests.support.paper import Paper

HELD = {"WAITING", "UNPRINTED"}  # as the printer's state was known before the job, or was found by it


@pytest.fixture
def shop(make_agent: Callable[..., Agent], host: Host, tmp_path: Path) -> Agent:
    """An agent whose printer only a bridge app reaches; the app may not be there yet."""
    return make_agent(host.port, printer={"driver": "vendor", "port": f"unix:{tmp_path}/printer"}).start()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Paper]]:
    """Starts bridge apps, each in the place of the one before."""
    with contextlib.ExitStack() as ends:

        def bridge() -> Paper:
            paper = Paper(tmp_path, profile="generic-58mm", bridge=True)
            ends.callback(paper.stop)
            return paper

        yield bridge


def known(agent: Agent, fault: str) -> None:
    """Until the agent has found its printer so."""
    until(lambda: agent.app.get("/v1/status")["printer"] == fault)


def told(agent: Agent, key: str) -> tuple[Any, ...]:
    """What the cashier reads, may the goods go, and how the sale stands."""
    said = advice(agent, key)
    return said["code"], said["hold_goods"], agent.app.state(key)


def test_a_receipt_comes_out_of_a_built_in_printer_and_the_bridge_says_so(
    shop: Agent, host: Host, start: Callable[..., Paper]
) -> None:
    paper = start()
    key = sell(shop, host, "000601")
    until(lambda: jobs(shop, key) == ["CONFIRMED"])
    until(lambda: paper.text().count("签购单") == 1)
    assert told(shop, key) == ("N3", False, "approved")


def test_without_paper_the_receipt_waits_and_prints_once_when_the_bridge_reports_a_roll(
    shop: Agent, host: Host, start: Callable[..., Paper]
) -> None:
    paper = start()
    paper.order("paper_out")
    known(shop, "paper_out")
    key = sell(shop, host, "000602")
    until(lambda: jobs(shop, key)[0] in HELD)
    assert told(shop, key) == ("P1", False, "approved")
    paper.order("paper_in")
    until(lambda: jobs(shop, key) == ["CONFIRMED"])
    until(lambda: paper.text().count("签购单") == 1)


def test_a_bridge_that_never_answers_is_a_silent_printer_and_the_sale_stands(
    shop: Agent, host: Host, start: Callable[..., Paper]
) -> None:
    paper = start()
    paper.order("silent")
    key = sell(shop, host, "000603")
    until(lambda: shop.app.get("/v1/status")["printer"] == "silent")
    assert jobs(shop, key)[0] in HELD
    assert told(shop, key) == ("P2", False, "approved")
    paper.order("speak")
    until(lambda: jobs(shop, key) == ["CONFIRMED"])
    until(lambda: paper.text().count("签购单") == 1)


def test_a_bridge_that_takes_a_job_and_never_says_more_leaves_it_unconfirmed_and_it_is_not_sent_again(
    shop: Agent, host: Host, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/printer")
        listener.listen()
        key = sell(shop, host, "000604")
        listener.settimeout(20)
        line, _ = listener.accept()
        with line, line.makefile("rwb") as stream:
            assert b'"op":"status"' in stream.readline()
            stream.write(b'{"id":1,"online":true,"paper":"ok"}\n')
            stream.flush()
            assert b'"op":"print"' in stream.readline()
        until(lambda: jobs(shop, key) == ["SENT_UNCONFIRMED"])
    assert shop.app.state(key) == "approved"


def test_a_bridge_app_that_was_started_late_or_again_prints_what_waited(
    shop: Agent, host: Host, start: Callable[..., Paper]
) -> None:
    first = sell(shop, host, "000605")
    until(lambda: jobs(shop, first)[0] in HELD)
    assert told(shop, first) == ("P2", False, "approved")
    paper = start()
    until(lambda: jobs(shop, first) == ["CONFIRMED"])
    paper.stop()
    second = sell(shop, host, "000606")
    until(lambda: told(shop, second) == ("P2", False, "approved"))
    start()
    until(lambda: jobs(shop, second) == ["CONFIRMED"])
    until(lambda: paper.text().count("签购单") == 2)


def test_at_low_battery_the_receipt_waits_the_screen_says_why_and_it_prints_once_when_charged(
    shop: Agent, host: Host, start: Callable[..., Paper]
) -> None:
    paper = start()
    paper.order("battery_low")
    known(shop, "battery_low")
    key = sell(shop, host, "000607")
    until(lambda: jobs(shop, key)[0] in HELD)
    assert told(shop, key) == ("P2", False, "approved")
    assert shop.app.get("/v1/status")["printer"] == "battery_low"
    assert "电量不足,请充电" in shop.cli("print", "status").stdout
    paper.order("charge")
    until(lambda: jobs(shop, key) == ["CONFIRMED"])
    until(lambda: paper.text().count("签购单") == 1)
    until(lambda: open_printer_incidents(shop) == [])


def test_a_service_that_is_dead_after_a_change_of_roll_is_told_as_silent_and_recovers_by_itself(
    shop: Agent, host: Host, start: Callable[..., Paper]
) -> None:
    paper = start()
    paper.order("die_at_roll")
    paper.order("paper_out")
    known(shop, "paper_out")
    key = sell(shop, host, "000608")
    until(lambda: jobs(shop, key)[0] in HELD)
    paper.order("paper_in")
    until(lambda: jobs(shop, key) == ["CONFIRMED"])
    until(lambda: paper.text().count("签购单") == 1)
    assert told(shop, key) == ("N3", False, "approved")
    until(lambda: open_printer_incidents(shop) == [])


def open_printer_incidents(agent: Agent) -> list[str]:
    """Who has to look at the printer now."""
    items = agent.app.get("/v1/incidents?open=true")["items"]
    return [item["owner"] for item in items if item["code"] == "printer"]
