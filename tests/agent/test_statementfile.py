"""Settlement files as acquirers write them: CSV and fixed width, UTF-8 and GBK, and every bad line by its number."""

from pathlib import Path
from typing import get_args

import pytest

from agent import statementlayout as layouts
from agent.core.settlementevent import Source
from agent.statementfile import BadFile, Booking, Content, fen_of, read

TERMINAL = "12345678"
PLAIN = "date,batch,stan,rrn,amount,direction\n2026-03-02,000001,123,261122000123,1.00,debit\n"
CHINESE = """\
清算日期,终端号,批次号,流水号,参考号,交易金额,交易类型
20260302,12345678,1,123,,"1,234.50",消费
20260302,87654321,1,9,,1.00,消费
"""
MAP = (
    "date=清算日期", "terminal_id=终端号", "batch=批次号", "stan=流水号", "rrn=参考号", "amount=交易金额",
    "direction=交易类型",
)
FIXED = """\
kind = "fixed"
skip = 1
footer = 1
[columns]
date = [1, 8]
batch = [9, 14]
stan = [15, 20]
direction = [21, 24]
amount = [25, 36]
[values]
date = "YYYYMMDD"
amount = "fen"
ignore = ["查询"]
"""


def taken(folder: Path, data: str | bytes, *pairs: str, layout: str | None = None, encoding: str | None = None) -> Content:
    file, described = folder / "file", folder / "layout.toml"
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    if layout is not None:
        described.write_text(layout)
    return read(file, layouts.load(described if layout is not None else None, pairs, encoding, "en"), TERMINAL)


