"""A bit flips in a row on disk: whatever reads it names it, leaves with 74, and says nothing by it that could cost money."""

import json
import sqlite3
from pathlib import Path

import msgspec
import pytest

from agent import exits
from agent.cli.base import NAMED_MAX
from agent.cli.gate import BARRIERS
from agent.core import event as e
from agent.journal.checked import CHUNK, DAMAGED_MAX
from agent.journal.reader import Reader
from agent.journal.rows import write
from tests.support.story import LOST, PAID, Story
from tests.support.technician import Said, say

WAYS = sorted(BARRIERS)


@pytest.fixture
def done(after: Story) -> Story:
    """The reversal is accepted and its notice printed: nothing is pending any more."""
    after.do(e.PrinterSeen(fault="none", paper="ok"))
    after.print_next()
    return after


def asked(story: Story, words: str, *more: object) -> Said:
    return say(story.config, *words.split(), *more, clock=story.clock)


# ── gate ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("what", WAYS)
def test_the_gate_does_not_open_by_a_reversal_whose_state_flipped_a_bit(what, doubt):
    """`pending` is `qending` then: nothing that is still sent, says the row."""
    doubt.spoil("reversals", b'"state":"pending"', b'"state":"qending"')
    said = asked(doubt, f"gate {what}")
    assert (said.code, "可以" in said.out) == (exits.STORAGE, False)
    assert "还不行" in said.out
    assert "记录已损坏 1 行:不能据此判断" in said.out
    assert said.err == (
        f"reversald: 有已损坏的记录,所示可能有误或不全:Reversal {LOST};请先备份 {doubt.path},再运行 reversald verify\n"
    )
    plain = asked(doubt, f"gate {what} --json --lang en")
    assert (plain.code, plain.value["open"], plain.value["damaged"]) == (exits.STORAGE, False, [f"Reversal {LOST}"])
    assert plain.value["reasons"][-1]["code"] == "damaged"
    assert plain.value["reasons"][-1]["text"].startswith("damaged rows: 1; ")


@pytest.mark.parametrize("what", WAYS)
def test_the_gate_does_not_open_for_what_a_flipped_bit_calls_closed(what, doubt):
    for table in ("reversals", "transactions"):
        doubt.hide(table)
    said = asked(doubt, f"gate {what} --json")
    assert (said.code, said.value["open"]) == (exits.STORAGE, False)
    assert said.value["damaged"] == [f"Transaction {LOST}", f"Reversal {LOST}"]


def no_roll(story):
    """As an earlier build left it: nobody told what must be there."""
    story.store.database.execute("UPDATE journal SET roll = NULL")


@pytest.mark.parametrize("what", WAYS)
def test_the_gate_does_not_open_beside_a_sale_that_a_flipped_bit_has_lost(what, tmp_path):
    story = Story(tmp_path)
    story.open(LOST, stan="000123")
    story.spoil("transactions", b'"state":"sent"', b'"state":"qent"')
    assert asked(story, f"gate {what}").code == exits.STORAGE
    story.spoil("transactions", b'"state":"qent"', b'"state"zqent"')
    story.hide("transactions")
    assert asked(story, f"gate {what}").code == exits.STORAGE, "nothing can be made of it: it may be anything"
    story.close()


def test_a_bit_that_flips_in_the_file_itself_closes_the_gate(doubt):
    """With the daemon dead and its WAL gone, one bit of the page: 0x70 becomes 0x71."""
    was, now = b'"state":"pending"', b'"state":"qending"'
    doubt.settle_wal()
    data = doubt.path.read_bytes()
    ((body,),) = sqlite3.connect(f"file:{doubt.path}?mode=ro", uri=True).execute("SELECT body FROM reversals")
    assert sum((one ^ other).bit_count() for one, other in zip(was, now, strict=True)) == 1
    assert data.count(body) == 1
    doubt.path.write_bytes(data.replace(body, body.replace(was, now)))
    said = asked(doubt, "gate upgrade --json")
    assert (said.code, said.value["open"], said.value["damaged"]) == (exits.STORAGE, False, [f"Reversal {LOST}"])


