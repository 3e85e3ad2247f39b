"""Runs the agent as if it were another version of itself: what an update, or the way back, looks like to the journal.

python -m tests.support.otherversion VERSION --config F
"""

import sys

from agent import service
from agent.__main__ import main


def arm(version: str) -> None:
    """Say that it is this version."""
    service.__version__ = version


if __name__ == "__main__":
    arm(sys.argv[1])
    sys.argv = ["reversald", "run", *sys.argv[2:]]
    main()