def test_a_file_whose_headings_are_the_fields_needs_no_map(tmp_path: Path) -> None:
    content = taken(tmp_path, PLAIN)
    assert content.bookings == [Booking("2026-03-02", 100, "debit", 2, "000001", "000123", "261122000123")]
    assert (content.dates, content.bad) == ({"2026-03-02"}, [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
def test_chinese_headings_are_mapped_and_the_encoding_is_found_out(tmp_path: Path, encoding: str) -> None:
    layout = '[values]\ndate = "YYYYMMDD"\n'
    content = taken(tmp_path, CHINESE.encode(encoding), *MAP, layout=layout)
    assert [(line.amount_fen, line.direction, line.stan) for line in content.bookings] == [(123_450, "debit", "000123")]
    assert (content.others, content.bad) == (1, [])


def test_columns_may_be_numbers_and_a_minus_turns_the_direction(tmp_path: Path) -> None:
    content = taken(tmp_path, "2026-03-02;000001;000123;-1.00\n", "date=1", "batch=2", "stan=3", "amount=4",
                    layout='separator = ";"\nskip = 0\n')
    assert [line.direction for line in content.bookings] == ["credit"]


def test_a_wallets_bill_has_order_numbers_and_a_mark_around_every_value(tmp_path: Path) -> None:
    bill = "交易时间,商户订单号,订单金额,类型\n`2026-03-02,`2026030210000001,`1.00,`支付\n`2026-03-02,`a|2,`-0.40,`支付\n"
    content = taken(
        tmp_path, bill, "date=交易时间", "order_no=商户订单号", "amount=订单金额", "direction=类型",
        layout='covers = ["wechat"]\n[values]\nstrip = "`"\ndebit = ["支付"]\n',
    )
    assert [(line.order_no, line.amount_fen, line.direction) for line in content.bookings] == [
        ("2026030210000001", 100, "debit"), ("a|2", 40, "credit"),
    ]
    assert content.bad == []


def test_an_order_number_is_a_column_of_fixed_width_too(tmp_path: Path) -> None:
    layout = 'kind = "fixed"\nskip = 0\n[columns]\ndate = [1, 10]\norder_no = [11, 20]\namount = [21, 28]\n'
    content = taken(tmp_path, "2026-03-02ORDER-1       1.00\n2026-03-02ORDER 2       1.00\n", layout=layout)
    assert [line.order_no for line in content.bookings] == ["ORDER-1"]
    assert [bad.en for bad in content.bad] == ["order_no takes 1 to 64 letters, digits, or _ - * |"]


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_fixed_width_is_counted_in_bytes(tmp_path: Path, encoding: str) -> None:
    records = ["20260302000001000123", "20260302000001000124", "20260302000001000125"]
    words = ["借", "贷", "查询"]
    wide = {"utf-8": 3, "gbk": 2}[encoding]
    lines = [f"{record}{word}{' ' * (6 - wide * len(word))}{100:012d}" for record, word in zip(records, words, strict=True)]
    layout = FIXED.replace("[21, 24]", "[21, 26]").replace("[25, 36]", "[27, 38]")
    data = "\n".join(["清算明细", *lines, "合计 3"]).encode(encoding)
    content = taken(tmp_path, data, layout=layout, encoding=encoding)
    assert content.bad == []
    assert [(line.line, line.stan, line.direction, line.amount_fen) for line in content.bookings] == [
        (2, "000123", "debit", 100), (3, "000124", "credit", 100),
    ]
    assert content.ignored == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2026-13-02,000001,000123,,1.00,debit", "date must be written YYYY-MM-DD"),
        ("9999-12-31,000001,000123,,1.00,debit", "date must be one of the years 2000 to 2099"),
        ("2026-03-02,000001,000123,,1.005,debit", "amount must be more than zero, in yuan, 12.34"),
        ("2026-03-02,000001,000123,,0.00,debit", "amount must be more than zero, in yuan, 12.34"),
        ("2026-03-02,000001,12x,,1.00,debit", "stan takes at most 6 digits"),
        ("2026-03-02,0000012,000123,,1.00,debit", "batch takes at most 6 digits"),
        ("2026-03-02,000001,,,1.00,debit", "needs an rrn, an order_no, or batch and stan"),
        ("2026-03-02,000001,000123,26112200012345,1.00,debit", "rrn takes 1 to 12 letters or digits"),
        ("2026-03-02,000001,000123,,1.00,6222021234567890128", "direction '…' is not known"),
        ("2026-03-02", "amount must be more than zero, in yuan, 12.34"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_never_shows_a_card(tmp_path: Path, line: str, why: str) -> None:
    content = taken(tmp_path, PLAIN + "\n" + line + "\n")
    assert [(bad.line, bad.en) for bad in content.bad] == [(4, why)]
    assert content.bad[0].zh


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_quote_that_is_not_closed_spoils_its_own_line_and_swallows_no_other(tmp_path: Path, end: str) -> None:
    lines = [
        "date,batch,stan,amount,direction,remark", "2026-03-02,000001,000001,1.00,debit,",
        '2026-03-02,000001,000002,1.00,debit,"left open', "2026-03-02,000001,000003,1.00,debit,",
        '2026-03-02,000001,000004,1.00,debit,"',
        '2026-03-02,000001,000005,1.00,debit,"with, comma\x0c\u2028"',
    ]
    content = taken(tmp_path, end.join(lines))
    assert [bad.line for bad in content.bad] == [3, 5]
    assert content.bad[0].en == "is no CSV: a quotation mark is not closed on its line"
    assert [(line.line, line.stan) for line in content.bookings] == [(2, "000001"), (4, "000003"), (6, "000005")]


def test_a_line_that_ends_before_its_direction_or_terminal_is_not_guessed(tmp_path: Path) -> None:
    content = taken(tmp_path, "date,batch,stan,amount,direction\n2026-03-02,000001,000123,1.00\n")
    assert [bad.en for bad in content.bad] == ["the line ends before its direction"]
    content = taken(tmp_path, "date,batch,stan,amount,terminal_id\n2026-03-02,000001,000123,1.00\n")
    assert ([bad.en for bad in content.bad], content.others) == (["the line ends before its terminal_id"], 0)
    fixed = 'kind = "fixed"\nskip = 0\n[columns]\ndate = [1, 10]\nbatch = [11, 16]\nstan = [17, 22]\namount = [23, 28]\n'
    content = taken(tmp_path, "2026-03-02000001000123  1.00\n", layout=fixed + "direction = [29, 29]\n")
    assert [bad.en for bad in content.bad] == ["the line ends before its direction"]


def test_a_line_that_is_passed_over_needs_no_date(tmp_path: Path) -> None:
    content = taken(tmp_path, PLAIN + "小计,,,,1.00,subtotal\n", layout='[values]\nignore = ["subtotal"]\n')
    assert (len(content.bookings), content.ignored, content.bad) == (1, 1, [])


def test_gbk_behind_the_mark_of_utf_8_is_read(tmp_path: Path) -> None:
    layout = '[values]\ndate = "YYYYMMDD"\n'
    content = taken(tmp_path, b"\xef\xbb\xbf" + CHINESE.encode("gbk"), *MAP, layout=layout)
    assert ([line.amount_fen for line in content.bookings], content.bad) == ([123_450], [])


@pytest.mark.parametrize(
    ("data", "pairs", "why"),
    [
        ("a,b\n1,2\n", (), "has no column for date"),
        (PLAIN, ("date=when", "amount=amount"), "has no column when"),
        (b"\xff\xfe\x81", (), "is no text in UTF-8 or GBK"),
        (PLAIN.replace("rrn,amount", "amount,amount"), (), "has the column amount more than once; name it by its number"),
        (PLAIN.replace("rrn", "sum").replace("amount", "sum"), ("date=date", "amount=sum"), "has the column sum more than once"),
        ('"' + PLAIN, (), "line 1 is no CSV"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_says_why(tmp_path: Path, data: str | bytes, pairs: tuple[str, ...], why: str) -> None:
    with pytest.raises(BadFile, match=why):
        taken(tmp_path, data, *pairs)


@pytest.mark.parametrize(
    ("layout", "pairs", "why"),
    [
        ('kind = "xml"', (), "Invalid enum value"), ("colour = 1", (), "unknown field"), ("kind = [", (), "layout.toml"),
        ('kind = "fixed"\n[columns]\ndate = "1"', (), r"columns.date takes \[first, last\]"),
        ("", ("date",), "FIELD=COLUMN"), ("", ("price=3",), "Invalid enum value"),
    ],
)
def test_a_wrong_layout_says_why(tmp_path: Path, layout: str, pairs: tuple[str, ...], why: str) -> None:
    with pytest.raises(layouts.LayoutError, match=why):
        taken(tmp_path, PLAIN, *pairs, layout=layout)


@pytest.mark.parametrize(("text", "fen"), [("1", 100), ("0.01", 1), ("12.3", 1230), ("9999999999.99", 999_999_999_999)])
def test_yuan_become_fen_without_a_float(text: str, fen: int) -> None:
    assert fen_of(text) == fen


@pytest.mark.parametrize("text", ["0", "", "1.", ".5", "1e3", "１", "-1", "10000000000"])
def test_what_is_no_amount_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no amount"):
        fen_of(text)


def test_whose_settlement_a_file_may_be_is_the_same_for_terminal_and_file() -> None:
    assert get_args(layouts.Source) == get_args(Source)
