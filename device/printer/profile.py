"""What one model of printer can do, read from a TOML file: widths, how to draw a QR code, and what it can prove.

The files stand in `packaging/printers/`. A path to a file of one's own works everywhere.
"""

from typing import Annotated, Literal

import msgspec

from device import datafiles
from device.errors import DeviceError

Confirm = Literal["process-id", "fence", "none"]
DEFAULT = "generic-58mm"


class ProfileError(DeviceError):
    """A printer profile is missing or has a mistake: names the file, the key and the reason. Whoever wrote it is at fault."""


class PrinterProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model. Unknown keys are refused, so that a misspelt one is noticed."""

    name: str
    columns: Annotated[int, msgspec.Meta(ge=16, le=64)] = 32  # half-width characters; a Han character takes two
    dots: Annotated[int, msgspec.Meta(ge=128, le=1024)] = 384  # of the print head: 384 on 58 mm, 576 on 80 mm
    encoding: Literal["gbk"] = "gbk"
    kanji_commands: bool = True  # send 1C 26 / 1C 2E
    qr: Literal["native", "raster", "none"] = "native"
    qr_module_dots: Annotated[int, msgspec.Meta(ge=2, le=16)] = 6
    cut: bool = False
    feed_lines: Annotated[int, msgspec.Meta(ge=0, le=20)] = 4  # from the print head to the tear bar or the cutter
    status: tuple[Literal[1, 2, 3, 4], ...] = (1, 2, 3, 4)  # which 10 04 n it answers; empty: it is mute
    status_timeout_ms: Annotated[int, msgspec.Meta(ge=50, le=5000)] = 500
    asb: bool = False  # automatic status back
    confirm: Confirm = "none"
    confirm_timeout_ms: Annotated[int, msgspec.Meta(ge=200, le=60_000)] = 10_000
    flow: Literal["none", "rtscts", "xonxoff"] = "none"  # serial ports only
    bytes_per_s: Annotated[int, msgspec.Meta(ge=100, le=10_000_000)] = 2_000  # USB and TCP: how fast it takes bytes at worst

    @property
    def mute(self) -> bool:
        """It answers nothing, so its silence tells nothing."""
        return not self.status

    def __post_init__(self) -> None:
        if self.confirm != "none" and not self.status:
            raise ValueError('confirm must be "none" for a printer that answers no status')
        if self.qr == "raster" and (self.qr_module_dots % 2 or self.qr_module_dots < 4):
            raise ValueError("qr_module_dots must be even and at least 4 for a raster QR code")


def profile_names() -> list[str]:
    """The profiles that come with the program."""
    return datafiles.names("printers")


def load_profile(name: str = DEFAULT) -> PrinterProfile:
    """Read a profile by name, or by path when it ends in `.toml`. Raises ProfileError."""
    path = datafiles.find("printers", name)
    if path is None:
        known = ", ".join(profile_names()) or "none: the installation is incomplete"
        raise ProfileError(f"there is no printer profile {name!r}; those that came with the program: {known}")
    try:
        return msgspec.toml.decode(path.read_bytes(), type=PrinterProfile)
    except OSError as error:
        raise ProfileError(f"printer profile {path}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ProfileError(f"printer profile {path}: {error}") from None
