"""Real-time commands in the stream of bytes: a printer acts on them as they arrive, wherever they stand in the data."""

from typing import Literal, NamedTuple

DLE = 0x10
_LENGTHS = {0x04: 3, 0x05: 3, 0x14: 5}  # status; recovery; pulse for the drawer
_KINDS: dict[int, Literal["status", "recover", "pulse"]] = {0x04: "status", 0x05: "recover", 0x14: "pulse"}


class Part(NamedTuple):
    """A stretch of ordinary data, or one real-time command with its parameters."""

    kind: Literal["data", "status", "recover", "pulse"]
    data: bytes


class RealTimeFilter:
    """Takes what arrives in pieces of any size; at most four bytes of an unfinished command are held back."""

    def __init__(self) -> None:
        self._held = bytearray()

    def split(self, data: bytes) -> list[Part]:
        """What the bytes are, in order."""
        if not self._held and DLE not in data:
            return [Part("data", data)]
        found: list[Part] = []
        for byte in data:
            self._take(byte, found)
        return found

    def _take(self, byte: int, found: list[Part]) -> None:
        held = self._held
        held.append(byte)
        if held[0] != DLE or (len(held) > 1 and held[1] not in _LENGTHS):
            found.append(Part("data", bytes(held)))
        elif len(held) > 1 and len(held) == _LENGTHS[held[1]]:
            found.append(Part(_KINDS[held[1]], bytes(held[2:])))
        else:
            return
        held.clear()
