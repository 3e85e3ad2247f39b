"""`status`, `incidents`, `show`, `tail`, `verify` as a technician meets them: the words, the JSON, the exit codes."""

import hashlib
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from agent import exits
from agent.cli.commands import COMMANDS, cli
from agent.cli.texts import TEXTS
from agent.core import event as e
from tests.support.story import LOST, PAID, PAN, Story
from tests.support.technician import ROOT, run, say

READING = ("status", "incidents", "tail", "verify", f"show {LOST}")


# ── status ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_status_says_what_is_pending_and_how_much_money_is_in_doubt(doubt):
    doubt.pass_(12 * 60_000)
    said = say(doubt.config, "status", clock=doubt.clock)
    assert said.code == exits.DONE
    assert "待冲正    1 笔,最早 12分5秒\n" in said.out
    assert "疑账金额  1.00元(1 笔)\n" in said.out
    assert "未结事件  1 件\n" in said.out
    assert "线路      不通\n" in said.out
    assert "程序      未运行,以下为最后的记录,版本 1,第 1 次开机\n" in said.out
    english = say(doubt.config, "status", "--lang", "en", clock=doubt.clock).out
    assert "reversals  1 pending, the oldest for 12 min 5 s\n" in english
    assert "in doubt   CNY 1.00 (transactions: 1)\n" in english


def test_status_says_of_each_of_several_terminal_ids_where_its_batch_stands(doubt):
    assert "批次      000001 开放\n" in say(doubt.config, "status", clock=doubt.clock).out
    doubt.do(e.BatchChanged(batch="000009", what="settling", terminal_id="87654321"))
    said = say(doubt.config, "status", "--lang", "en", clock=doubt.clock).out
    assert "12345678: 000001 open, 87654321: 000009 settling\n" in said
    value = say(doubt.config, "status", "--json", clock=doubt.clock).value
    assert (value["batch"], value["batch_state"]) == ("000001", "open"), "that of the configured terminal id"
    assert value["batches"][1] == {"terminal_id": "87654321", "batch": "000009", "batch_state": "settling"}
    assert "批次 000009(87654321) 开始结算" in say(doubt.config, "tail", clock=doubt.clock).out


def test_status_json_has_the_names_of_the_local_api(doubt):
    from agent.hooks.body import Status

    value = say(doubt.config, "status", "--json", clock=doubt.clock).value
    assert set(Status.__struct_fields__) <= set(value)
    assert value["daemon"] == "stopped"
    assert (value["pending_reversals"], value["money_in_doubt_fen"], value["oldest_pending_ms"]) == (1, 100, 5_000)
    assert (value["journal_seq"], value["journal_hash"]) == (doubt.store.seq, doubt.store.hash.hex())


def test_the_age_of_what_is_pending_is_told_across_a_power_cut_by_the_wall_clock_and_not_guessed_without_one(doubt):
    doubt.pass_(60_000)
    reading = doubt.clock()
    other = reading._replace(boot_id="another boot", boottime_ms=10)
    assert say(doubt.config, "status", "--json", clock=lambda: other).value["oldest_pending_ms"] == 65_000
    lost = other._replace(wall_ms=None, clk="none")
    assert say(doubt.config, "status", "--json", clock=lambda: lost).value["oldest_pending_ms"] is None
    assert "最早 时间不明" in say(doubt.config, "status", clock=lambda: lost).out


def test_status_of_a_quiet_terminal(after):
    said = say(after.config, "status", "--lang", "en").out
    assert "reversals  none pending\n" in said
    assert "in doubt   CNY 0.00\n" in said
    assert "printer    out of paper, no paper; 1 waiting\n" in said
    assert "line       up\n" in said


# ── incidents ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_incidents_name_owner_and_next_action_or_how_they_were_closed(after):
    out = say(after.config, "incidents").out
    number = after.incident("in_doubt", LOST).id[:8].upper()
    assert f"{number}  已结  交易状态不明  流水号 000123  1.00元\n" in out
    assert "2026-03-02 10:01:10 起,2026-03-02 10:05:31 结:已冲正" in out
    assert "负责 收银员,下一步:查看打印机" in out
    only_open = say(after.config, "incidents", "--open", "--lang", "en").out
    assert number not in only_open
    assert "owner cashier, next: look at the printer" in only_open


