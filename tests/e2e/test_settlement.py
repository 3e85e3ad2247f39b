"""Settlement files through the real daemon and its command line: UTF-8, GBK, fixed width, bad lines, and a kill in between."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from agent import exits
from tests.support.agent import Agent
from tests.support.app import until
from tests.support.host import Host
from tests.support.terminal import LOST_MS, transact

LAYOUT = """\
kind = "fixed"
skip = 0
[columns]
date = [1, 10]
batch = [11, 16]
stan = [17, 22]
direction = [23, 26]
amount = [27, 38]
[values]
amount = "fen"
"""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """An agent with a sale of 1.00 (STAN 000123) that the host booked and would not reverse: the cash came instead."""
    host = Host(tmp_path)
    host.order(set={"0200": "drop-reply", "0400": "30"})
    made = Agent(tmp_path, host.port).start()
    _, opened = made.app.open("000123", 100)
    transact(host.port, "000123", 100, timeout_ms=LOST_MS)
    made.app.call("POST", f"/v1/transactions/{opened['id']}/result", {"outcome": "no_answer"})
    until(lambda: made.app.get(f"/v1/transactions/{opened['id']}")["state"] == "unresolved")
    made.app.call("POST", f"/v1/transactions/{opened['id']}/disposition", {"replaced_by": "cash", "goods": "released"})
    yield made
    made.kill()
    host.stop()


def today(agent: Agent) -> date:
    """The business day of the sale, as the agent has it."""
    shown = json.loads(agent.cli("show", "000123", "--json").stdout)["items"][0]
    local = datetime.fromtimestamp(shown["opened_at"] / 1000, UTC) + timedelta(hours=9)  # China, and the cut-off at 23:00
    return local.date()


def files(agent: Agent, day: date) -> tuple[Path, Path]:
    """The file of the day, and that of the next one with a line of another terminal."""
    first, second = agent.folder / "first.csv", agent.folder / "second.csv"
    head = "清算日期,终端,批次号,流水号,金额,交易类型\n"
    first.write_bytes((head + f"{day},12345678,000001,000123,1.00,消费\n").encode("gbk"))
    second.write_bytes((head + f"{day + timedelta(days=1)},87654321,000001,000123,1.00,消费\n").encode())
    return first, second


COLUMNS = [
    word for pair in ("date=清算日期", "terminal_id=终端", "batch=批次号", "stan=流水号", "amount=金额", "direction=交易类型")
    for word in ("--column", pair)
]


def test_two_days_of_files_a_confirmed_refund_and_the_case_is_closed(agent: Agent) -> None:
    first, second = files(agent, today(agent))
    shown = agent.cli("settle", "import", str(first), *COLUMNS, "--preview", "--json")
    assert (shown.returncode, json.loads(shown.stdout)["applied"]) == (exits.DONE, False), shown.stderr
    done = agent.cli("settle", "import", str(first), *COLUMNS, "--lang", "zh")
    assert (done.returncode, done.stdout) == (exits.DONE, "已导入 1 行:0 行相符,1 行涉及疑账;本机有而文件无 0 笔\n"), done.stderr
    wrong = agent.cli("settle", "import", str(second), *COLUMNS, "--lang", "en")
    assert (wrong.returncode, "all its lines are of other terminals (1), none of 12345678" in wrong.stderr) == (exits.USAGE, True)
    date_of = ("--date", str(today(agent) + timedelta(days=1)))
    done = agent.cli("settle", "import", str(second), *COLUMNS, *date_of, "--lang", "en")
    assert done.stdout.splitlines()[1:] == ["lines of other terminals: 1, passed over: 0", "a refund is due: 1"]
    again = agent.cli("settle", "import", str(first), *COLUMNS, "--json")
    assert json.loads(again.stdout)["new"] == 0
    refused = agent.cli("settle", "refund", "000123", "--by", "Li", "--amount", "1.00", "--lang", "en")
    assert (refused.returncode, "settle refund --confirm" in refused.stderr) == (exits.UNAVAILABLE, True)
    assert agent.cli("settle", "refund", "000123", "--by", "Li", "--confirm", "--json").returncode == exits.DONE
    closed = agent.cli("resolve", "000123", "--as", "refunded", "--by", "Li", "--note", "cash", "--json")
    assert (closed.returncode, json.loads(closed.stdout)["resolution"]) == (exits.DONE, "refunded"), closed.stderr
    shown = agent.cli("show", "000123", "--json")
    item = json.loads(shown.stdout)["items"][0]
    assert (item["state"], item["settlement"]["case"], item["refund"]["state"]) == ("resolved", "even", "done")
    assert agent.cli("verify").returncode == exits.DONE
    assert agent.cli("resolve", "000123", "--as", "no_action", "--by", "Li").returncode == exits.USAGE


def test_fixed_width_and_a_bad_line_that_stops_everything(agent: Agent) -> None:
    layout, file = agent.folder / "layout.toml", agent.folder / "file.txt"
    layout.write_text(LAYOUT)
    good = f"{today(agent)}000001000123消费{100:012d}\n".encode("gbk")
    file.write_bytes(good + b"nonsense\n" + good[:20] + b"\n")
    refused = agent.cli("settle", "import", str(file), "--layout", str(layout), "--lang", "en")
    assert refused.returncode == exits.USAGE
    assert [line.partition(", ")[2][:7] for line in refused.stderr.splitlines()[:2]] == ["line 2:", "line 3:"]
    assert "lines that cannot be taken: 2; nothing was imported" in refused.stderr
    assert json.loads(agent.cli("show", "000123", "--json").stdout)["items"][0]["settlement"] is None
    file.write_bytes(good)
    done = agent.cli("settle", "import", str(file), "--layout", str(layout), "--json")
    assert (json.loads(done.stdout)["matched"], done.returncode) == (1, exits.DONE)


def test_a_kill_in_the_middle_leaves_nothing_half_done_and_the_next_try_is_whole(agent: Agent) -> None:
    file = agent.folder / "long.csv"
    day = today(agent)
    rows = [f"{day},000001,{number:06d},1.00,debit" for number in range(200, 6200)]
    file.write_text("\n".join(["date,batch,stan,amount,direction", f"{day},000001,000123,1.00,debit", *rows]) + "\n")
    ended: list[int] = []
    command = threading.Thread(target=lambda: ended.append(agent.cli("settle", "import", str(file)).returncode))
    command.start()
    agent.kill()
    command.join(60)
    assert ended[0] in {exits.UNAVAILABLE, exits.TRY_LATER}
    dead = agent.cli("settle", "import", str(file), "--lang", "en")
    assert (dead.returncode, "is not running" in dead.stderr) == (exits.UNAVAILABLE, True)
    agent.start()
    assert json.loads(agent.cli("show", "000123", "--json").stdout)["items"][0]["settlement"] is None
    done = json.loads(agent.cli("settle", "import", str(file), "--json").stdout)
    assert (done["applied"], done["lines"], done["matched"], len(done["unmatched"])) == (True, 6001, 1, 6000)
    assert agent.cli("verify").returncode == exits.DONE
