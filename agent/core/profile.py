"""An acquirer's rules as data: kinds, message types, codes, reasons, and the fields of a 0400. The defaults are UnionPay's.

Sources: the 2002 UnionPay POS field document and the interchange response-code annex. A profile file says the same under
the same names (`agent/profile.py` reads it); `Policy` carries it through the journal. Codes are whole F39 values.
"""

from typing import Annotated, Any, Literal

import msgspec


def says(en: str, zh: str, **limits: Any) -> msgspec.Meta:
    """The limits of a value, and how to say them."""
    return msgspec.Meta(extra={"en": en, "zh": zh}, **limits)


TimerMs = Annotated[int, says("whole milliseconds, 0 to 86400000 (a day)", "整数毫秒，0 到 86400000(一天)", ge=0, le=86_400_000)]
Count = Annotated[int, says("1 to 10", "1 到 10", ge=1, le=10)]
Mti = Annotated[
    str,
    says("the four digits of a request, like 0400", "请求报文类型的四位数字，如 0400", pattern=r"^0[1-8][02468][0-9]\Z"),
]
Code = Annotated[
    str, says("a response code: two digits or capital letters", "两位应答码(数字或大写字母)", pattern=r"^[0-9A-Z]{2}\Z")
]
Codes = Annotated[
    tuple[Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Z]{2}\Z")], ...],
    says('a list of response codes, like ["00", "10"]', '应答码列表，如 ["00", "10"]', max_length=100),
]
Digits6 = Annotated[str, says("six digits", "六位数字", pattern=r"^[0-9]{6}\Z")]
Digits2 = Annotated[str, says("two digits", "两位数字", pattern=r"^[0-9]{2}\Z")]
_BATCH = says("digits, and {batch} in them", "数字，可含 {batch}", pattern=r"^([0-9]|\{batch\}){0,40}\Z")