def test_incidents_come_in_pages_that_say_how_to_go_on(after):
    first = say(after.config, "incidents", "--limit", "1").out
    before = re.findall(r"reversald incidents --before (\d+)", first)
    second = say(after.config, "incidents", "--limit", "1", "--before", before[0]).out
    assert "打印机异常" in first
    assert "交易状态不明" in second
    assert "--before" not in second


def test_incidents_json_has_the_names_of_the_local_api(after):
    from agent.hooks.body import IncidentItem

    value = say(after.config, "incidents", "--json", "--limit", "1").value
    assert [set(item) for item in value["items"]] == [set(IncidentItem.__struct_fields__)]
    assert value["next"] == value["items"][0]["number"]


def test_no_incidents_is_said(tmp_path):
    story = Story(tmp_path)
    assert say(story.config, "incidents").out == "没有事件\n"
    assert say(story.config, "incidents", "--open", "--lang", "en").out == "no open incidents\n"
    story.close()


# ── show ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_show_tells_state_advice_reversal_and_the_whole_story(after):
    out = say(after.config, "show", "000123", clock=after.clock).out
    for line in (
        "消费 1.00元  流水号 000123  批次 000001  终端 12345678\n",
        "  状态    冲正成功\n",
        "  提示    P4b 冲正成功,请重新刷卡\n",
        "          原交易1.00元(尾号0128)冲正已受理,到账以发卡行为准。\n",
        "  再付款  可以\n",
        "  冲正    已受理,已发送 1 次,应答码 00\n",
        "  打印    冲正通知: 等待打印\n",
        "    2026-03-02 10:01:10  状态不明:主机无应答,金额 1.00元\n",
        "  · 2026-03-02 10:05:10  程序启动,版本 1(机器重新开机)\n",
        "    2026-03-02 10:05:31  冲正已受理 1.00元,应答码 00,共发送 1 次\n",
    ):
        assert line in out, line
    assert "000122" not in out, "another transaction's story"


def test_show_uses_the_merchants_own_words(after):
    (after.folder / "own.toml").write_text('[P4b]\nzh = "已受理,请重新刷卡"\n')
    after.config.write_text(after.config.read_text().replace("[terminal]", '[terminal]\ntexts = "own.toml"'))
    assert "  提示    P4b 已受理,请重新刷卡\n" in say(after.config, "show", "000123", clock=after.clock).out


def test_show_finds_by_id_part_of_it_incident_number_and_slip(after):
    number = after.incident("in_doubt", LOST).id[:8].upper()
    wanted = say(after.config, "show", LOST, "--json").value
    for words in ("123", LOST[:20], number, f"RV1:{number}:12345678:000001:000123"):
        if words != LOST[:20]:
            assert say(after.config, "show", words, "--json").value == wanted, words
    both = say(after.config, "show", LOST[:20], "--json").value
    assert {item["id"] for item in both["items"]} == {PAID, LOST}


def test_show_lists_every_transaction_that_had_the_stan(after):
    after.open("again", stan="000123", batch="000002")
    assert [item["id"] for item in say(after.config, "show", "000123", "--json").value["items"]] == ["again", LOST]
    out = say(after.config, "show", "000123").out
    assert out.count("流水号 000123  批次") == 2


def test_show_json_has_the_names_of_the_local_api_and_the_timeline(after):
    from agent.hooks.body import Detail

    (item,) = say(after.config, "show", LOST, "--json", "--lang", "en").value["items"]
    assert set(Detail.__struct_fields__) <= set(item)
    assert item["advice"]["code"] == "P4b"
    assert item["reversal"]["state"] == "accepted"
    assert [line["type"] for line in item["timeline"]][:3] == ["transaction.opened", "transaction.sent", "line.down"]


