"""Runs the agent with another wall clock or another boot: what a power cut over midnight, or a lost RTC, looks like.

python -m tests.support.otherclock WALL_OFFSET_MS|none|@FILE BOOT_ID --config F

With @FILE the offset is read from the file at every look, so that a test can step the clock of a running agent.
"""

import sys
from pathlib import Path

from agent.__main__ import main
from device.clock import Reading, SystemClock


def arm(said: str, boot_id: str) -> None:
    """Wrap the clock."""
    read = SystemClock.read

    def shifted(self: SystemClock) -> Reading:
        now = read(self)
        offset = Path(said[1:]).read_text() if said.startswith("@") else said
        if offset == "none" or now.wall_ms is None:
            return Reading(boot_id, now.boottime_ms, None, "none")
        return Reading(boot_id, now.boottime_ms, now.wall_ms + int(offset), now.clk)

    SystemClock.read = shifted  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(sys.argv[1], sys.argv[2])
    sys.argv = ["reversald", "run", *sys.argv[3:]]
    main()
