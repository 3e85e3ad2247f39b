"""The fleet's signed commands as they are remembered: which ids were taken, what came of each, and what time they prove.

One row for all of them, and a small one: an id is kept as long as its command could still be taken for valid, and no longer.
"""

from typing import Any

import msgspec

KEPT_MAX = 48  # commands that have not expired: a fleet that has more to say waits
OPEN_MAX = 4  # of them at work outside the core


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One command. `digest` tells whether another one comes under the same id; `args` are kept while it is at work.

    `said` is its last word: `{"result": …}`, or `{"why": …}` with a stable code.
    """

    id: str
    name: str
    digest: str
    expires_ms: int
    state: str
    transaction: str | None = None
    correlation: str | None = None
    args: dict[str, Any] = {}
    said: dict[str, Any] = {}

    @property
    def at_work(self) -> bool:
        """True while something outside the core has still to be done for it."""
        return self.state == "accepted"


class Notice(msgspec.Struct, frozen=True):
    """What the fleet has to say to the cashier, in both languages, until `until_ms` of this boot's time."""

    zh: str
    en: str
    boot: int
    until_ms: int


class CommandBook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every command that is remembered, oldest first.

    `proved_ms`: the youngest "not before" that was signed and taken under a clock that was to be trusted; what expired
    before it has expired, whatever a clock says. `floor_ms`: the latest expiry of a command whose id was forgotten; nothing
    that expires at or before it is taken, so that a clock that is set back opens no door. `config_version` is that of the
    last configuration that was put in force. `notice` is the newest message to the cashier.
    """

    id: str = "commands"
    taken: tuple[Command, ...] = ()
    proved_ms: int = 0
    floor_ms: int = 0
    config_version: int = 0
    notice: Notice | None = None
    open: bool = True

    def find(self, key: str) -> Command | None:
        """The command of this id, if it is remembered."""
        for each in self.taken:
            if each.id == key:
                return each
        return None