def test_show_of_a_void_knows_what_its_original_was(tmp_path):
    story = Story(tmp_path)
    story.open("sale", stan="000001")
    story.result("approved", "sale", response_code="00")
    story.void("void", stan="000002")
    story.result("declined", "void", response_code="51")
    (item,) = say(story.config, "show", "2", "--json").value["items"]
    assert item["advice"]["hold_goods"] is False
    story.close()


@pytest.mark.parametrize("words", ["999999", "nothing", "deadbeef", ""])
def test_what_is_not_there_is_said_with_what_to_type(after, words):
    said = say(after.config, "show", words, "--lang", "en")
    assert (said.code, said.out) == (exits.USAGE, "")
    assert said.err.startswith("reversald: nothing found for")
    assert len(said.err.splitlines()) == 1


def test_a_card_number_is_refused_and_never_repeated(after):
    for words in (["show", PAN], ["show", "1", PAN], ["show", f"--{PAN}"], [PAN], ["incidents", "--before", PAN]):
        said = say(None, *words) if words[0] == PAN else say(after.config, *words)
        assert said.code == exits.USAGE, words
        assert len(said.err.splitlines()) == 1
    assert "请勿输入卡号" in say(after.config, "show", PAN).err


# ── tail ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tail_shows_the_newest_with_their_stan(after):
    lines = say(after.config, "tail", "-n", "4").out.splitlines()
    assert lines[-1] == "2026-03-02 10:05:32  ------  回响测试成功,应答码 00"
    assert lines[0].startswith("2026-03-02 10:05:31  000123  ")
    assert len(lines) == 4
    assert say(after.config, "tail", "-n", "0").out == ""


def test_tail_json_is_one_object_a_line(after):
    lines = [json.loads(line) for line in say(after.config, "tail", "-n", "3", "--json").out.splitlines()]
    assert [line["seq"] for line in lines] == [after.store.seq - 2, after.store.seq - 1, after.store.seq]
    assert {"at", "text", "type", "transaction", "wall_ms", "mono_ms", "boot"} <= set(lines[0])


def test_tail_follows_a_daemon_that_writes_until_it_is_interrupted(doubt):
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "tail", "-n", "1", "-f", "--json", "--config", str(doubt.config)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["type"] == "reversal.opened"
        doubt.connect(after_failure=True)
        assert json.loads(process.stdout.readline())["type"] == "line.up"
        assert json.loads(process.stdout.readline())["type"] == "reversal.sent"
        time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (exits.DONE, "")


# ── verify ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_verify_says_that_all_is_whole_and_gives_the_head_to_note(after):
    said = say(after.config, "verify")
    assert said.code == exits.DONE
    assert said.out.startswith(f"日志完整:{after.store.seq} 条,")
    head = f"{after.store.seq}:{after.store.hash.hex()}"
    assert f"头 {head}\n" in said.out
    assert say(after.config, "verify", "--head", head).code == exits.DONE
    value = say(after.config, "verify", "--json").value
    assert (value["ok"], value["findings"], value["entries"]) == (True, [], after.store.seq)


def test_verify_names_the_place_of_each_damage_and_exits_74(after):
    after.settle_wal()
    connection = sqlite3.connect(after.path)
    connection.execute("UPDATE journal SET body = replace(body, '\"amount_fen\":2350', '\"amount_fen\":2359') WHERE seq = 3")
    connection.execute("UPDATE transactions SET state = 'approved' WHERE stan = '000123'")
    connection.commit()
    connection.close()
    said = say(after.config, "verify", "--lang", "en")
    assert said.code == exits.STORAGE
    assert said.out.splitlines() == [
        "the journal is damaged in 2 places",
        f"  rows: search columns differ from the row: Transaction {LOST}",
        "  entry 3: this entry or the one before it was changed",
        "the chain is broken, so nothing was replayed",
    ]
    assert say(after.config, "verify").out.startswith("日志有 2 处损坏\n")
    value = say(after.config, "verify", "--json")
    assert value.code == exits.STORAGE
    assert [finding["seq"] for finding in value.value["findings"]] == [0, 3]


