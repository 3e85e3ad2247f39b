"""A settlement file as lines: CSV or fixed width, UTF-8 or GBK. A bad line is named by its number, and then nothing is taken."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from agent.statementlayout import YEARS, Field, Layout

FILE_BYTES_MAX = 32 << 20
BAD_TOLD_MAX = 10
AMOUNT_FEN_MAX = 999_999_999_999
_DATES = {"YYYY-MM-DD": "%Y-%m-%d", "YYYYMMDD": "%Y%m%d", "YYYY/MM/DD": "%Y/%m/%d"}
_YUAN = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,2}))?")
_FEN = re.compile(r"[0-9]{1,15}")
_CARD_DIGITS_MIN = 13  # a column that was taken for another must not show what may be a card number
_RRN = re.compile(r"[0-9A-Za-z]{1,12}")
_ORDER_NO = re.compile(r"[0-9A-Za-z_*|-]{1,64}")
Row = dict[str, str | None]


class Bad(NamedTuple):
    """A line that cannot be taken, and why, in both languages."""

    line: int
    zh: str
    en: str


class BadFile(Exception):
    """The file as a whole cannot be read; (zh, en)."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


class Booking(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line, as the local API takes it."""

    date: str
    amount_fen: int
    direction: str
    line: int
    batch: str | None = None
    stan: str | None = None
    rrn: str | None = None
    order_no: str | None = None


class Content(msgspec.Struct):
    """What a file holds: bookings by terminal id, under None those of a file that names no terminal.

    `dates` are those of all lines, `others` counts lines of terminals that were not asked for: nobody looked at those.
    """

    by_terminal: dict[str | None, list[Booking]]
    dates: set[str]
    others: int
    ignored: int
    bad: list[Bad]
    covers: tuple[str, ...] = ()  # whose settlement it is, by its layout

    @property
    def bookings(self) -> list[Booking]:
        """All of them, terminal by terminal."""
        return [booking for bookings in self.by_terminal.values() for booking in bookings]

    @property
    def has_orders(self) -> bool:
        """True when a line names a wallet's order: then somebody has to say whose settlement it is."""
        return any(booking.order_no is not None for booking in self.bookings)


class _Wrong(Exception):
    """One value of a line; (zh, en)."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


def read(path: Path, layout: Layout, terminal_id: str | None) -> Content:
    """Everything in the file that is about this terminal, or about any for None. Raises BadFile, or OSError."""
    with path.open("rb") as source:
        data = source.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise BadFile(f"大于 {FILE_BYTES_MAX >> 20} MiB,请按日拆分", f"is over {FILE_BYTES_MAX >> 20} MiB: split it by day")
    data = data.removeprefix(codecs.BOM_UTF8)  # some write it before GBK too
    encoding = _encoding(data, layout)
    rows = _fixed(data, layout, encoding) if layout.kind == "fixed" else _separated(data, layout, encoding)
    content = Content({}, set(), 0, 0, [], layout.covers)
    for number, row in rows:
        try:
            if isinstance(row, _Wrong):
                raise row
            _take(content, layout, terminal_id, number, row)
        except _Wrong as wrong:
            content.bad.append(Bad(number, wrong.zh, wrong.en))
    return content


def _encoding(data: bytes, layout: Layout) -> str:
    """As the layout says, else UTF-8 where it is that, and GBK (GB 18030) otherwise."""
    for name in ("utf-8", "gb18030"):
        if layout.encoding in {"auto", {"utf-8": "utf-8", "gb18030": "gbk"}[name]}:
            try:
                data.decode(name)
            except UnicodeDecodeError:
                continue
            return name
    wanted = {"auto": ("UTF-8 或 GBK", "UTF-8 or GBK"), "utf-8": ("UTF-8", "UTF-8"), "gbk": ("GBK", "GBK")}[layout.encoding]
    raise BadFile(f"不是 {wanted[0]} 编码的文本", f"is no text in {wanted[1]}")


def _separated(data: bytes, layout: Layout, encoding: str) -> Iterator[tuple[int, "Row | _Wrong"]]:
    """Each line by itself: a quote that is not closed must not swallow the lines after it, which would then be missing."""
    lines = list(io.StringIO(data.decode(encoding), newline=""))
    try:
        heading = [_bare(cell, layout) for line in lines[layout.skip - 1 : layout.skip] for cell in _cells(line, layout)]
    except _Wrong as wrong:
        raise BadFile(f"第 {layout.skip} 行{wrong.zh}", f"line {layout.skip} {wrong}") from None
    places = _places(layout, heading)
    for number, line in enumerate(lines[layout.skip : len(lines) - layout.footer], start=layout.skip + 1):
        try:
            cells = _cells(line, layout)
        except _Wrong as wrong:
            yield number, wrong
            continue
        if any(cell.strip() for cell in cells):
            yield number, {name: _cell(cells, place, layout) for name, place in places.items()}


def _cells(line: str, layout: Layout) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=layout.separator, strict=True), [])
    except csv.Error as error:
        if "end of data" in str(error):
            raise _Wrong("不是 CSV:引号没有在本行结束", "is no CSV: a quotation mark is not closed on its line") from None
        raise _Wrong("不是 CSV", f"is no CSV: {error}") from None


def _places(layout: Layout, heading: list[str]) -> dict[str, int]:
    """Field → index of its cell. Without a map a heading that is a field's name is that field."""
    columns = layout.columns or {name: name for name in ("date", "amount", *_OPTIONAL) if name in heading}
    places: dict[str, int] = {}
    for name, place in columns.items():
        if isinstance(place, int):
            places[name] = place - 1
        elif heading.count(str(place)) > 1:
            en = f"has the column {place} more than once; name it by its number with --column or --layout"
            raise BadFile(f"有不止一列叫 {place};请用 --column 或 --layout 写列号", en)
        elif place in heading:
            places[name] = heading.index(str(place))
        else:
            raise BadFile(f"没有列 {place}(字段 {name})", f"has no column {place} (field {name})")
    for name in ("date", "amount"):
        if name not in places:
            en = f"has no column for {name}; name it with --column or --layout"
            raise BadFile(f"缺少字段 {name} 的列;请用 --column 或 --layout 指明", en)
    return places


_OPTIONAL: tuple[Field, ...] = ("terminal_id", "batch", "stan", "rrn", "order_no", "direction")


def _cell(cells: list[str], place: int, layout: Layout) -> str | None:
    return _bare(cells[place], layout) if 0 <= place < len(cells) else None


def _bare(text: str, layout: Layout) -> str:
    """Without the blanks around it, and what the file puts around every value."""
    return text.strip().strip(layout.values.strip).strip() if layout.values.strip else text.strip()


def _fixed(data: bytes, layout: Layout, encoding: str) -> Iterator[tuple[int, Row]]:
    for name in ("date", "amount"):
        if name not in layout.columns:
            raise BadFile(f"版式中缺少 columns.{name}", f"the layout lacks columns.{name}")
    lines = data.splitlines()
    for number, line in enumerate(lines[layout.skip : len(lines) - layout.footer], start=layout.skip + 1):
        if line.strip():
            yield number, {name: _slice(line, place, encoding, layout) for name, place in layout.columns.items()}


def _slice(line: bytes, place: object, encoding: str, layout: Layout) -> str | None:
    assert isinstance(place, list), "a fixed-width layout has spans"
    first, last = place
    if len(line) < first:
        return None
    try:
        return _bare(line[first - 1 : last].decode(encoding), layout)
    except UnicodeDecodeError:
        return "\ufffd"


def _take(content: Content, layout: Layout, terminal_id: str | None, number: int, row: Row) -> None:
    values = layout.values
    said = row.get("direction")
    if said is not None and said in values.ignore:
        content.ignored += 1
        return
    date = _date(row, values.date)
    content.dates.add(date)
    if row.get("terminal_id", "") is None:
        raise _Wrong("这一行不完整,没有终端号", "the line ends before its terminal_id")
    if terminal_id is not None and row.get("terminal_id", terminal_id) != terminal_id:
        content.others += 1
        return
    amount_fen, minus = _amount(row, values.amount)
    direction = "credit" if minus else "debit"
    if said is None and "direction" in row:
        raise _Wrong("这一行不完整,没有借贷方向", "the line ends before its direction")
    if said is not None:
        if said not in values.debit and said not in values.credit:
            shown = said if sum(map(str.isdigit, said)) < _CARD_DIGITS_MIN else "…"
            raise _Wrong(f"借贷方向 {shown} 不认识", f"direction {shown!r} is not known")
        direction = "debit" if (said in values.debit) != minus else "credit"
    batch, stan, rrn = _digits(row, "batch"), _digits(row, "stan"), row.get("rrn") or None
    if rrn is not None and not _RRN.fullmatch(rrn):
        raise _Wrong("参考号应为 1 到 12 位字母或数字", "rrn takes 1 to 12 letters or digits")
    order_no = row.get("order_no") or None
    if order_no is not None and not _ORDER_NO.fullmatch(order_no):
        raise _Wrong("订单号应为 1 到 64 位字母、数字或 _ - * |", "order_no takes 1 to 64 letters, digits, or _ - * |")
    if rrn is None and order_no is None and (batch is None or stan is None):
        raise _Wrong("需要参考号、订单号,或批次号加流水号", "needs an rrn, an order_no, or batch and stan")
    booking = Booking(date, amount_fen, direction, number, batch, stan, rrn, order_no)
    content.by_terminal.setdefault(row.get("terminal_id"), []).append(booking)


def _date(row: Row, pattern: str) -> str:
    try:
        day = datetime.strptime(row.get("date") or "", _DATES[pattern]).date()  # noqa: DTZ007  (a date, no time)
    except ValueError:
        raise _Wrong(f"日期应写成 {pattern}", f"date must be written {pattern}") from None
    if day.year not in YEARS:
        raise _Wrong("日期应在 2000 至 2099 年", "date must be one of the years 2000 to 2099")
    return day.isoformat()


def fen_of(text: str, unit: str = "yuan") -> int:
    """12.34 yuan, or 1234 fen, as fen. Raises ValueError for what is no amount above zero."""
    match = (_YUAN if unit == "yuan" else _FEN).fullmatch(text)
    if match is None:
        raise ValueError("no amount")
    fen = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if unit == "yuan" else int(match[0])
    if not 0 < fen <= AMOUNT_FEN_MAX:
        raise ValueError("no amount above zero")
    return fen


def _amount(row: Row, unit: str) -> tuple[int, bool]:
    text = (row.get("amount") or "").replace(",", "")
    minus, text = text.startswith("-"), text.removeprefix("-")
    try:
        return fen_of(text, unit), minus
    except ValueError:
        wanted = ("元", "yuan, 12.34") if unit == "yuan" else ("分", "fen, 1234")
        raise _Wrong(f"金额应为大于零的{wanted[0]}", f"amount must be more than zero, in {wanted[1]}") from None


def _digits(row: Row, name: str) -> str | None:
    text = row.get(name) or None
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        label = {"batch": "批次号", "stan": "流水号"}[name]
        raise _Wrong(f"{label}应为最多 6 位数字", f"{name} takes at most 6 digits")
    return text.zfill(6)
