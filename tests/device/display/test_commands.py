"""The bytes on the wire, for both command sets and both character sets, as the makers' manuals give them."""

from itertools import product

import pytest

from device.display import COLUMNS, Charset, Screen, fitted
from device.display.commands import CLEAR, CommandSet, frame, start
from device.simulator.display_model import BROKEN, PoleModel

REVERSING = Screen("冲正中,请勿再刷卡", "1.00元         *0128")
ENGLISH = Screen("Reversing, don't pay", "RMB 1.00       *0128")

# 冲正中,请勿再刷卡 in GBK, and 1.00元 … *0128.
UPPER_GBK = "b3e5 d5fd d6d0 2c c7eb cef0 d4d9 cba2 bfa8 20 20 20"
LOWER_GBK = "31 2e 30 30 d4aa 20 20 20 20 20 20 20 20 20 2a 30 31 32 38"
UPPER_LATIN = "52 65 76 65 72 73 69 6e 67 2c 20 64 6f 6e 27 74 20 70 61 79"
LOWER_LATIN = "52 4d 42 20 31 2e 30 30 20 20 20 20 20 20 20 2a 30 31 32 38"

FRAMES: dict[tuple[CommandSet, Charset], str] = {
    ("cd5220", "gbk"): f"1b 51 42 {LOWER_GBK} 0d  1b 51 41 {UPPER_GBK} 0d",
    ("cd5220", "latin"): f"1b 51 42 {LOWER_LATIN} 0d  1b 51 41 {UPPER_LATIN} 0d",
    ("escpos", "gbk"): f"1f 24 01 02 {LOWER_GBK}  1f 24 01 01 {UPPER_GBK}",
    ("escpos", "latin"): f"1f 24 01 02 {LOWER_LATIN}  1f 24 01 01 {UPPER_LATIN}",
}
STARTS: dict[CommandSet, str] = {
    "cd5220": "0d 0d 0c  1b 40  1b 11  1b 5f 00  1b 2a 03",
    "escpos": "0c 0c 0c  1b 40  1f 01  1f 43 00  1f 58 03",
}
SETS: tuple[CommandSet, ...] = ("cd5220", "escpos")
CHARSETS: tuple[Charset, ...] = ("gbk", "latin")


@pytest.mark.parametrize(("commands", "charset"), FRAMES)
def test_a_frame_is_these_bytes(commands: CommandSet, charset: Charset) -> None:
    screen = REVERSING if charset == "gbk" else ENGLISH
    assert frame(commands, charset, screen) == bytes.fromhex(FRAMES[commands, charset])


@pytest.mark.parametrize("commands", SETS)
def test_the_start_is_these_bytes(commands: CommandSet) -> None:
    assert start(commands, 3) == bytes.fromhex(STARTS[commands])


@pytest.mark.parametrize(("commands", "charset"), list(product(SETS, CHARSETS)))
def test_a_decoder_written_apart_reads_what_was_meant(commands: CommandSet, charset: Charset) -> None:
    screen = REVERSING if charset == "gbk" else ENGLISH
    model = PoleModel(commands, chinese=charset == "gbk")
    model.feed(start(commands, 2) + frame(commands, charset, screen))
    assert (model.lines(), model.garbled) == ((screen.upper, screen.lower), 0)
    assert (model.brightness, model.cursor, model.scrolls) == (2, False, False)
    model.feed(frame(commands, charset, Screen("A", "")))
    assert model.lines() == ("A", "")


@pytest.mark.parametrize(
    ("text", "charset", "said"),
    [
        ("", "gbk", b" " * 20),
        ("十个汉字正好是一整行", "gbk", "十个汉字正好是一整行".encode("gbk")),
        ("a十个汉字正好是一整行", "gbk", "a十个汉字正好是一整".encode("gbk") + b" "),
        ("21 columns of text ok", "gbk", b"21 columns of text o"),
        ("¥1.00", "gbk", b"RMB1.00".ljust(20)),
        ("两\n行\x1b@", "gbk", "两 行@".encode("gbk").ljust(20)),
        ("测试便利店", "latin", b"?????".ljust(20)),
        ("caf\u00e9\x0c", "latin", b"caf??".ljust(20)),
        ("21 columns of text ok", "latin", b"21 columns of text o"),
    ],
)
def test_a_line_is_always_twenty_columns_and_never_holds_a_command_or_half_a_character(
    text: str, charset: Charset, said: bytes
) -> None:
    assert fitted(text, charset) == said
    assert len(fitted(text, charset)) == COLUMNS


@pytest.mark.parametrize("charset", CHARSETS)
def test_no_character_at_all_makes_a_control_byte(charset: Charset) -> None:
    for start_at in range(0, 0x10000, 10):
        text = "".join(chr(code) for code in range(start_at, min(start_at + 10, 0x10000)) if not 0xD800 <= code < 0xE000)
        line = fitted(text, charset)
        assert len(line) == COLUMNS
        assert min(line) >= 0x20


@pytest.mark.parametrize(("commands", "charset"), list(product(SETS, CHARSETS)))
def test_whatever_was_broken_off_the_start_makes_good(commands: CommandSet, charset: Charset) -> None:
    old = start(commands, 1) + CLEAR + frame(commands, charset, REVERSING if charset == "gbk" else ENGLISH)
    for cut in range(len(old) + 1):
        model = PoleModel(commands, chinese=charset == "gbk")
        model.feed(old[:cut])
        model.feed(start(commands, 4) + CLEAR + frame(commands, charset, Screen("OK", "1.00")))
        assert model.lines() == ("OK", "1.00"), cut
        assert (model.brightness, model.cursor) == (4, False), cut


@pytest.mark.parametrize(("commands", "charset"), list(product(SETS, CHARSETS)))
def test_a_write_that_breaks_off_never_puts_one_customers_words_above_another_ones_amount(
    commands: CommandSet, charset: Charset
) -> None:
    first = Screen("Reversed, pay again", "RMB 1.00       *0128")
    second = Screen("Processing, wait", "RMB 2.50       *9999")
    new = CLEAR + frame(commands, charset, second)
    for cut in range(len(new) + 1):
        model = PoleModel(commands, chinese=charset == "gbk")
        model.feed(start(commands, 4) + CLEAR + frame(commands, charset, first) + new[:cut])
        upper, lower = model.lines()
        assert (upper, lower) == (first.upper, first.lower) or (second.upper.startswith(upper) and second.lower.startswith(lower))
        assert not upper or lower in {first.lower, second.lower}, "words without whose they are"


def test_a_character_that_this_display_does_not_have_is_seen_as_such() -> None:
    model = PoleModel("escpos", chinese=False)
    model.feed(frame("escpos", "gbk", REVERSING))
    assert BROKEN in model.lines()[0], "the wrong charset in the configuration is visible at once"