def test_verify_sees_a_tail_that_was_cut_off_when_it_is_given_the_head(after):
    head = f"{after.store.seq}:{after.store.hash.hex()}"
    after.settle_wal()
    connection = sqlite3.connect(after.path)
    connection.execute(f"DELETE FROM journal WHERE seq > {after.store.seq - 1}")
    connection.commit()
    connection.close()
    said = say(after.config, "verify", "--head", head, "--lang", "en")
    assert said.code == exits.STORAGE
    assert f"entry {after.store.seq}: the tail was cut off" in said.out


@pytest.mark.parametrize("group", ["print", "settle", "simulate"])
def test_a_group_without_its_command_names_those_there_are_in_one_line(group):
    said = say(None, group)
    assert said.code == exits.USAGE
    assert re.fullmatch(rf"reversald: 缺少 [a-z|]+;用法见 reversald {group} --help\n", said.err)


def test_a_head_that_is_none_is_a_usage_error(after):
    for head in ("5", "x:y", "0:" + "0" * 64, "5:" + "0" * 63):
        assert say(after.config, "verify", "--head", head).code == exits.USAGE


# ── what every command does alike ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("words", READING)
def test_every_reading_command_speaks_both_languages_and_json(after, words):
    english = say(after.config, *words.split(), "--lang", "en", clock=after.clock)
    chinese = say(after.config, *words.split(), "--lang", "zh", clock=after.clock)
    assert (english.code, chinese.code) == (exits.DONE, exits.DONE)
    assert english.out != chinese.out
    assert re.search(r"[\u4e00-\u9fff]", chinese.out)
    assert not re.search(r"[\u4e00-\u9fff]", english.out.replace("测试便利店", ""))
    for line in say(after.config, *words.split(), "--json").out.splitlines():
        json.loads(line)


def test_the_language_is_the_configurations_own_unless_another_is_asked_for(after):
    after.config.write_text(after.config.read_text().replace("[terminal]", '[terminal]\nlang = "en"'))
    assert "terminal " in say(after.config, "status").out
    assert "终端" in say(after.config, "status", "--lang", "zh").out


@pytest.mark.parametrize("words", READING)
def test_every_reading_command_says_when_there_is_no_journal(tmp_path, words):
    story = Story(tmp_path / "..")
    story.close()
    (tmp_path / "empty.toml").write_text('[acquirer]\nhost = "127.0.0.1"\n')
    said = say(tmp_path / "empty.toml", *words.split())
    assert (said.code, said.out) == (exits.UNAVAILABLE, "")
    assert said.err.startswith("reversald: 还没有日志 ")
    assert len(said.err.splitlines()) == 1


def test_a_row_that_its_sum_does_not_bear_out_is_shown_and_named_and_the_exit_code_is_74(doubt):
    doubt.spoil("transactions", b'"amount_fen":100', b'"amount_fen":900')
    for words in (f"show {LOST}", "status"):
        said = say(doubt.config, *words.split(), clock=doubt.clock)
        assert (said.code, "9.00元" in said.out) == (exits.STORAGE, True)
        assert said.err == (
            f"reversald: 有已损坏的记录,所示可能有误或不全:Transaction {LOST};请先备份 {doubt.path},再运行 reversald verify\n"
        )
    english = say(doubt.config, "show", LOST, "--lang", "en")
    assert english.err.startswith("reversald: damaged rows, so this may be wrong or incomplete: Transaction ")
    for words in (f"show {LOST} --json", "status --json"):
        said = say(doubt.config, *words.split())
        assert (said.code, said.value["damaged"]) == (exits.STORAGE, [f"Transaction {LOST}"])


