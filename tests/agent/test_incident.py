"""The timeline: every fact the core can tell has a sentence in both languages, and no sentence shows what it must not."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

import agent.core
from agent.core import accounts, change, event, model, settlement, verdict
from agent.core.lifecycle import JOB, REFUND, REVERSAL, TRANSACTION, WALLET
from agent.core.order import Order
from agent.core.verdict import CASES
from agent.core.wallets import DEFAULTS
from agent.incident import FACTS, Moment, moment, sentence, timeline, when
from agent.journal import checkpoint
from agent.journal.chain import Entry
from agent.journal.reader import Reader
from agent.words import WORDS, amount, duration, word
from device.printer import Fault
from tests.support.story import LOST, PAN, Story, everyday, recovered


def choices(kind: type, field: str) -> tuple[str, ...]:
    """The values of a Literal field."""
    return get_args(kind.__annotations__[field])


SOURCES = sorted(Path(agent.core.__path__[0]).glob("*.py"))
SHOWN = ("debit_sms", "refund_sms", "wallet_record")
# What stands in the place of a name inside a told type, e.g. f"receipt.{level}".
EXPANSIONS = {
    "f'transaction.{cause}'": ("declined", "declined_uncertain"),
    "f'evidence.{evidence.kind}'": SHOWN,
    "f'evidence.{kind}'": tuple(set(get_args(model.Evidence.__annotations__["kind"])) - set(SHOWN)),
    "f'receipt.{event.level.lower()}'": tuple(level.lower() for level in choices(event.JobFinished, "level")),
}
LANGS = ("zh", "en")


def calls(*names: str) -> Iterator[ast.Call]:
    """Every call in the core of a function or method with one of these names."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", None)) in names:
                yield node


def types_of(argument: ast.expr) -> tuple[str, ...]:
    """The fact types that the first argument of a `tell` can be."""
    match argument:
        case ast.Constant(value=str(name)):
            return (name,)
        case ast.IfExp(body=yes, orelse=no):
            return types_of(yes) + types_of(no)
        case ast.JoinedStr(values=[ast.Constant(value=str(prefix)), ast.FormattedValue()]):
            return tuple(prefix + rest for rest in EXPANSIONS[ast.unparse(argument)])
    raise AssertionError(f"a type that this test cannot follow: {ast.unparse(argument)}")


def told() -> dict[str, list[set[str]]]:
    """{type: the names of the values, for each place that tells it}."""
    found: dict[str, list[set[str]]] = {}
    for call in calls("tell"):
        for name in types_of(call.args[0]):
            found.setdefault(name, []).append({keyword.arg or "" for keyword in call.keywords})
    found[checkpoint.TYPE] = [{"version", "first", "closed"}]  # the journal's own, which no step tells
    return found


def constants(call: ast.Call) -> list[str]:
    return [argument.value for argument in call.args if isinstance(argument, ast.Constant) and isinstance(argument.value, str)]


def entry(type_: str, **data: object) -> Entry:
    return Entry(seq=1, type=type_, boot=1, mono_ms=12_345, wall_ms=None, clk="none", transaction=None, incident=None, data=data)


# ── every fact has its text ──────────────────────────────────────────────────────────────────────────────────────────


def test_every_fact_type_the_core_can_tell_has_a_sentence_and_no_sentence_is_left_over():
    assert set(FACTS) == set(told())


@pytest.mark.parametrize("type_", sorted(FACTS))
def test_a_value_that_a_sentence_cannot_do_without_is_told_wherever_the_fact_is(type_):
    for template in FACTS[type_]:
        needed = {name for name, _ in re.findall(r"\{(\w+)(?::(\w+))?\}", re.sub(r"\[[^\]]*\]", "", template))}
        for given in told()[type_]:
            assert needed <= given, template