class _Section(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One section of a profile file."""


class Messages(_Section, frozen=True, kw_only=True):
    """Message types (MTI) of the requests; an answer's is the request's plus 10. An empty `echo_…` is not sent.

    A sign-in that passes in the relay is known by its type and, where they are not empty, by its F3 and its F60.3.
    """

    reversal: Mti = "0400"
    echo: Mti = "0820"
    echo_f3: Annotated[str, says("six digits, or empty", "六位数字，或留空", pattern=r"^([0-9]{6})?\Z")] = ""
    echo_f60: Annotated[str, _BATCH] = "00{batch}301"
    settlement: Mti = "0500"
    sign_in: Mti = "0800"
    sign_in_f3: Annotated[str, says("six digits, or empty", "六位数字，或留空", pattern=r"^([0-9]{6})?\Z")] = ""
    sign_in_f60: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern=r"^[0-9]{3}\Z")], ...],
        says(
            'a list of network codes (F60.3), like ["001"]; empty: any', '网络管理码(F60.3)列表，如 ["001"]；留空则不限',
            max_length=20,
        ),
    ] = ("001", "003", "004")


class Kind(_Section, frozen=True, kw_only=True):
    """One kind of transaction: how it is told on the line, and what a doubt about it means.

    in_doubt: `reverse` by a 0400 · `repeat` the same message until it is answered, never a 0400 (0220 advice and refunds)
    · `watch` until the settlement tells. A kind that a profile does not list is watched.
    """

    name: str = ""
    mti: Mti = "0200"
    f3: Digits6 = "000000"
    type: Annotated[str, says("two digits (F60.1), or empty", "两位数字(F60.1)，或留空", pattern=r"^([0-9]{2})?\Z")] = ""
    condition: Digits2 = "00"
    in_doubt: Literal["reverse", "repeat", "watch"] = "watch"
    f61: Annotated[
        str,
        says(
            "digits and {batch} {stan} {date} of the original, or empty", "数字及原交易的 {batch} {stan} {date}，或留空",
            pattern=r"^([0-9]|\{batch\}|\{stan\}|\{date\}){0,29}\Z",
        ),
    ] = ""


def _kind(name: str, f3: str, type_: str, **more: Any) -> Kind:
    return Kind(name=name, f3=f3, type=type_, **more)


_OF_SALE, _OF_PREAUTH = "{batch}{stan}", "{batch}{stan}{date}"

UNIONPAY_KINDS = (
    _kind("sale", "000000", "22", in_doubt="reverse"),
    _kind("void", "200000", "23", in_doubt="reverse", f61=_OF_SALE),
    _kind("preauth", "030000", "10", mti="0100", condition="06", in_doubt="reverse"),
    _kind("preauth_void", "200000", "11", mti="0100", condition="06", in_doubt="reverse", f61=_OF_PREAUTH),
    _kind("completion", "000000", "20", condition="06", in_doubt="reverse", f61=_OF_PREAUTH),
    _kind("completion_void", "200000", "21", condition="06", in_doubt="reverse", f61=_OF_PREAUTH),
    _kind("refund", "200000", "25", mti="0220", in_doubt="repeat", f61=_OF_PREAUTH),
    _kind("offline", "000000", "36", mti="0220", in_doubt="repeat"),
    _kind("tip", "000000", "34", mti="0220", in_doubt="repeat", f61=_OF_SALE),
)


class Reversal(_Section, frozen=True, kw_only=True):
    """The 0400: which fields it has where they are known, F60, the tags of F55, and F4 after a partial approval."""

    fields: Annotated[
        tuple[Literal[2, 3, 4, 11, 14, 22, 23, 25, 38, 39, 41, 42, 49, 55, 60, 61], ...],
        says(
            "a list of fields out of 2 3 4 11 14 22 23 25 38 39 41 42 49 55 60 61, with 3 4 11 39 41 42 among them",
            "域号列表，取自 2 3 4 11 14 22 23 25 38 39 41 42 49 55 60 61，且含 3 4 11 39 41 42",
        ),
    ] = (2, 3, 4, 11, 14, 22, 23, 25, 38, 39, 41, 42, 49, 55, 60, 61)
    f60: Annotated[
        str, says("digits, {type} and {batch}", "数字、{type} 和 {batch}", pattern=r"^([0-9]|\{type\}|\{batch\}){0,40}\Z")
    ] = "{type}{batch}000"
    chip_tags: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern=r"^([0-9A-F]{2}){1,4}\Z")], ...],
        says('a list of EMV tags, like ["95", "9F36"]', 'EMV 标签列表，如 ["95", "9F36"]', max_length=32),
    ] = ("95", "9F1E", "9F10", "9F36", "DF31")
    amount: Literal["requested", "approved"] = "requested"


class Reasons(_Section, frozen=True, kw_only=True):
    """F39 of a 0400: why it is sent. `refused` is every resend after an answer that did not accept it."""

    no_answer: Code = "98"
    bad_mac: Code = "A0"
    not_completed: Code = "96"
    refused: Code = "06"

    def of(self, cause: str) -> str:
        """The reason for what caused the doubt."""
        return {"bad_mac": self.bad_mac, "approved_not_completed": self.not_completed}.get(cause, self.no_answer)


class Answers(_Section, frozen=True, kw_only=True):
    """What codes mean. `approval` to `uncertain` answer a transaction, the others a 0400; whatever is not listed is "later"."""

    approval: Codes = ("00", "10", "11", "16", "A2", "A4", "A5", "A6")
    partial: Codes = ("10",)
    confirm: Codes = ("A2", "A4", "A5", "A6")
    uncertain: Codes = ("68", "91", "96", "98")
    accepted: Codes = ("00",)
    no_original: Codes = ("12", "25")
    key: Codes = ("A0", "77", "99", "A7")
    done_elsewhere: Codes = ("22", "94")
    permanent: Codes = ("03", "13", "14", "30", "58", "64", "97")


MUST = frozenset({3, 4, 11, 39, 41, 42})  # without these an answer could not be matched, and the reason not be told
