"""What every event is: frozen, journaled as it stands, and told apart by its class name."""

import msgspec


class Happening(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """A thing that happened. The tag is the class name; `transaction` names the family of rows it touches, if any."""
