"""How one acquirer's host tells kinds apart and which codes it answers with. The defaults are UnionPay's.

A profile that the agent speaks becomes one of these (`agent/cli/hostrules.py`), so both sides stand on the same file.
"""

from typing import Literal

import msgspec

from device.acquirer.composed import parts


class HostKind(msgspec.Struct, frozen=True):
    """One kind as it stands on the line: `type` is F60.1, `f61` the template of F61, both empty where there are none.

    `in_doubt` says what a host of this acquirer takes beside the message itself: a 0400, or the same message again.
    """

    name: str
    mti: str
    f3: str
    type: str = ""
    f61: str = ""
    in_doubt: Literal["reverse", "repeat", "watch"] = "reverse"


# What hosts take and no profile lists: an agent only watches these.
WATCHED = (
    HostKind("balance", "0200", "310000", "01", in_doubt="watch"),
    HostKind("instalment", "0200", "000000", "54", in_doubt="watch"),
)
_SALE, _PREAUTH = "{batch}{stan}", "{batch}{stan}{date}"
UNIONPAY_KINDS = (
    HostKind("sale", "0200", "000000", "22"),
    HostKind("void", "0200", "200000", "23", _SALE),
    HostKind("preauth", "0100", "030000", "10"),
    HostKind("preauth_void", "0100", "200000", "11", _PREAUTH),
    HostKind("completion", "0200", "000000", "20", _PREAUTH),
    HostKind("completion_void", "0200", "200000", "21", _PREAUTH),
    HostKind("refund", "0220", "200000", "25", _PREAUTH, "repeat"),
    HostKind("offline", "0220", "000000", "36", in_doubt="repeat"),
    HostKind("tip", "0220", "000000", "34", _SALE, "repeat"),
)


class Codes(msgspec.Struct, frozen=True):
    """What the host answers (F39) beside an approval."""

    key: str = "A0"  # the MAC is wrong or missing
    no_original: str = "25"
    undone: str = "22"  # what is to be undone was undone, voided or completed before
    amount: str = "64"
    unreadable: str = "30"  # a field is missing or does not fit its kind
    unknown: str = "12"  # no such kind of transaction
    twice: str = "94"
    closed: str = "77"  # its batch is settled
    refused: str = "58"  # a 0400 for what is never reversed
    full: str = "96"
    partial: str = "10"


class HostRules(msgspec.Struct, frozen=True):
    """One acquirer's host."""

    kinds: tuple[HostKind, ...] = UNIONPAY_KINDS + WATCHED
    reversal: str = "0400"
    reversal_fields: frozenset[int] = frozenset({25, 61})  # of those that name the original beside F11, F41, F42 and F60
    reversal_amount: Literal["requested", "approved"] = "requested"
    echo: str = "0820"
    sign_in: str = "0800"
    settlement: str = "0500"
    f60: str = "{type}{batch}000"
    tpdu: bool = True
    approvals: frozenset[str] = frozenset({"00", "10", "11", "16", "A2", "A4", "A5", "A6"})
    codes: Codes = Codes()

    @property
    def signed(self) -> frozenset[str]:
        """Types of requests that must carry a MAC, and whose answers do."""
        return frozenset({self.reversal, *(kind.mti for kind in self.kinds)})

    def batch(self, f60: str) -> str:
        """The batch (F60.2), or nothing when F60 does not reach so far."""
        return parts(self.f60, f60).get("batch", "")

    def kind(self, mti: str, f3: str, f60: str) -> HostKind | None:
        """The kind of a request, by its type, F60.1 and F3. One whose F3 is another's is told by its `f3`."""
        said = parts(self.f60, f60).get("type", "")
        found = [kind for kind in self.kinds if kind.mti == mti and kind.type == said]
        return next((kind for kind in found if kind.f3 == f3), found[0] if found else None)


UNIONPAY_HOST = HostRules()