def test_the_gate_does_not_wait_for_damage_to_mend(doubt):
    """It would wait an hour, and only a start makes the row anew."""
    doubt.spoil("reversals", b'"state":"pending"', b'"state":"qending"')
    assert asked(doubt, "gate upgrade --wait 3600").code == exits.STORAGE


def test_a_case_long_closed_that_nobody_asks_for_holds_up_nothing(done):
    done.spoil("transactions", b'"amount_fen":2350', b'"amount_fen":2370', PAID)
    assert [asked(done, f"gate {what}").code for what in WAYS] == [exits.DONE] * len(WAYS)
    assert asked(done, "status").code == exits.DONE
    done.spoil("transactions", b'"state":"approved"', b'"state":"aqproved"', PAID)
    assert asked(done, "gate upgrade").code == exits.DONE, "the roll has nothing open that is not there"
    no_roll(done)
    assert asked(done, "gate upgrade").code == exits.STORAGE, "its column says closed, its body something unheard of"


def test_a_row_whose_column_says_neither_open_nor_closed_may_be_open(done):
    done.store.database.execute("UPDATE reversals SET open = NULL")
    no_roll(done)
    assert asked(done, "gate upgrade --json").value["damaged"] == [f"Reversal {LOST}"]


def test_every_row_is_looked_at_before_the_gate_opens(done):
    """Also the one behind the first chunk, where no roll says what is open."""
    database = done.store.database
    no_roll(done)
    with Reader.open(done.path) as reader:
        row = reader.transaction(LOST)
    for number in range(1000, 1000 + CHUNK):
        write(database, msgspec.structs.replace(row, number=number, id=f"{number:08d}-0000-4000-8000-000000000000"))
    assert asked(done, "gate upgrade").code == exits.DONE
    last = msgspec.structs.replace(row, number=9999, id=PAID.replace("3f", "4f"), state="in_doubt")
    write(database, last)
    done.hide("transactions", last.id)
    assert asked(done, "gate upgrade --json").value["damaged"] == [f"Transaction {last.id}"]


# ── status, incidents, tail ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("table", "kind"), [("reversals", "Reversal"), ("transactions", "Transaction")])
def test_status_names_what_a_flipped_bit_leaves_out_of_its_counts(doubt, table, kind):
    doubt.hide(table)
    said = asked(doubt, "status --json")
    assert (said.code, said.value["damaged"]) == (exits.STORAGE, [f"{kind} {LOST}"])


def test_an_open_incident_that_a_flipped_bit_calls_closed_is_named(doubt):
    key = doubt.incident("in_doubt", LOST).id
    doubt.hide("incidents", key)
    said = asked(doubt, "incidents --open")
    assert (said.code, said.out) == (exits.STORAGE, ""), "not: no open incidents"
    assert f"Incident {key}" in said.err
    plain = asked(doubt, "incidents --open --json")
    assert (plain.code, plain.value["items"], plain.value["damaged"]) == (exits.STORAGE, [], [f"Incident {key}"])


def test_a_damaged_incident_is_listed_and_named(doubt):
    key = doubt.incident("in_doubt", LOST).id
    doubt.spoil("incidents", b'"owner":"cashier"', b'"owner":"casxier"', key)
    for words in ("incidents", "incidents --open"):
        plain = asked(doubt, f"{words} --json")
        assert (plain.code, plain.value["damaged"]) == (exits.STORAGE, [f"Incident {key}"])
    english = asked(doubt, "incidents --lang en")
    assert (english.code, f"so this may be wrong or incomplete: Incident {key}; " in english.err) == (exits.STORAGE, True)


def test_the_amount_beside_an_incident_is_that_of_a_sound_row_or_named(doubt):
    doubt.spoil("transactions", b'"amount_fen":100', b'"amount_fen":900')
    said = asked(doubt, "incidents")
    assert (said.code, f"Transaction {LOST}" in said.err) == (exits.STORAGE, True)


