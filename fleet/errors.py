"""What can go wrong on the operator's side, and the exit code that says so.

FleetError                  exit code
├── AddressError            64   the broker's address or certificates: a mistake on the command line
├── KeyFileError            64   the key that signs commands: missing, readable by others, or no key
├── OrderError              64   a command that cannot be sent as it is
├── UnavailableError             69   the broker cannot be reached, or will not have us
└── StorageError           74   the database cannot be opened or written: nothing was acknowledged
"""


class FleetError(Exception):
    """Something that ends a command with one sentence for a person."""

    exit_code = 1


class AddressError(FleetError):
    """The broker's address or the certificates are wrong."""

    exit_code = 64


class KeyFileError(FleetError):
    """The key file is wrong, and the text says what to do."""

    exit_code = 64


class OrderError(FleetError):
    """What was ordered cannot be a command: its arguments, its size, its file."""

    exit_code = 64


class UnavailableError(FleetError):
    """The broker cannot be reached in the time given, or refuses us."""

    exit_code = 69


class StorageError(FleetError):
    """The database failed. What was not committed was not acknowledged either, and comes again."""

    exit_code = 74
