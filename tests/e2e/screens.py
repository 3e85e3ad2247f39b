"""The pictures of docs/screens, taken from a real till: `./dev screens` writes them anew.

Pixels differ between versions of a browser; what stands on a screen does not. So beside the pictures lie their words, without
what differs from run to run, and a test plays the story again and compares those.
"""

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support.app import until
from tests.support.paper import Paper
from tests.support.till import Till, till

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screens"
WORDS = "words.txt"
SIZE = (480, 800)
SLOW = {"reply_timeout_ms": 4_000, "sends_per_opportunity": 5}  # so that a reversal under way can be seen
_RUNS = (  # what is another one in every run
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "2026-11-26 10:00:00"), (re.compile(r"\d\d:\d\d:\d\d"), "10:00:00"),
    (re.compile(r"\d\d-\d\d(?=的|日|自动)"), "11-26"), (re.compile(r"(?m)^(?!12345678$)[0-9A-F]{8}$"), "00000000"),
    (re.compile(r"第 \d+ 条,摘要 \w+"), "第 1 条,摘要 000000000000"), (re.compile(r"最早 \S+"), "最早 1秒"),
    (re.compile(r"待打印 \d+ 单"), "待打印 0 单"),
)


def play(place: Till, paper: Paper, shoot: Callable[[str], None]) -> None:
    """The story of one till and its printer; `shoot` is called with the name of each picture when its screen stands."""
    screen = place.screen
    place.enter()
    screen.shows("none")
    shoot("waiting")
    place.doubt("000123")
    screen.shows("hold", short="结果未知,暂勿交货")
    shoot("hold")
    screen.press("lang")
    screen.shows("hold", word="HOLD GOODS")
    shoot("hold-en")
    screen.press("lang")
    screen.press("press-evidence")
    shoot("evidence")
    screen.press("close")
    place.host.order(refuse=False, clear=True, set={"0400": "drop-reply"})
    screen.shows("wait", short="冲正中")
    shoot("wait")
    place.host.order(clear=True)
    screen.shows("again", short="冲正成功")
    shoot("again")
    paper.order("paper_out")
    paid = place.paid("000124", 3_600)
    screen.shows("release", short="交易成功,缺纸请装纸", todo="查看打印机")
    shoot("release")
    paper.order("paper_in")
    screen.shows("release", short="交易成功,请取小票")
    screen.wait(lambda: not screen.text("todo"))
    place.agent.kill()
    screen.shows("lost")
    shoot("lost")
    place.agent.start()
    key = place.unresolved("000125", 6_800)
    screen.shows("hold", short="冲正不成功,请店长决定")
    place.app.call("POST", f"/v1/transactions/{key}/evidence", {"kind": "debit_sms"})
    place.dispose(key, goods="released", replaced_by="none")
    screen.shows("hold", noted="未另付款")
    shoot("manager")
    place.settle(paid)
    screen.wait(lambda: "未到账,请向顾客补收" in screen.text("yesterday"))
    shoot("yesterday")
    place.doubt("000126", 1_250)
    place.enter("technician")
    screen.wait(lambda: "不通" in screen.text("facts"))
    shoot("technician")
    screen.press_first("transactions", "000123")
    until(lambda: screen.text("lines"))
    shoot("story")


def words(text: str) -> str:
    """What stands on a screen, without what is another one in every run."""
    for pattern, same in _RUNS:
        text = pattern.sub(same, text)
    return text.partition("线路不通,")[0]  # what happened to the line stands in the story as often as it happened


def take(folder: Path) -> None:
    """Pictures and words into `folder`."""
    said: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        paper = Paper(Path(name))
        printer = {"driver": "escpos", "port": str(paper.port), "profile": "epson-tm"}
        try:
            with till(Path(name), *SIZE, recovery=SLOW, printer=printer) as place:

                def shoot(picture: str) -> None:
                    place.screen.picture(folder / f"{picture}.png")
                    said.append(f"== {picture}\n{words(place.screen.page())}\n")

                play(place, paper, shoot)
        finally:
            paper.stop()
    (folder / WORDS).write_text("\n".join(said))


if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    take(FOLDER)
