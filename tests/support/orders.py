"""An order to a simulated device that runs as a process: one JSON object over its control socket."""

import json
import socket
from pathlib import Path
from typing import Any


def give(control: Path, do: str, **more: Any) -> dict[str, Any]:
    """Give it; how the device is after that."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(str(control))
        with line.makefile("rwb") as stream:
            stream.write(json.dumps({"do": do, **more}).encode() + b"\n")
            stream.flush()
            answer: dict[str, Any] = json.loads(stream.readline())
    return answer
