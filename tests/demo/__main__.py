"""`./dev demo`: the whole house as real processes, one story, and a comparison of the books at its end.

With --json the last line is one JSON object. The exit code is not 0 when a single fen or event is different.
"""

import argparse
import sys
from pathlib import Path

import msgspec

from tests.demo.audit import delivered, judge
from tests.demo.stage import Stage
from tests.demo.story import Story
from tests.support.app import until

FOLDER = Path("var/demo")


def main() -> int:
    """Play, compare, tell."""
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line of its own")
    options = parser.parse_args()
    with Stage(FOLDER.absolute()) as stage:
        story = Story(stage)
        story.play()
        database = stage.agent.database
        until(lambda: delivered(database))
        until(lambda: stage.settled_receipts())
        verdict = judge(stage.host.ledger(), database, stage.ingested(), stage.receipts)
        story.tell("fleet", f"{verdict.events_ingested} of {verdict.events_sent} events ingested, each once")
        for line in stage.watched()[-12:]:
            story.tell("fleet", line)
        print(stage.agent.cli("status").stdout)
        print(stage.agent.cli("show", "000102").stdout)
    _conclude(verdict, stage)
    if options.json:
        print(msgspec.json.encode(verdict).decode())
    return 0 if verdict.ok else 1


def _conclude(verdict: object, stage: Stage) -> None:
    values = msgspec.to_builtins(verdict)
    print("books against journal: " + ", ".join(f"{name} {value}" for name, value in values.items() if name != "receipts"))
    print(f"receipts (PNG)  {stage.receipts}")
    print(f"journal         {stage.agent.database}   (reversald show 000102 --config {stage.agent.config})")
    print(f"agent's log     {stage.agent.log}")
    print(f"fleet           {stage.fleet_database}")


if __name__ == "__main__":
    sys.exit(main())