def test_nothing_is_advised_by_a_row_that_may_be_wrong(doubt):
    """A bit that flips in its state makes a doubt a payment that was reversed: pay again, it would say."""
    doubt.spoil("transactions", b'"state":"in_doubt"', b'"state":"reversed"')
    said = say(doubt.config, "show", LOST)
    assert "提示" in said.out
    assert "记录已损坏,不作建议:暂勿交货,勿重新收款" in said.out
    assert "重新刷卡" not in said.out
    assert say(doubt.config, "show", LOST, "--json").value["items"][0]["advice"] is None


def test_a_row_that_nothing_can_be_made_of_is_left_out_and_what_is_sound_is_shown(doubt):
    doubt.spoil("reversals", b'"state"', b'"st\x00\x00e"')
    said = say(doubt.config, "show", LOST, "--json")
    assert (said.code, said.value["damaged"]) == (exits.STORAGE, [f"Reversal {LOST}"])
    (item,) = said.value["items"]
    assert (item["stan"], item["reversal"], len(item["incidents"])) == ("000123", None, 1)
    doubt.spoil("transactions", b'"state"', b'"st\x00\x00e"')
    said = say(doubt.config, "show", LOST, "--lang", "en")
    assert (said.code, said.out) == (exits.STORAGE, ""), "it is there, and cannot be read: not that there is none"
    assert "is damaged" in said.err
    doubt.spoil("singles", b'"printed":1', b'"printed":x', "printer")
    status = say(doubt.config, "status", "--json")
    assert (status.code, status.value["damaged"]) == (
        exits.STORAGE, ["Printer printer", f"Transaction {LOST}", f"Reversal {LOST}"],
    )


@pytest.mark.parametrize(("table", "kind"), [("incidents", "Incident"), ("jobs", "Job")])
def test_status_looks_at_the_sums_of_all_that_it_counts(after, table, kind):
    after.store.database.execute(f"UPDATE {table} SET crc = crc + 1 WHERE number = (SELECT max(number) FROM {table} WHERE open)")
    said = say(after.config, "status", "--json")
    assert said.code == exits.STORAGE
    assert [name.split()[0] for name in said.value["damaged"]] == [kind]


def test_a_journal_of_before_there_were_sums_has_none_to_miss(doubt):
    doubt.store.database.execute("UPDATE transactions SET crc = NULL")
    assert say(doubt.config, "show", LOST).code == exits.DONE


def test_of_another_transaction_nothing_is_said(after):
    after.spoil("transactions", b'"stan":"000123"', b'"stan":"000128"')
    for words, code in ((f"show {PAID}", exits.DONE), (f"show {LOST}", exits.STORAGE)):
        assert say(after.config, *words.split()).code == code


def test_a_damaged_journal_is_one_line_and_exit_code_74(after):
    after.settle_wal()
    after.path.write_bytes(b"not a database" * 999)
    for words in READING:
        said = say(after.config, *words.split(), "--lang", "en")
        assert said.code == exits.STORAGE
        assert said.err.startswith("reversald: the journal ")
        assert len(said.err.splitlines()) == 1