def test_an_incident_that_cannot_be_read_does_not_end_the_list_before_its_end(after):
    """A page of one: the newest cannot be read, and the older one is still to be had."""
    newest, oldest = (row["id"] for row in asked(after, "incidents --json").value["items"])
    after.spoil("incidents", b'"owner"', b'"ow\x00er"', newest)
    first = asked(after, "incidents --json --limit 1").value
    assert (first["items"], first["damaged"]) == ([], [f"Incident {newest}"])
    (item,) = asked(after, f"incidents --json --limit 1 --before {first['next']}").value["items"]
    assert item["id"] == oldest


def test_tail_names_the_row_whose_stan_it_shows(after):
    assert asked(after, "tail").code == exits.DONE
    after.spoil("transactions", b'"stan":"000123"', b'"stan":"000122"')
    said = asked(after, "tail")
    assert (said.code, f"Transaction {LOST}" in said.err) == (exits.STORAGE, True)
    assert "发送回响测试" in said.out


@pytest.mark.parametrize(
    "words", ["show 000123", "bundle 000123 --output -", "print reprint 000123", "resolve 000123 --as no_action --by Li"]
)
def test_what_is_open_and_lost_its_stan_is_not_said_to_be_nowhere(doubt, words):
    assert asked(doubt, words.replace("000123", "000124")).code == exits.USAGE
    doubt.store.database.execute("UPDATE transactions SET stan = '000122' WHERE id = ?", (LOST,))
    said = asked(doubt, words)
    assert (said.code, said.out) == (exits.STORAGE, "")
    assert f"Transaction {LOST}" in said.err
    assert f"Transaction {LOST}" in asked(doubt, "show 000122").err, "and who asks for its neighbour is told which is damaged"


# ── what leaves the terminal ─────────────────────────────────────────────────────────────────────────────────────────


def exported(story: Story, format_: str) -> tuple[Said, Path]:
    path = story.folder / f"out.{format_}"
    return asked(story, f"export --format {format_} --json --output", path), path


def test_the_page_that_is_exported_says_first_which_rows_are_damaged(doubt):
    key = doubt.incident("in_doubt", LOST).id
    doubt.spoil("incidents", b'"owner"', b'"ow\x00er"', key)  # it is in no table of the page
    said, path = exported(doubt, "html")
    assert (said.code, said.value["damaged"]) == (exits.STORAGE, [f"Incident {key}"])
    page = path.read_text()
    assert f"<h2>本机存储有损坏,本页所示可能有误或不全</h2>\n<p>损坏的记录: Incident {key}</p>" in page
    assert page.index(key) < page.index("<table>")
    assert page.endswith("</body></html>\n"), "what is sound leaves the terminal while the storage can still be read"


def test_the_sqlite_that_is_exported_names_the_damaged_rows_in_a_table(doubt):
    doubt.spoil("transactions", b'"amount_fen":100', b'"amount_fen":900')
    doubt.spoil("reversals", b'"state"', b'"st\x00te"')
    said, path = exported(doubt, "sqlite")
    names = [f"Transaction {LOST}", f"Reversal {LOST}"]
    assert (said.code, said.value["damaged"]) == (exits.STORAGE, names)
    with sqlite3.connect(path) as database:
        assert sorted(row for (row,) in database.execute("SELECT row FROM damaged")) == sorted(names)
        assert database.execute("SELECT count(*) FROM timeline").fetchone() == (doubt.store.seq,)
    database.close()


def test_a_sound_export_names_none(doubt):
    said, path = exported(doubt, "sqlite")
    assert (said.code, said.value["damaged"]) == (exits.DONE, [])
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM damaged").fetchone() == (0,)
    database.close()
    _, page = exported(doubt, "html")
    assert "损坏" not in page.read_text()


@pytest.mark.parametrize("format_", ["jsonl", "csv"])
def test_lines_rest_on_the_journal_and_on_the_row_that_says_what_time_it_is_here(doubt, format_):
    doubt.spoil("transactions", b'"amount_fen":100', b'"amount_fen":900')
    assert exported(doubt, format_)[0].code == exits.DONE
    doubt.spoil("singles", b'"boots":1', b'"boots":3', "agent")
    said = asked(doubt, f"export --format {format_} --output -")
    assert (said.code, "Agent agent" in said.err) == (exits.STORAGE, True)
    assert len(said.out.splitlines()) >= doubt.store.seq