@pytest.mark.parametrize("type_", sorted(FACTS))
def test_both_languages_say_the_same_values_with_known_vocabularies(type_):
    zh, en = (set(re.findall(r"\{(\w+)(?::(\w+))?\}", template)) for template in FACTS[type_])
    assert zh == en
    assert {vocabulary for _, vocabulary in zh} <= {"", "fen", "ms", *WORDS}
    assert all(template.count("[") == template.count("]") for template in FACTS[type_])


def test_every_code_that_can_stand_in_a_fact_has_a_word():
    owners = set(get_args(model.Owner))
    following, codes, resolutions = set(), set(), {"refunded", "collected", "written_off", "no_action"}
    for call in calls("open_one", "not_undone", "refused"):
        said = constants(call)
        following |= {after for before, after in pairwise(said) if before in owners}
        if getattr(call.func, "attr", getattr(call.func, "id", "")) == "open_one":
            codes |= set(said[:1]) - owners
    following |= {action for _, action in settlement.ASSIGNED.values()}
    codes |= {*verdict.OWN_INCIDENT.values(), "settlement"}
    for call in calls("close", "close_one"):
        resolutions |= set(constants(call)[-1:])
    assert len(following) > 5
    assert len(codes) > 5
    assert len(resolutions) > 6
    wanted = {
        "owner": owners, "next_action": following, "incident": codes, "resolution": resolutions,
        "state": {*TRANSACTION, *WALLET}, "reversal": set(REVERSAL), "job": set(JOB), "fault": set(get_args(Fault)),
        "outcome": set(get_args(model.Outcome)), "goods": set(get_args(model.Goods)), "what": choices(model.Job, "what"),
        "reason": {"98", "A0", "96", "06"}, "terminal": choices(event.TerminalChanged, "what"),
        "noise": choices(event.NoiseReceived, "what"), "mac": choices(event.HostReply, "mac"),
        "cause": {cause for was in ("intent", "sent") for cause, to in TRANSACTION[was].items() if to == "in_doubt"}
        | {cause for was in ("intent", "sent") for cause, to in WALLET[was].items() if to == "querying"},
        "said": choices(event.WalletAnswered, "state"), "call": choices(Order, "following"),
        "wallet": {rule.name for rule in DEFAULTS},
        "batch": choices(model.Agent, "batch_state"), "wanted": choices(model.Line, "wanted"),
        "paper": choices(model.Printer, "paper"), "verdict": choices(accounts.Account, "verdict"), "case": set(CASES),
        "refund": set(REFUND), "unmatched": choices(change.Unmatched, "why"), "direction": choices(accounts.Settled, "direction"),
        "by_hand": set(get_args(model.ByHand)),
    }
    assert [(name, code) for name, codes in wanted.items() for code in codes if code not in WORDS[name]] == []


def test_every_word_is_there_in_both_languages():
    for vocabulary, words in WORDS.items():
        for code, (zh, en) in words.items():
            assert zh, (vocabulary, code)
            assert en, (vocabulary, code)
            assert en.isascii(), (vocabulary, code)


# ── what a person reads ──────────────────────────────────────────────────────────────────────────────────────────────


def test_amounts_are_yuan_and_values_are_words():
    opened = entry("transaction.opened", kind="sale", amount_fen=100, stan="000123", batch="000001", card="622202*********0128")
    assert sentence(opened, "zh") == "登记消费 1.00元,流水号 000123,批次 000001,卡号 622202*********0128"
    assert sentence(opened, "en") == "Registered: sale of CNY 1.00, STAN 000123, batch 000001, card 622202*********0128"
    assert (amount(5, "zh"), amount(-1205, "zh"), amount(100_000_000, "en")) == ("0.05元", "-12.05元", "CNY 1000000.00")


def test_a_part_whose_value_is_not_there_is_left_out():
    assert sentence(entry("transaction.approved", approved_fen=100), "zh") == "主机批准 1.00元"
    assert sentence(entry("transaction.approved", approved_fen=100, rrn="601"), "zh") == "主机批准 1.00元,参考号 601"
    assert sentence(entry("agent.started", version="1", new_boot=False), "en") == "Agent 1 started"
    assert sentence(entry("agent.started", version="1", new_boot=True), "en") == "Agent 1 started (the machine had started too)"