def test_a_wrong_configuration_is_a_line_for_each_mistake_and_exit_code_78(after):
    after.config.write_text('[terminal]\nsn = ""\nlang = "fr"\n')
    said = say(after.config, "status", "--lang", "en")
    assert said.code == exits.CONFIGURATION
    assert all(line.startswith(f"reversald: {after.config}: ") for line in said.err.splitlines())
    assert len(said.err.splitlines()) >= 2
    assert say(after.config.with_name("none.toml"), "status").code == exits.CONFIGURATION


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "no such command: nonsense; see reversald --help"),
        (["statu"], "no such command: statu; did you mean status?; see reversald --help"),
        (["show"], "ID|STAN is missing; see reversald show --help"),
        (["show", "1", "2"], "Got unexpected extra argument (2); see reversald show --help"),
        (["status", "--jsn"], "no such option: --jsn"),
        (["status", "--lang", "fr"], "--lang is not right: "),
        (["incidents", "--limit", "0"], "--limit is not right: "),
        (["gate", "upgrade", "--wait", "-1"], "--wait is not right: "),
        (["completion", "tcsh"], "SHELL is not right: "),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_64(words, message, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    said = say(None, *words)
    assert said.code == exits.USAGE
    assert said.err.startswith(f"reversald: {message}")
    assert len(said.err.splitlines()) == 1


def test_a_wrong_command_line_is_told_in_the_language_that_was_asked_for():
    assert say(None, "show", "--lang", "zh").err == "reversald: 缺少 ID|STAN;用法见 reversald show --help\n"
    assert say(None, "show", "--lang=en").err.startswith("reversald: ID|STAN is missing")


def test_without_a_configuration_the_file_beside_is_taken_and_else_the_defaults(after, monkeypatch):
    monkeypatch.chdir(after.folder)
    assert "测试便利店" in say(None, "status").out
    after.config.rename(after.folder / "other.toml")
    assert say(None, "status").code == exits.DONE


def test_every_text_is_there_in_both_languages_with_the_same_values_and_is_used():
    sources = "".join(path.read_text() for path in (ROOT / "agent").rglob("*.py"))
    for key, (zh, en) in TEXTS.items():
        assert set(re.findall(r"\{(\w+)\}", zh)) == set(re.findall(r"\{(\w+)\}", en)), key
        made = any(key.startswith(start) for start in re.findall(r"""say\(f["'](\w+_)\{""", sources))
        assert made or re.search(rf"""["']{key}["'](?!: \()""", sources), key


# ── as processes ─────────────────────────────────────────────────────────────────────────────────────────────────────


def files(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_beside_a_live_daemon_a_process_reads_without_changing_one_byte(doubt):
    before = files(doubt.folder)
    assert run(doubt.config, "status", "--json").value["journal_read"] == "shared"
    for words in READING:
        assert run(doubt.config, *words.split()).code == exits.DONE
    assert files(doubt.folder) == before
    doubt.connect(after_failure=True)
    assert "已发送 1 次" in run(doubt.config, "show", "123").out


@pytest.mark.parametrize("shm", [True, False])
def test_after_a_kill_with_everything_still_in_the_wal_a_process_reads_it_all(doubt, tmp_path, shm):
    folder = tmp_path / "killed"
    shutil.copytree(doubt.folder, folder, ignore=shutil.ignore_patterns("killed", *(() if shm else ("*-shm",))))
    before = files(folder)
    said = run(folder / "reversald.toml", "status", "--json")
    assert said.value["journal_read"] == ("shared" if shm else "copy")
    assert said.value["pending_reversals"] == 1
    assert run(folder / "reversald.toml", "verify").code == exits.DONE
    assert files(folder) == before


def test_a_reader_that_has_seen_enough_is_no_error(after):
    for number in range(400):
        after.do(e.BatchChanged(batch=f"{number:06d}", what="changed"))
    command = f"{sys.executable} -m agent tail -n 10000 --json --config {after.config} | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["seq"] == 1


def test_a_terminal_that_cannot_show_chinese_gets_question_marks_not_an_error(after):
    said = run(after.config, "status", PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert said.code == exits.DONE
    assert "??" in said.out


def test_help_and_completion_load_no_command():
    script = (
        "import sys; from agent.cli.commands import cli\n"
        "try: cli.main(['--help'], prog_name='reversald')\n"
        "except SystemExit: pass\n"
        "loaded = {'aiohttp', 'sqlite_utils', 'cryptography', 'paho', 'agent.cli.read', 'agent.daemon'} & set(sys.modules)\n"
        "sys.exit(str(loaded) if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_and_completes_commands_and_options(shell):
    said = say(None, "completion", shell)
    assert said.code == exits.DONE
    assert "_REVERSALD_COMPLETE" in said.out
    offered = {item.value for item in cli.shell_complete(click.Context(cli), "")}
    assert offered == set(COMMANDS)
    assert {item.value for item in cli.shell_complete(click.Context(cli), "in")} == {"incidents"}


def test_the_version_is_told():
    assert re.fullmatch(r"reversald \d+\.\d+\.\d+\n", say(None, "--version").out)
