"""The cashier's screen in a real browser, beside a real agent and a real acquirer."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import exits
from tests.support.agent import Agent
from tests.support.app import PAN, until
from tests.support.broker import Mosquitto
from tests.support.commands import Desk
from tests.support.till import TOKEN, Till, till

COLOURS = {
    "release": "rgb(11, 93, 51)", "again": "rgb(14, 74, 145)", "wait": "rgb(242, 183, 5)", "hold": "rgb(156, 22, 22)",
    "lost": "rgb(17, 17, 17)",
}
SIZES = ((480, 800), (360, 640))
MARKUP = "<script>hacked=1</script>"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Till]:
    """A till whose screen the cashier has opened."""
    with till(tmp_path) as running:
        running.enter()
        running.screen.shows("none", word="等待下一笔")
        yield running


def colour(place: Till) -> str:
    """Of the advice."""
    return str(place.screen.run("return getComputedStyle(document.getElementById('advice')).backgroundColor"))


def fits(place: Till) -> bool:
    """True when nothing has to be scrolled sideways, and nothing sticks out of its frame."""
    return bool(place.screen.run("""
        const wide = document.documentElement.clientWidth;
        return document.documentElement.scrollWidth <= wide && Array.from(document.querySelectorAll('body *')).every(
            each => each.getBoundingClientRect().right <= wide + 0.5 && each.scrollWidth <= Math.max(each.clientWidth, 1) + 1
                || getComputedStyle(each).display === 'inline' || each.closest('svg'));
    """))


def test_from_doubt_through_the_reversal_to_paying_again(tmp_path: Path) -> None:
    with till(tmp_path, recovery={"reply_timeout_ms": 4_000, "sends_per_opportunity": 5}) as place:
        screen = place.screen
        place.enter()
        key = place.doubt("000123")
        screen.shows("hold", amount="128.50元", whose="尾号0128 · 流水号000123", word="暂勿交货", short="结果未知,暂勿交货")
        assert colour(place) == COLOURS["hold"]
        assert "先不要再付款" in screen.text("said")
        place.host.order(refuse=False, clear=True, set={"0400": "drop-reply"})
        screen.shows("wait", word="请稍候", short="冲正中,请勿再刷卡")
        assert colour(place) == COLOURS["wait"]
        place.host.order(clear=True)
        screen.shows("again", word="可再付款", short="冲正成功,请重新刷卡", long="冲正已受理")
        assert colour(place) == COLOURS["again"]
        assert place.app.state(key) == "reversed"
        paid = place.sale("000124", 500)
        screen.shows("wait", amount="5.00元", short="交易中,请稍候")
        assert "上一位顾客(尾号0128)" in screen.text("other")
        place.app.approve(paid)
        screen.shows("release", word="可以交货", amount="5.00元", said="已付款成功")
        assert colour(place) == COLOURS["release"]
        assert screen.complaints() == []
        assert {url[: len(place.url)] for url in screen.requests()} == {place.url}, "nothing leaves for another host"
        assert_nothing_secret(place)


def assert_nothing_secret(place: Till) -> None:
    """No card number in the page or its storage, and no way in that lies about: not in the address, not in the log."""
    page = place.screen.driver.page_source + str(place.screen.run("return JSON.stringify(sessionStorage) + document.cookie"))
    assert PAN not in page
    assert TOKEN not in page
    assert "#" not in place.screen.driver.current_url
    log = place.agent.log.read_text()
    page_token = place.screen.run("return sessionStorage.getItem('reversald.page')")
    assert page_token
    for secret in (PAN, TOKEN, page_token):
        assert secret not in log


def test_a_lost_connection_takes_everything_down_and_comes_back_by_itself(place: Till) -> None:
    screen = place.screen
    paid = place.sale("000123")
    place.app.approve(paid)
    screen.shows("release")
    place.agent.kill()
    screen.shows("lost", word="连接中断", short="请勿交货,请勿再收款", long="可能已过时")
    assert colour(place) == COLOURS["lost"]
    for old in ("可以交货", "128.50", "000123", "已付款成功"):
        assert old not in screen.page()
    assert screen.run("return document.querySelectorAll('#presses button').length") == 0
    place.agent.start()
    screen.shows("release", amount="128.50元")
    assert screen.run("return document.querySelectorAll('#presses button').length") >= 3
    place.doubt("000124", 700)
    screen.shows("hold", amount="7.00元")


def test_an_agent_that_hangs_is_a_lost_connection_too(place: Till) -> None:
    paid = place.sale("000123")
    place.app.approve(paid)
    place.screen.shows("release")
    place.screen.press("press-goods")
    assert place.agent.process is not None
    place.agent.process.send_signal(signal.SIGSTOP)
    try:
        place.screen.press("货留在店里")
        place.screen.wait(lambda: "没有送达,请再按一次。" in place.screen.page())
        place.screen.shows("lost")
        assert "可以交货" not in place.screen.page()
    finally:
        place.agent.process.send_signal(signal.SIGCONT)
    place.screen.shows("release")


def test_what_people_press_is_in_the_journal(place: Till) -> None:
    screen = place.screen
    other = place.sale("000122", 12_850)
    place.app.approve(other)
    key = place.unresolved("000123")
    screen.shows("hold", short="冲正不成功,请店长决定")
    screen.press("press-evidence")
    screen.press("扣款短信")
    screen.shows("hold", noted="顾客出示扣款短信", short="今日查不清,明日核对")
    screen.press("press-evidence")
    screen.press("钱包订单:输入或扫描单号")
    screen.type("field-order_no", "ORDER-77\n")  # a scanner ends a code with Enter
    screen.shows("hold", noted="顾客出示钱包记录")
    screen.press("press-goods")
    screen.press("货已交给顾客")
    assert "真的已交给顾客" in screen.text("ask"), "against the advice it is asked once more"
    screen.press("是,已交货")
    screen.shows("hold", noted="货已交付")
    screen.press("press-replaced")
    screen.press("现金")
    screen.shows("hold", noted="改付现金")
    screen.press("press-replaced")
    screen.press("流水号000122")
    screen.shows("hold", noted="另一笔付款替代")
    screen.press("press-risk")
    assert "可能已入账" in screen.text("choices")
    screen.press("我是店长,同意")
    screen.shows("again", noted="商户自担风险", said="经店长同意")
    assert [entry["data"] for entry in place.agent.journal() if entry["type"].startswith("evidence.")] == [{}, {}]
    assert place.told("transaction.disposition")[-1] == {
        "goods": "released", "replaced_by": other, "accepts_risk": True,
    }
    assert place.app.get(f"/v1/transactions/{key}")["disposition"]["replaced_by"] == other
    assert place.agent.cli("verify").returncode == 0


def test_note_and_copy_are_ordered_where_the_advice_speaks_of_them(tmp_path: Path) -> None:
    with till(tmp_path, printer={"driver": "escpos", "port": "tcp://127.0.0.1:9"}) as place:
        screen = place.screen
        place.enter()
        place.paid("000122")
        screen.shows("release", short="打印机异常", todo="查看打印机")
        screen.press("press-reprint")
        screen.wait(lambda: screen.text("toast") == "已交打印机")
        place.unresolved("000123")
        screen.shows("hold", short="冲正不成功,请店长决定")
        screen.press("press-guarantee")
        until(lambda: sum(job["what"] == "guarantee" for job in place.told("receipt.waiting")) == 2)
        receipts = [job for job in place.told("receipt.waiting") if job["what"] == "receipt"]
        assert len(receipts) == 1, "the original still waits for the printer: it is the answer, and no copy is made"


def test_the_operators_message_stands_on_the_screen_for_its_time(tmp_path: Path, broker: Mosquitto) -> None:
    desk = Desk(tmp_path, broker.url)
    with till(tmp_path, mqtt={"url": broker.url, "command_keys_file": str(desk.public)}) as place:
        place.enter()
        place.screen.shows("none")
        desk.order("display", "zh=请联系店长", "en=Call the manager", "seconds=20")
        place.screen.shows("none", todo="总部留言:请联系店长")
        place.screen.wait(lambda: place.screen.text("todo") == "")


def test_a_refusal_is_a_sentence_and_a_press_that_got_lost_is_said(place: Till) -> None:
    screen = place.screen
    key = place.unresolved("000123")
    for _ in range(16):
        assert place.app.call("POST", f"/v1/transactions/{key}/evidence", {"kind": "debit_sms"})[0] == 200
    screen.shows("hold", noted="扣款短信")
    screen.press("press-evidence")
    screen.press("退款短信")
    screen.wait(lambda: screen.text("trouble") == "这笔的凭据已满,无需再交。")
    screen.press("close")
    screen.press("lang")
    screen.shows("hold", word="HOLD GOODS", amount="CNY 128.50", said="keep any debit message")
    assert screen.run("return document.documentElement.lang") == "en"


def test_what_yesterday_left_stays_until_somebody_has_read_it(place: Till) -> None:
    screen = place.screen
    key = place.unresolved("000123")
    place.dispose(key, goods="released")
    place.settle()
    screen.shows("none", yesterday="未到账,请向顾客补收", leftover="以前未了的事(1)")
    screen.run("window.kept = document.querySelector('#yesterday button')")
    screen.requests()
    asked: list[str] = []
    place.app.call("POST", "/v1/terminal", {"event": "rebooted"})
    screen.wait(lambda: asked.extend(screen.requests()) or asked.count(f"{place.url}/v1/cashier") >= 2)  # the first was answered
    assert screen.run("return kept === document.querySelector('#yesterday button')"), "no finger loses the button beneath it"
    screen.press("我已看过")
    screen.type("field-by", "07号 王")
    screen.press_first("choices")
    screen.wait(lambda: not screen.driver.find_element("id", "left").is_displayed())
    assert place.told("transaction.acknowledged") == [{"code": "P16", "by": "07号 王"}]
    place.agent.kill()
    place.agent.start()
    screen.shows("none", word="等待下一笔")
    screen.driver.refresh()
    screen.shows("none", word="等待下一笔")
    assert not screen.driver.find_element("id", "left").is_displayed()
    assert "07号 王 已阅提示 P16" in place.agent.cli("show", "000123", "--lang", "zh").stdout
    assert place.app.get("/v1/incidents?open=true")["items"], "to have read it closes nothing"


def test_it_is_silent_until_the_first_touch_and_then_each_meaning_has_its_tone(place: Till) -> None:
    screen = place.screen
    assert screen.text("sound") == "声音:点一下开启"
    place.doubt("000123")
    screen.shows("hold")
    assert screen.tones() == []
    screen.press("sound")
    assert screen.text("sound") == "声音:开"
    place.line(up=True)
    screen.shows("again")
    again = screen.wait(screen.tones)
    paid = place.sale("000124")
    place.app.approve(paid)
    screen.shows("release")
    release = screen.wait(lambda: screen.tones()[len(again):])
    assert again != release
    screen.press("sound")
    assert screen.text("sound") == "声音:关"
    before = len(screen.tones())
    place.agent.kill()
    screen.shows("lost")
    assert len(screen.tones()) == before


def test_a_link_works_once_and_the_tab_keeps_its_way_in(place: Till) -> None:
    screen = place.screen
    screen.driver.refresh()
    screen.shows("none", word="等待下一笔")
    used = place.link()
    screen.open("about:blank")
    screen.open(used)
    screen.shows("none", word="等待下一笔")
    screen.run("sessionStorage.clear()")
    screen.open("about:blank")
    screen.open(used)
    screen.shows("lost", word="需要新的链接", long="reversald page")
    assert screen.run("return document.querySelectorAll('#presses button').length") == 0
    place.enter()
    screen.shows("none", word="等待下一笔")


def test_without_a_loopback_port_the_command_says_what_is_missing(agent: Agent) -> None:
    for lang in ("zh", "en"):
        refused = agent.cli("page", "--lang", lang)
        assert (refused.returncode, refused.stdout) == (exits.UNAVAILABLE, "")
        assert "hook.listen" in refused.stderr
    agent.kill()
    assert "reversald run" in agent.cli("page", "--lang", "en").stderr


def test_nothing_that_somebody_wrote_becomes_markup(tmp_path: Path) -> None:
    texts = tmp_path / "texts.toml"
    texts.write_text(f"[P5]\nzh_long = '{MARKUP}店长确认后可换卡或收现金;次日核实。'\n")
    with till(tmp_path, terminal={"merchant_name": f"{MARKUP}店", "terminal_id": "12345678", "texts": "texts.toml"}) as place:
        screen = place.screen
        place.enter()
        key = place.unresolved("000123")
        screen.shows("hold", long=f"{MARKUP}店长确认")
        place.app.call("POST", f"/v1/transactions/{key}/evidence", {"kind": "wallet_record", "merchant": MARKUP, "text": MARKUP})
        place.app.call("POST", f"/v1/transactions/{key}/acknowledge", {"code": "P5", "by": MARKUP})
        place.enter("technician")
        screen.wait(lambda: f"{MARKUP}店" in screen.text("facts"))
        screen.press_first("transactions")
        screen.wait(lambda: f"{MARKUP} 已阅提示 P5" in screen.text("lines"))
        assert screen.run("return typeof hacked") == "undefined"
        assert screen.run("return document.querySelectorAll('main script').length") == 0
        assert screen.complaints() == []


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_nothing_has_to_be_scrolled_sideways(tmp_path: Path, size: tuple[int, int], lang: str) -> None:
    with till(tmp_path, *size) as place:
        screen = place.screen
        place.enter(lang=lang)
        screen.shows("none")
        assert fits(place)
        old = place.unresolved("000121", 999_999_999_999)
        place.dispose(old, goods="released")
        place.settle()
        place.host.order(clear=True)
        place.doubt("000122", 100_000_000)
        screen.shows("hold", amount="1000000.00")
        screen.wait(lambda: "000121" in screen.text("yesterday"))
        assert fits(place)
        for press in ("goods", "replaced", "evidence", "risk"):
            screen.press(f"press-{press}")
            assert fits(place), press
            screen.press("close")
        place.agent.kill()
        screen.shows("lost")
        assert fits(place)
        place.agent.start()
        place.enter("technician", lang)
        screen.wait(lambda: "000122" in screen.text("transactions"))
        assert fits(place)
        screen.press_first("transactions")
        until(lambda: screen.text("lines"))
        assert fits(place)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_longest_words_of_merchant_and_fleet_fit_the_smallest_screen(tmp_path: Path, broker: Mosquitto, lang: str) -> None:
    (tmp_path / "texts.toml").write_text(f"[P3]\nzh_long = '{'请' * 80}'\nen_long = '{'W' * 200}'\nen = '{'W' * 20}'\n")
    desk = Desk(tmp_path, broker.url)
    mqtt = {"url": broker.url, "command_keys_file": str(desk.public)}
    with till(tmp_path, *SIZES[1], terminal={"texts": "texts.toml", "terminal_id": "12345678"}, mqtt=mqtt) as place:
        place.enter(lang=lang)
        place.doubt("000123", 999_999_999_999)
        desk.order("display", f"zh={'字' * 40}", f"en={'W' * 40}", "seconds=600")
        place.screen.shows("hold", long="请" * 80 if lang == "zh" else "W" * 200, todo="字" * 40 if lang == "zh" else "W" * 40)
        assert fits(place)
        place.screen.press("press-goods")
        assert fits(place)


def test_the_technicians_page_shows_the_terminal_and_a_story_in_both_languages(place: Till) -> None:
    screen = place.screen
    place.doubt("000123")
    place.enter("technician")
    screen.wait(lambda: "不通" in screen.text("facts"))
    assert "128.50元" in screen.text("facts")
    assert "暂勿交货,等待自动冲正" in screen.text("tasks")
    place.line(up=True)
    screen.wait(lambda: "暂勿交货" not in screen.text("tasks"))
    screen.press_first("transactions")
    screen.wait(lambda: "状态不明:主机无应答,金额 128.50元" in screen.text("lines"))
    assert "冲正成功" in screen.text("state")
    screen.press("lang")
    screen.wait(lambda: "In doubt: no answer from the host, CNY 128.50" in screen.text("lines"))
    screen.press("back")
    screen.wait(lambda: "Money in doubt" in screen.text("facts"))
    place.agent.kill()
    screen.wait(lambda: "CONNECTION LOST" in screen.text("lost"))
    assert not screen.driver.find_element("id", "glance").is_displayed()
    place.agent.start()
    screen.wait(lambda: "Money in doubt" in screen.text("facts"))
    assert_nothing_secret(place)
