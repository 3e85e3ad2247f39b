"""The main job: a sale whose answer was lost is reversed by itself after a power cut, and its card number is gone."""

import contextlib
import json
import sqlite3

from agent import exits
from agent.journal.database import PAGE_BYTES
from agent.journal.indexes import SLICE_ROWS
from agent.journal.rows import COLUMNS
from tests.support.agent import Agent
from tests.support.app import PAN, until
from tests.support.host import Host
from tests.support.terminal import LOST_MS, transact


def test_a_lost_sale_is_reversed_by_itself_after_kill_and_restart_offline(agent: Agent, host: Host) -> None:
    app = agent.app
    status, sale = app.open("000123", 100)
    assert (status, sale["proceed"]) == (201, "go")
    host.order(set={"0200": "drop-reply"})
    assert transact(host.port, "000123", 100, timeout_ms=LOST_MS) is None
    host.order(refuse=True, cut=True)
    status, answer = app.result(sale["id"], "no_answer")
    assert (status, answer["state"], answer["advice"]["code"]) == (200, "in_doubt", "P3")
    assert host.net_debit_fen("000123") == 100

    agent.kill()
    agent.start()
    assert app.get("/v1/status")["pending_reversals"] == 1
    assert app.state(sale["id"]) in {"in_doubt", "reversing"}

    host.order(refuse=False, clear=True)
    until(lambda: app.state(sale["id"]) == "reversed")
    assert host.net_debit_fen("000123") == 0
    advice = app.get(f"/v1/transactions/{sale['id']}")["advice"]
    assert (advice["code"], advice["may_pay_again"], advice["hold_goods"]) == ("P4b", True, True)
    until(lambda: not app.get("/v1/status")["scrub_owed"])
    until(lambda: host.requests("0820"))
    assert_no_pan(agent, host)
    assert agent.stop() == 0


def test_a_doubt_whose_row_was_spoilt_on_the_disk_is_reversed_as_it_was_or_not_at_all(agent: Agent, host: Host) -> None:
    app = agent.app
    sale = doubt_and_die(agent, host, "000123")
    spoil(agent, "reversals", "000000000100", "000000000108")
    agent.start()
    host.order(refuse=False, clear=True)
    until(lambda: app.state(sale) == "reversed")
    assert host.net_debit_fen("000123") == 0
    found = next(each for each in app.get("/v1/incidents")["items"] if each["code"] == "storage")
    assert (found["owner"], found["next_action"]) == ("technician", "replace_storage")
    assert agent.cli("verify").returncode == 0

    doubt_and_die(agent, host, "000124")
    spoil(agent, "reversals", "000000000100", "000000000108")
    spoil(agent, "journal", "no_answer", "no_answes")
    agent.start(wait=False)
    assert agent.dead() == exits.STORAGE
    assert "so is the journal at entry" in agent.log.read_text()
    assert "Traceback" not in agent.log.read_text()


def test_with_every_note_of_the_journal_spoilt_the_agent_starts_and_reverses(agent: Agent, host: Host) -> None:
    sale = doubt_and_die(agent, host, "000123")
    with contextlib.closing(sqlite3.connect(agent.database)) as database, database:
        assert database.execute("UPDATE meta SET value = 'x'").rowcount >= 3
    status = agent.cli("status", "--json")
    assert (status.returncode, json.loads(status.stdout)["acknowledged_seq"]) == (0, 0)
    verify = agent.cli("verify")
    assert (verify.returncode, "meta cursor" in verify.stdout) == (exits.STORAGE, True)
    agent.start()
    host.order(refuse=False, clear=True)
    until(lambda: agent.app.state(sale) == "reversed")
    assert host.net_debit_fen("000123") == 0
    until(lambda: not agent.app.get("/v1/status")["scrub_owed"])
    assert agent.cli("verify").returncode == 0
    assert "the note `epoch` is spoilt" in agent.log.read_text()
    assert "Traceback" not in agent.log.read_text()


