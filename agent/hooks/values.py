"""What single values of a request body may be."""

from typing import Annotated

import msgspec

FenAmount = Annotated[int, msgspec.Meta(ge=1, le=999_999_999_999, description="whole fen")]
SixDigits = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}\Z")]
FourDigits = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}\Z")]
ThreeDigits = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{3}\Z")]
TerminalId = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z]{8}\Z", description="F41")]
Code = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Z]{2}\Z", description="response code F39, whole")]
Condition = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{2}\Z", description="F25; by default the profile's for this kind")]
OrderNumber = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9A-Za-z_*|-]{1,64}\Z", description="the merchant's own number of a wallet order, kept as is")
]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Note = Annotated[str, msgspec.Meta(max_length=500)]
Chip = Annotated[str, msgspec.Meta(pattern=r"^([0-9A-Fa-f]{2}){0,255}\Z", description="EMV TLV as hex, at most 255 bytes")]


class Base(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request body."""
