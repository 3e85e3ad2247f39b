"""What a simulated printer says, and how: truly, not at all, or as garbage; and the status that it sends unasked."""

import random

from device.simulator.printer_status import Condition, auto_status

REPLY_BYTES_MAX = 4096


class Voice:
    """Collects replies until they are taken."""

    def __init__(self, condition: Condition, seed: int) -> None:
        self._condition = condition
        self._random = random.Random(seed)  # noqa: S311 - garbage, not a secret
        self._replies = bytearray()
        self._auto_mask = 0
        self._auto_told = b""

    def reset(self) -> None:
        """Switched off: nothing was said and automatic status is off."""
        self._replies.clear()
        self._auto_mask = 0

    def take(self) -> bytes:
        """What it has said since last asked."""
        data = bytes(self._replies)
        self._replies.clear()
        return data

    def say(self, data: bytes) -> None:
        """An answer; as garbage it is as long as the answer would be."""
        if self._condition.silent or len(self._replies) > REPLY_BYTES_MAX:
            return
        self._replies += self._random.randbytes(len(data)) if self._condition.garbage else data

    def interject(self, data: bytes) -> None:
        """Flow control, or noise on the line: not an answer, and not changed by what the printer is like."""
        self._replies += data

    def set_auto(self, mask: int) -> None:
        """Switch automatic status on, which says the state once, or off (0)."""
        self._auto_mask = mask
        self._auto_told = b""
        self.report()

    def report(self) -> None:
        """Say the state if automatic status is on and it has changed."""
        if self._auto_mask and self._condition.powered and (data := auto_status(self._condition)) != self._auto_told:
            self._auto_told = data
            self.say(data)