def test_the_time_is_local_or_since_that_boot_where_the_wall_clock_is_unknown():
    assert when(1_772_416_800_000, 5) == "2026-03-02 10:00:00"
    assert when(1_772_416_800_000, 5, utc_offset_minutes=0) == "2026-03-02 02:00:00"
    assert when(None, 12_345) == "boot+12.3s"
    assert moment(entry("line.up"), "en").at == "boot+12.3s"
    spans = [duration(ms, "zh") for ms in (0, 59_999, 750_000, 3_600_000, 90_061_000)]
    assert spans == ["0秒", "59秒", "12分30秒", "1小时", "1天1小时"]
    assert duration(750_000, "en") == "12 min 30 s"


def test_a_fact_and_a_code_of_a_newer_program_are_shown_as_they_are():
    assert sentence(entry("moon.full", phase=3, code="x"), "zh") == "moon.full code=x phase=3"
    assert word("owner", "robot", "zh") == "robot"


def test_what_a_person_typed_can_neither_show_a_card_number_nor_move_the_cursor():
    closed = entry("incident.closed", code="in_doubt", resolution="refunded", by="\x1b[31mWang", note=f"card {PAN} [x] {{by}}\n")
    text = sentence(closed, "en")
    assert PAN not in text
    assert "622202*********0128" in text
    assert text.isprintable()
    assert "[x] {by}" in text
    assert PAN not in sentence(entry("moon.full", card=PAN), "en")


def test_the_story_of_a_lost_sale_reads_whole_in_both_languages(tmp_path):
    recovered(tmp_path).close()
    with Reader.open(tmp_path / "reversald.db") as reader:
        entries = list(reader.walk())
    for lang in LANGS:
        moments = timeline(entries, lang)
        assert len(moments) == len(entries) > 20
        for line in moments:
            assert isinstance(line, Moment)
            assert not set("{}[]") & set(line.text), line.text
            assert "--" not in line.text, line.text
            assert line.text.isascii() == (lang == "en"), line.text
        assert any("1.00" in line.text for line in moments)


def test_many_other_stories_read_whole_too(tmp_path):
    """Refusals, keys, early answers, evidence, people: nothing is left unsaid."""
    story = everyday(tmp_path, sends_per_opportunity=1)
    story.connect(after_failure=True)
    story.reply("A0", LOST)
    story.do(event.TerminalChanged(what="signed_in"))
    story.pass_(5_000)
    story.reply("68", LOST)
    story.do(event.NoiseReceived(what="unreadable"))
    story.do(event.BatchChanged(batch="000001", what="settling"))
    story.do(event.BatchChanged(batch="000001", what="settled"))
    story.do(event.BatchChanged(batch="000002", what="changed"))
    story.pass_(60_000)
    people(story)
    story.close()
    with Reader.open(tmp_path / "reversald.db") as reader:
        entries = list(reader.walk())
    types = {line.type for line in entries}
    assert {"reversal.key_refused", "reversal.later", "reversal.expired", "transaction.resolved", "host.noise"} <= types
    for lang in LANGS:
        for line in timeline(entries, lang):
            assert not set("{}[]") & set(line.text), line.text


def people(story: Story) -> None:
    """A person shows something, says where the goods went, and closes the case."""
    story.do(event.EvidenceGiven(transaction=LOST, evidence=model.Evidence(kind="debit_sms", amount_fen=100)))
    story.do(event.DispositionGiven(transaction=LOST, disposition=model.Disposition(goods="held", accepts_risk=True)))
    incident = story.incident("in_doubt", LOST)
    story.do(event.IncidentResolved(incident=incident.id, transaction=LOST, resolution="refunded", by="Wang", note="paid back"))
