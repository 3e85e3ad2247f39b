"""How a settlement file is laid out: which column means what, as a TOML file or as `--column field=name` pairs.

Terminal and fleet read such files alike. CSV columns are named by their heading or by their number from 1, fixed-width ones
by their first and last byte, from 1.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

LAYOUT_BYTES_MAX = 64 * 1024
YEARS = range(2000, 2100)  # 9999-12-31 stands where there is no date
Source = Literal["card", "wechat", "alipay", "unionpay_qr", "bestpay"]  # whose settlement a file is
Field = Literal["date", "terminal_id", "batch", "stan", "rrn", "order_no", "amount", "direction"]
Span = Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=10_000)]], msgspec.Meta(min_length=2, max_length=2)]
_Texts = tuple[str, ...]


class LayoutError(Exception):
    """The description is wrong: a mistake of whoever wrote the command or the file, which the text names."""


class Values(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How values are written. Without a direction column every line is a debit, or a credit when its amount is negative.

    `ignore` are words of the direction column whose lines are no booking (a subtotal, an inquiry). `strip` are characters that
    stand around every value of a file, as the back-tick in a wallet's bill that keeps a long number from becoming another one.
    """

    amount: Literal["yuan", "fen"] = "yuan"
    date: Literal["YYYY-MM-DD", "YYYYMMDD", "YYYY/MM/DD"] = "YYYY-MM-DD"
    debit: _Texts = ("debit", "D", "借", "消费", "预授权完成")
    credit: _Texts = ("credit", "C", "贷", "撤销", "消费撤销", "冲正", "退货")
    ignore: _Texts = ()
    strip: Annotated[str, msgspec.Meta(max_length=8)] = ""


class Layout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole description. `skip` lines stand before the first record; of a CSV file the last of them is the heading.

    `covers`: whose settlement it is, the card acquirer's or that of wallets; needed with order numbers.
    """

    kind: Literal["csv", "fixed"] = "csv"
    encoding: Literal["auto", "utf-8", "gbk"] = "auto"
    separator: Annotated[str, msgspec.Meta(min_length=1, max_length=1)] = ","
    skip: Annotated[int, msgspec.Meta(ge=0, le=100)] = 1
    footer: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    columns: dict[Field, str | int | Span] = {}
    covers: Annotated[tuple[Source, ...], msgspec.Meta(max_length=5)] = ()
    values: Values = Values()


def load(path: Path | None, pairs: tuple[str, ...], encoding: str | None, lang: str) -> Layout:
    """The layout in `path` (or the default), with the pairs and the encoding of the command line over it.

    Raises LayoutError.
    """
    written: dict[str, Any] = {}
    if path is not None:
        try:
            written = tomllib.loads(path.read_bytes()[:LAYOUT_BYTES_MAX].decode("utf-8-sig"))
        except (OSError, ValueError) as error:
            raise LayoutError(f"{path}: {_reason(error)}") from None
    columns = dict(written.get("columns", {}))
    for pair in pairs:
        name, equals, place = pair.partition("=")
        if not equals:
            wanted = "字段=列名" if lang == "zh" else "FIELD=COLUMN"
            raise LayoutError(f"--column {pair}: {wanted}")
        columns[name] = int(place) if place.isdigit() else place
    if columns:
        written["columns"] = columns
    if encoding is not None:
        written["encoding"] = encoding
    try:
        layout = msgspec.convert(written, Layout)
    except msgspec.ValidationError as error:
        raise LayoutError(f"{path or '--column'}: {error}") from None
    for field, where in layout.columns.items():
        if (layout.kind == "fixed") != isinstance(where, list):
            wanted = "[first, last]" if layout.kind == "fixed" else "a heading or a number"
            raise LayoutError(f"{path or '--column'}: columns.{field} takes {wanted}")
    return layout


def _reason(error: Exception) -> str:
    return error.strerror or "cannot be read" if isinstance(error, OSError) else str(error)
