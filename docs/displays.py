"""What the customer reads: the core's word, the driver's bytes, and a simulated display, whose decoder is written apart.

`docs/displays/` holds for each moment what is lit in both languages (.txt, .png) and the bytes of both command sets (.hex).
Bytes and text are compared exactly; pictures depend on the font of the machine, so of them only the size is.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

from agent.core import event as e
from agent.core.customer import shown
from agent.core.customertexts import CUSTOMER
from agent.core.playbook import PLAYBOOK
from agent.perform.display import Words
from device.display import Screen
from device.display.commands import CLEAR, SETS, CommandSet, frame, start
from device.simulator.display_model import PoleModel
from device.simulator.display_picture import paint
from docs.slips import Terminal

SPOKEN = {"zh": Words("zh", "gbk", "测试便利店"), "en": Words("en", "latin", "Corner Shop")}
TITLES = {
    "idle": "没有交易 · no payment",
    "processing": "已发送，等待主机 · sent, waiting for the host",
    "in-doubt": "状态不明，线路不通 · in doubt, the line is down",
    "reversing": "冲正已发出 · the 0400 is on its way",
    "reversed": "冲正已受理 · the reversal was accepted",
    "unresolved": "冲正不成功 · refused or used up",
    "paid": "已批准 · approved",
}


class Till(Terminal):
    """One terminal's core, and what it has the customer read."""

    def reads(self, words: Words) -> Screen:
        """Two lines."""
        found = shown(self._state)
        return words.idle() if found is None else words.of(found)


def tills() -> dict[str, Till]:
    """A terminal in each of the moments."""
    made = {name: Till() for name in TITLES}
    for name, till in made.items():
        if name == "reversed":
            till.reversal_answered("00")
        elif name == "unresolved":
            till.reversal_answered("30")
        elif name != "idle":
            till.sale()
    made["in-doubt"].tell(e.ResultReported(transaction="sale", outcome="no_answer"))
    made["in-doubt"].tell(e.HostUnreachable())
    made["reversing"].tell(e.ResultReported(transaction="sale", outcome="no_answer"))
    made["reversing"].tell(e.HostReachable())
    made["paid"].tell(e.ResultReported(transaction="sale", outcome="approved", response_code="00"))
    return made


class Golden(NamedTuple):
    """One moment in one language: what was sent with each command set, and what is lit."""

    name: str
    lang: str
    data: dict[CommandSet, bytes]
    lit: tuple[str, str]

    @property
    def stem(self) -> str:
        """Of its files."""
        return f"{self.name}-{self.lang}"


def goldens() -> list[Golden]:
    """Every moment in both languages, read by the simulated display."""
    made = []
    for (name, till), (lang, words) in product(tills().items(), SPOKEN.items()):
        data = {commands: CLEAR + frame(commands, words.charset, till.reads(words)) for commands in SETS}
        lit = set()
        for commands, sent in data.items():
            glass = PoleModel(commands, chinese=words.charset == "gbk")
            glass.feed(start(commands, 4) + sent)
            lit.add(glass.lines())
        (lines,) = lit
        made.append(Golden(name, lang, data, lines))
    return made


def _hex(golden: Golden) -> str:
    return "".join(f"{commands}\n{data.hex(' ', 1)}\n" for commands, data in golden.data.items())


def texts() -> dict[str, Callable[[], str]]:
    """Every text file of the folder by its path below `docs`."""
    made: dict[str, Callable[[], str]] = {"displays/README.md": _page}
    for golden in goldens():
        made[f"displays/{golden.stem}.txt"] = partial("{0[0]}\n{0[1]}\n".format, golden.lit)
        made[f"displays/{golden.stem}.hex"] = partial(_hex, golden)
    return made


def _page() -> str:
    lines = [
        "# What the customer reads 顾客看到的",
        "",
        "Made by `./dev docs`; do not edit it here. The core says the words, the driver makes the bytes, and a simulated display",
        "whose decoder is written apart reads them. `tests/docs/test_displays.py` compares bytes and text exactly. What the",
        "words are for, and how a display is set up: [display.md](../display.md). 由程序生成;金额、卡号、商户均为虚构。",
        "",
        "| | 中文 (GBK) | English (Latin) |",
        "|---|---|---|",
    ]
    for name, title in TITLES.items():
        shown_in = " | ".join(f"![{title}, {lang}]({name}-{lang}.png) [text]({name}-{lang}.txt) [bytes]({name}-{lang}.hex)"
                              for lang in SPOKEN)
        lines.append(f"| {title} | {shown_in} |")
    lines += [
        "",
        "## Every line 全部提示",
        "",
        "By the code of the cashier's advice ([playbook.md](../playbook.md)). The second pair is shown only while",
        "`may_pay_again` is true; where the first is empty the merchant's name stands there. 第二组仅在允许再付款时显示;",
        "留空则显示商户名。",
        "",
        "| code | 收银员 cashier | 顾客 customer | customer | 可再付款时 | when it may be paid again |",
        "|---|---|---|---|---|---|",
    ]
    for code, row in PLAYBOOK.items():
        line = CUSTOMER[code]
        lines.append(f"| {code} | {row.zh} | {' | '.join(line or ('', '', '', ''))} |")
    return "\n".join(lines) + "\n"


def pictures(folder: Path) -> None:
    """Write every picture. Raises PictureError when this machine has no font with Chinese characters."""
    for golden in goldens():
        paint(golden.lit).save(folder / f"{golden.stem}.png", optimize=True)
