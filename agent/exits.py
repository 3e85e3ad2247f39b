"""The exit codes that other programs rely on: the BSD sysexits this product uses, and no others."""

from typing import Final

DONE: Final = 0
USAGE: Final = 64  # the command line was wrong
UNAVAILABLE: Final = 69  # a device or a service is not there
STORAGE: Final = 74  # the disk failed: what the last commit did is unknown until the journal is read again
TRY_LATER: Final = 75  # not yet: something is pending
CONFIGURATION: Final = 78  # a mistake in the configuration, named on standard error
