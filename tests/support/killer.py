"""Runs the agent and kills it, as `kill -9` would, right before or right after its N-th commit.

    python -m tests.support.killer before 3 --config F

The product has no hook for this: the launcher wraps the store's commit from outside.
"""

import os
import signal
import sys
from typing import Any

from agent.__main__ import main
from agent.journal.store import Store


def arm(when: str, number: int) -> None:
    """Wrap the commit."""
    commit = Store.commit
    count = 0

    def killing(self: Store, steps: Any) -> None:
        nonlocal count
        count += 1
        if count == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, steps)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    Store.commit = killing  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["reversald", "run", *sys.argv[3:]]
    main()