def test_a_closed_payment_that_a_flipped_bit_in_an_index_hides_is_found_again(agent: Agent, host: Host) -> None:
    _, sale = agent.app.open("000123", 100)
    assert transact(host.port, "000123", 100) == "00"
    assert agent.app.approve(sale["id"])[1]["state"] == "approved"
    assert agent.stop() == 0
    hide(agent, sale["id"])
    agent.start()
    assert agent.app.state(sale["id"]) == "approved"
    assert [each["code"] for each in agent.app.get("/v1/incidents")["items"]] == ["storage"]

    assert agent.stop() == 0
    bury(agent)
    hide(agent, sale["id"])
    agent.start(wait=False)
    assert agent.dead() == exits.STORAGE, "it looks at all rows while nothing happens"
    agent.start()
    assert agent.app.state(sale["id"]) == "approved"
    assert "Traceback" not in agent.log.read_text()


def hide(agent: Agent, key: str) -> None:
    """A bit of this id flips in the leaf page of an index, which is of type 10; the agent is off, and all is in the database."""
    data = bytearray(agent.database.read_bytes())
    pages = [at for at in range(0, len(data), PAGE_BYTES) if data[at] == 10]
    at = next(at for page in pages if (at := data.find(key.encode(), page, page + PAGE_BYTES)) > 0)
    data[at] ^= 1
    agent.database.write_bytes(data)


def bury(agent: Agent) -> None:
    """Since then there have been more payments than a start looks for."""
    copies = ", ".join({"number": "n", "id": "'b' || n"}.get(column, column) for column in COLUMNS["transactions"])
    with contextlib.closing(sqlite3.connect(agent.database)) as database, database:
        numbers = f"WITH RECURSIVE c(n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM c WHERE n < {1000 + SLICE_ROWS})"
        database.execute(f"{numbers} INSERT INTO transactions SELECT {copies}, body, NULL FROM transactions, c")


def doubt_and_die(agent: Agent, host: Host, stan: str) -> str:
    """The answer to a sale is lost, the line goes, and the agent is killed; the sale's id."""
    host.order(set={"0200": "drop-reply"})
    _, sale = agent.app.open(stan, 100)
    assert transact(host.port, stan, 100, timeout_ms=LOST_MS) is None
    host.order(refuse=True, cut=True)
    assert agent.app.result(sale["id"], "no_answer")[1]["state"] == "in_doubt"
    agent.kill()
    return str(sale["id"])


def spoil(agent: Agent, table: str, old: str, new: str) -> None:
    """Some bits of the newest row of this table flip."""
    with contextlib.closing(sqlite3.connect(agent.database)) as database, database:
        spoilt = f"body = CAST(replace(body, ?, ?) AS BLOB) WHERE rowid = (SELECT max(rowid) FROM {table} WHERE instr(body, ?))"
        assert database.execute(f"UPDATE {table} SET {spoilt}", (old, new, old)).rowcount == 1


def test_an_approved_sale_is_never_reversed_whatever_is_killed(agent: Agent, host: Host) -> None:
    _, sale = agent.app.open("000124", 250)
    assert transact(host.port, "000124", 250) == "00"
    assert agent.app.approve(sale["id"])[1]["state"] == "approved"
    agent.kill()
    agent.start()
    assert agent.app.state(sale["id"]) == "approved"
    assert agent.app.get(f"/v1/transactions/{sale['id']}")["reversal"] is None
    assert host.net_debit_fen("000124") == 250


def assert_no_pan(agent: Agent, host: Host) -> None:
    """The card number is nowhere in what the agent keeps, logs or tells."""
    pan = PAN.encode()
    for path in [*agent.folder.glob("reversald.db*"), agent.log, host.log]:
        assert pan not in path.read_bytes(), path
    for (body,) in sqlite3.connect(f"file:{agent.database}?mode=ro", uri=True).execute("SELECT body FROM journal"):
        assert pan not in body
    for words in (["status"], ["show", "000123"], ["incidents"]):
        done = agent.cli(*words)
        assert done.returncode == 0, done.stderr
        assert PAN not in done.stdout + done.stderr
