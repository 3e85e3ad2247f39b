"""What the agent says about paper against what is on paper: a real agent, a real pseudo terminal, a simulated printer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import Agent
from tests.support.app import until
from tests.support.host import Host
from tests.support.paper import Paper
from tests.support.terminal import LOST_MS, transact

MARK = "重打印凭证/DUPLICATED"
HELD = {"WAITING", "UNPRINTED"}  # as the printer's state was known before the job, or was found by it


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[Paper]:
    """A printer."""
    running = Paper(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def shop(make_agent: Callable[..., Agent], host: Host, paper: Paper) -> Agent:
    """An agent with that printer."""
    return make_agent(host.port, printer={"driver": "escpos", "port": str(paper.port), "profile": "epson-tm"}).start()


def sell(agent: Agent, host: Host, stan: str) -> str:
    """An approved sale with its receipt; the transaction's id."""
    _, sale = agent.app.open(stan)
    assert transact(host.port, stan, 100) == "00"
    assert agent.app.approve(sale["id"])[0] == 200
    return str(sale["id"])


def jobs(agent: Agent, key: str) -> list[str]:
    """The states of a transaction's jobs."""
    return [job["state"] for job in agent.app.get(f"/v1/transactions/{key}")["jobs"]]


def advice(agent: Agent, key: str) -> dict[str, Any]:
    """What the cashier reads."""
    found: dict[str, Any] = agent.app.get(f"/v1/transactions/{key}")["advice"]
    return found


def test_a_receipt_is_on_paper_once_and_confirmed(shop: Agent, host: Host, paper: Paper) -> None:
    key = sell(shop, host, "000501")
    until(lambda: jobs(shop, key) == ["CONFIRMED"])
    until(lambda: "签购单" in paper.text())
    assert paper.text().count("签购单") == 1
    assert "622202*********0128" in paper.text()
    assert MARK not in paper.text()
    assert advice(shop, key)["code"] == "N3"


def test_a_receipt_waits_while_there_is_no_paper_and_prints_by_itself_when_it_is_back(
    shop: Agent, host: Host, paper: Paper
) -> None:
    paper.order("paper_out")
    key = sell(shop, host, "000502")
    until(lambda: jobs(shop, key)[0] in HELD)
    told = advice(shop, key)
    assert (told["code"], told["hold_goods"]) == ("P1", False)
    assert "签购单" not in paper.text()
    paper.order("paper_in")
    until(lambda: jobs(shop, key) == ["CONFIRMED"])
    until(lambda: paper.text().count("签购单") == 1)
    assert MARK not in paper.text()


def test_a_waiting_receipt_survives_kill_9_and_is_printed_once(shop: Agent, host: Host, paper: Paper) -> None:
    paper.order("paper_out")
    key = sell(shop, host, "000503")
    until(lambda: jobs(shop, key)[0] in HELD)
    shop.kill()
    shop.start()
    paper.order("paper_in")
    until(lambda: jobs(shop, key) == ["CONFIRMED"])
    until(lambda: paper.text().count("签购单") == 1)


def test_a_receipt_in_whose_middle_the_paper_ends_is_never_sent_again(shop: Agent, host: Host, paper: Paper) -> None:
    paper.order("paper_out", after_lines=4)
    key = sell(shop, host, "000504")
    until(lambda: jobs(shop, key) not in (["WAITING"], ["INTENT"]))
    until(lambda: advice(shop, key)["code"] == "P1")
    paper.order("paper_in")
    until(lambda: jobs(shop, key) == ["CONFIRMED"])
    until(lambda: "同意将其计入本卡账户" in paper.text())
    assert paper.text().count("同意将其计入本卡账户") == 1


