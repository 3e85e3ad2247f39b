"""What the journal says of itself: rows that were damaged when the agent started."""

from agent.core.happening import Happening


class RowsDamaged(Happening, frozen=True):
    """Bits flipped on the disk. `restored` rows were made anew from the journal, `lost` ones had been closed long ago and were
    set aside; each as table and number or id. With both empty only what finds rows was damaged.
    """

    restored: tuple[str, ...]
    lost: tuple[str, ...]
