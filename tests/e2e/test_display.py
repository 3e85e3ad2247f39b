"""What a customer reads on a pole display: a real agent, a real pseudo terminal, a simulated display, power cuts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.agent import Agent
from tests.support.app import PAN, until
from tests.support.host import Host
from tests.support.listener import Listener
from tests.support.pole import PoleProcess
from tests.support.terminal import LOST_MS, transact

NAME = ("     测试便利店", "      欢迎光临")
MINE = "1.00元         *0128"


@pytest.fixture
def pole(tmp_path: Path) -> Iterator[PoleProcess]:
    """A display."""
    running = PoleProcess(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def shop(make_agent: Callable[..., Agent], host: Host, pole: PoleProcess) -> Agent:
    """An agent with that display."""
    display = {"driver": "cd5220", "port": str(pole.port), "idle_after_ms": 3000}
    recovery = {"answer_timeout_ms": 60_000, "reply_timeout_ms": 20_000}  # no state passes before a slow machine has looked
    return make_agent(host.port, display=display, terminal={"merchant_name": "测试便利店"}, recovery=recovery).start()


@pytest.fixture
def listener(shop: Agent) -> Iterator[Listener]:
    """A program on the event stream."""
    listening = Listener(shop.socket)
    listening.start()
    yield listening
    listening.stop()


def both_say(pole: PoleProcess, listener: Listener, upper: str, lower: str = MINE) -> None:
    """Display and event stream come to say the same, and it is this."""
    pole.reads(upper, lower)
    until(lambda: listener.customer is not None and listener.customer["zh"] == [upper, lower])


def test_a_doubt_is_on_the_display_until_its_reversal_is_accepted_also_over_power_cuts(
    shop: Agent, host: Host, pole: PoleProcess, listener: Listener
) -> None:
    pole.reads(*NAME)
    _, sale = shop.app.open("000701", 100)
    both_say(pole, listener, "处理中,请稍候")
    host.order(set={"0200": "drop-reply"})
    assert transact(host.port, "000701", 100, timeout_ms=LOST_MS) is None
    host.order(refuse=True, cut=True)
    shop.app.result(sale["id"], "no_answer")
    both_say(pole, listener, "待冲正,请勿重复付款")

    shop.kill()
    listener.stop()
    assert pole.lines() == ("待冲正,请勿重复付款", MINE), "what is lit stays lit while nobody is there"
    pole.order("power_off")  # the power cut takes the display too
    pole.order("power_on")
    shop.start()
    listener.start()
    pole.reads("待冲正,请勿重复付款", MINE)

    host.order(refuse=False, clear=True, set={"0400": "drop-reply"})
    until(lambda: host.requests("0400"))
    both_say(pole, listener, "冲正中,请勿再刷卡")
    shop.kill()
    listener.stop()
    shop.start()
    listener.start()
    until(lambda: pole.lines() in {("待冲正,请勿重复付款", MINE), ("冲正中,请勿再刷卡", MINE)})

    host.order(clear=True, cut=True)
    until(lambda: shop.app.state(sale["id"]) == "reversed")
    pole.reads(*NAME)
    until(lambda: ("冲正成功,请重新刷卡", MINE) in pole.story())
    assert host.net_debit_fen("000701") == 0
    reversed_at = next(event for event in listener.heard if event["type"] == "reversal.confirmed")
    assert reversed_at["advice"]["may_pay_again"]
    assert shop.stop() == 0


def test_the_next_customer_never_reads_that_the_one_before_may_pay_again(
    shop: Agent, host: Host, pole: PoleProcess, listener: Listener
) -> None:
    _, sale = shop.app.open("000702", 100)
    host.order(set={"0400": "drop-reply"})
    shop.app.result(sale["id"], "no_answer")
    both_say(pole, listener, "冲正中,请勿再刷卡")
    card = {"pan": "6222021234567899999", "expiry": "3012", "entry_mode": "051"}
    assert shop.app.open("000703", 250, sent=False, card=card)[0] == 201
    both_say(pole, listener, "请按提示操作", "2.50元         *9999")
    read_before = len(pole.story())
    host.order(clear=True, cut=True)
    until(lambda: shop.app.state(sale["id"]) in {"reversed", "no_original"})
    both_say(pole, listener, "请按提示操作", "2.50元         *9999")
    assert all(lower != MINE for _, lower in pole.story()[read_before:])


def test_a_pulled_cable_is_a_technicians_case_and_the_newest_word_is_there_when_it_is_back(
    shop: Agent, host: Host, pole: PoleProcess
) -> None:
    pole.reads(*NAME)
    until(lambda: shop.app.get("/v1/status")["display"] == "mute")
    pole.order("unplug")
    until(lambda: shop.app.get("/v1/status")["display"] == "unavailable")
    (item,) = shop.app.get("/v1/incidents?open=true")["items"]
    assert (item["code"], item["owner"], item["next_action"]) == ("display", "technician", "check_display")
    _, sale = shop.app.open("000704", 100)
    assert sale["proceed"] == "go", "no display ever holds up a payment"
    assert transact(host.port, "000704", 100) == "00"
    shop.app.approve(sale["id"])
    shop.app.open("000705", 300, sent=False)
    pole.order("plug")
    pole.reads("请按提示操作", "3.00元         *0128")
    until(lambda: shop.app.get("/v1/status")["display"] == "mute")
    assert shop.app.get("/v1/incidents?open=true")["items"] == []
    assert shop.stop() == 0
    assert shop.cli("verify").returncode == 0, "stepping the journal again comes to the same rows, the display's too"


def test_a_stopped_agent_leaves_the_merchants_name_behind(shop: Agent, pole: PoleProcess) -> None:
    shop.app.open("000706", 100, sent=False)
    pole.reads("请按提示操作", MINE)
    assert shop.stop() == 0
    pole.reads(*NAME)  # what was written is on its way still


def test_a_display_that_takes_nothing_holds_up_neither_a_payment_nor_the_end_of_the_program(
    shop: Agent, host: Host, pole: PoleProcess
) -> None:
    pole.reads(*NAME)
    pole.order("stall")
    for number in range(5):
        _, sale = shop.app.open(f"00071{number}", 100)
        assert transact(host.port, f"00071{number}", 100) == "00"
        assert shop.app.approve(sale["id"])[1]["state"] == "approved"
    assert shop.stop() == 0


def test_no_more_of_a_card_than_its_last_four_digits_ever_reaches_the_display(
    shop: Agent, host: Host, pole: PoleProcess
) -> None:
    _, sale = shop.app.open("000720", 100)
    assert transact(host.port, "000720", 100) == "00"
    shop.app.approve(sale["id"])
    until(lambda: ("交易成功,请扫码取票", MINE) in pole.story())  # it has no printer
    assert {part for _, lower in pole.story() for part in lower.split("*")[1:]} == {"0128"}
    assert not any(PAN[:6] in text or PAN[-6:] in text for screen in pole.story() for text in screen)