def test_a_job_that_was_at_the_printer_when_the_agent_died_is_unknown_and_only_a_person_reprints(
    shop: Agent, host: Host, paper: Paper
) -> None:
    paper.order("paper_out", after_lines=2)
    key = sell(shop, host, "000505")
    until(lambda: "签购单" in paper.text() or jobs(shop, key) == ["INTENT"])
    shop.kill()
    shop.start()
    until(lambda: jobs(shop, key)[0] in {"UNKNOWN", "SENT_UNCONFIRMED", "PARTIAL"})
    paper.order("paper_in")
    status, answer = shop.app.call("POST", f"/v1/transactions/{key}/reprint")
    assert (status, len(answer["jobs"])) == (202, 1)
    until(lambda: jobs(shop, key)[-1] == "CONFIRMED")
    until(lambda: paper.text().count(MARK) == 2)  # at the head and at the foot of the one copy


def test_a_silent_printer_is_told_and_the_sale_stands(shop: Agent, host: Host, paper: Paper) -> None:
    paper.order("silent")
    key = sell(shop, host, "000506")
    until(lambda: jobs(shop, key)[0] in HELD)
    told = advice(shop, key)
    assert (told["code"], told["hold_goods"]) == ("P2", False)
    paper.order("speak")
    until(lambda: jobs(shop, key) == ["CONFIRMED"])
    until(lambda: paper.text().count("签购单") == 1)


def test_the_reversal_notice_prints_and_a_fault_note_when_it_was_refused(shop: Agent, host: Host, paper: Paper) -> None:
    for stan, code, title in (("000507", "00", "冲正通知"), ("000508", "30", "故障单")):
        host.order(set={"0200": "drop-reply"}, scenario={"0400": [code]})
        _, sale = shop.app.open(stan)
        assert transact(host.port, stan, 100, timeout_ms=LOST_MS) is None
        shop.app.result(sale["id"], "no_answer")
        until(lambda sale=sale: jobs(shop, sale["id"]) == ["CONFIRMED"])
        until(lambda title=title: title in paper.text())
    assert paper.text().count("非交易凭证") == 2


def test_the_printer_unplugged_and_plugged_in_again_prints_what_waited(
    make_agent: Callable[..., Agent], host: Host, tmp_path: Path
) -> None:
    agent = make_agent(host.port, printer={"driver": "escpos", "port": str(tmp_path / "printer"), "profile": "epson-tm"}).start()
    key = sell(agent, host, "000509")
    until(lambda: jobs(agent, key)[0] in HELD)
    assert advice(agent, key)["code"] == "P2"
    paper = Paper(tmp_path)
    try:
        until(lambda: jobs(agent, key) == ["CONFIRMED"])
        until(lambda: "签购单" in paper.text())
    finally:
        paper.stop()
    second = sell(agent, host, "000510")
    until(lambda: advice(agent, second)["code"] == "P2")
    assert jobs(agent, second)[0] in {"WAITING", "UNPRINTED", "SENT_UNCONFIRMED", "PARTIAL"}
    assert agent.app.state(second) == "approved"


def test_a_printer_unplugged_while_nothing_waits_is_an_incident_that_closes_when_it_is_back(
    make_agent: Callable[..., Agent], host: Host, tmp_path: Path
) -> None:
    section = {"driver": "escpos", "port": str(tmp_path / "printer"), "profile": "epson-tm"}
    agent = make_agent(host.port, printer=section).start()
    until(lambda: [(item["code"], item["owner"]) for item in incidents(agent)] == [("printer", "cashier")])
    assert agent.app.get("/v1/status")["printer"] == "unavailable"
    paper = Paper(tmp_path)
    try:
        until(lambda: incidents(agent) == [])
        assert agent.app.get("/v1/status")["printer"] == "none"
    finally:
        paper.stop()
    until(lambda: len(incidents(agent)) == 1)


def incidents(agent: Agent) -> list[dict[str, Any]]:
    """What is open."""
    found: list[dict[str, Any]] = agent.app.get("/v1/incidents?open=true")["items"]
    return found


def test_a_test_page_from_the_command_line(shop: Agent, paper: Paper) -> None:
    done = shop.cli("print", "test")
    assert done.returncode == 0, done.stderr
    until(lambda: "打印测试" in paper.text())
    status = shop.cli("print", "status", "--json")
    assert status.returncode == 0, status.stderr