@pytest.mark.parametrize("format_", ["html", "text"])
def test_the_bundle_names_the_damaged_rows_and_advises_nothing(doubt, format_):
    doubt.spoil("transactions", b'"state":"in_doubt"', b'"state":"reversed"')
    said = asked(doubt, f"bundle 000123 --format {format_} --output -")
    assert said.code == exits.STORAGE
    for text in ("本机存储有损坏,本页所示可能有误或不全", f"Transaction {LOST}", "记录已损坏,不作建议:暂勿交货,勿重新收款"):
        assert text in said.out, text
    assert "重新刷卡" not in said.out
    plain = asked(doubt, f"bundle 000123 --format {format_} --json --output", doubt.folder / "case")
    assert (plain.code, plain.value["damaged"]) == (exits.STORAGE, [f"Transaction {LOST}"])
    sound = asked(doubt, f"bundle 000122 --format {format_} --output -")
    assert (sound.code, "损坏" in sound.out) == (exits.DONE, False)


def test_a_terminal_with_a_damaged_row_does_not_go_to_the_workshop(done):
    assert asked(done, "print repair --json").value["may_be_sent"] is True
    done.store.database.execute("UPDATE reversals SET open = 1")
    said = asked(done, "print repair")
    assert (said.code, "可以送修" in said.out) == (exits.STORAGE, False)
    assert "还有未了结的事" in said.out
    plain = asked(done, "print repair --json")
    assert (plain.value["may_be_sent"], plain.value["damaged"]) == (False, [f"Reversal {LOST}"])


def test_the_repair_note_names_what_a_flipped_bit_leaves_out_of_it_beside_what_it_lists(doubt):
    doubt.hide("transactions")
    plain = asked(doubt, "print repair --json")
    assert (plain.code, plain.value["transactions"], plain.value["pending_reversals"]) == (exits.STORAGE, [], 1)
    assert plain.value["damaged"] == [f"Transaction {LOST}"]


# ── what is done with a transaction ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "words",
    [
        "resolve {} --as refunded --by Li", "print reprint {}", "print guarantee {}", "settle refund {} --by Li --confirm",
    ],
)
def test_nothing_is_ordered_for_a_transaction_that_may_be_another(doubt, words):
    """A bit in its STAN: it answers to the number of its neighbour. Asked for before the daemon is, which is not running here."""
    doubt.spoil("transactions", b'"stan":"000123"', b'"stan":"000122"')
    said = asked(doubt, words.format(LOST))
    assert (said.code, said.out) == (exits.STORAGE, "")
    assert said.err == (
        f"reversald: 日志已损坏 {doubt.path}:Transaction {LOST};请先备份此文件,再运行 reversald verify\n"
    )
    if "resolve" not in words:  # that one has no open case
        assert asked(doubt, words.format(PAID)).code == exits.UNAVAILABLE


def test_an_incident_that_may_be_another_is_not_closed(doubt):
    key = doubt.incident("in_doubt", LOST).id
    doubt.spoil("incidents", b'"code":"in_doubt"', b'"code":"in_dourt"', key)
    for which in (key, LOST):
        assert asked(doubt, f"resolve {which} --as no_action --by Li").code == exits.STORAGE


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_of_very_many_damaged_rows_a_person_reads_ten_and_a_program_a_hundred(doubt):
    number = 1000
    for at in range(DAMAGED_MAX + 5):
        doubt.store.database.execute(
            'INSERT INTO incidents SELECT ?, ?, open, state, "transaction", code, body, crc FROM incidents WHERE number < 1000',
            (number + at, f"{at:08d}-0000-4000-8000-000000000000"),
        )
    said = asked(doubt, "status --json")
    assert (said.code, len(json.loads(said.out)["damaged"])) == (exits.STORAGE, DAMAGED_MAX)
    line = said.err.split("verify")[0]
    assert (line.count("Incident "), "…" in line) == (NAMED_MAX, True)
