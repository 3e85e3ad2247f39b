"""Profiles of acquirers: those that come with the program, one of one's own, and every mistake named with file and key."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from agent import profile
from agent.cli.check import command
from agent.config import ConfigError, load
from agent.core.model import Agent
from agent.core.policy import Policy
from agent.policies import policy_of
from agent.profile import AcquirerProfile
from device import datafiles
from device.acquirer.message import Codec
from device.acquirer.profile import UNIONPAY, FieldRule
from tests.support.app import MERCHANT, PAN, TERMINAL

SHIPPED = Path(__file__).parents[2] / "packaging" / "profiles"
ASCII = profile.load("ascii-1987", SHIPPED, "")
RIGHT = '[acquirer]\nhost = "127.0.0.1"\n'


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> dict[str, str]:
    """Key to reason of every mistake in a profile of this text."""
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        profile.load("mine.toml", folder, "reversald.toml")
    assert {problem.file for problem in caught.value.problems} == {str(path)}
    assert all(problem.zh for problem in caught.value.problems)
    return {problem.key: problem.en for problem in caught.value.problems}


def test_the_profile_named_unionpay_says_what_runs_when_nothing_is_said() -> None:
    assert datafiles.names("profiles") == ["ascii-1987", "unionpay"]
    assert profile.load("unionpay", SHIPPED, "") == AcquirerProfile()


def test_the_file_named_unionpay_says_every_key_there_is_so_that_it_can_be_copied() -> None:
    written = tomllib.loads((SHIPPED / "unionpay.toml").read_text())
    assert set(written) == {*profile.SECTIONS, "fields", "kinds"}
    for name, kind in profile.SECTIONS.items():
        assert set(written[name]) == set(kind.__struct_fields__), name


def test_a_journal_says_nothing_of_a_policy_that_is_unionpays() -> None:
    policy = Policy(**profile.load("unionpay", SHIPPED, "").rules())
    assert msgspec.json.encode(policy) == b"{}"


def test_a_policy_of_another_profile_comes_back_from_the_journal_as_it_was() -> None:
    agent = Agent(policy=Policy(**ASCII.rules()))
    assert msgspec.json.decode(msgspec.json.encode(agent), type=Agent) == agent
    assert agent.policy.kind("void").f3 == "020000"
    assert agent.policy.kind("preauth_void").in_doubt == "watch"


def test_what_the_configuration_does_not_write_is_the_profiles(tmp_path: Path) -> None:
    config = load(write(tmp_path, RIGHT + 'profile = "ascii-1987"\n[recovery]\nspacing_ms = 1\n', "reversald.toml"))
    assert (config.acquirer.tpdu, config.acquirer.header, config.mac.algorithm) == ("", "", "x9.19")
    assert policy_of(config).spacing_ms == 1
    assert policy_of(config).answers.accepted == ("00", "21")


def test_what_the_configuration_writes_goes_before_the_profile(tmp_path: Path) -> None:
    rest = "[mac]\nrequired = false\n[settlement]\nwhile_pending = 'refuse'\n"
    write(tmp_path, "[recovery]\nspacing_ms = 90000\nkey_answers_max = 2\n" + rest)
    text = RIGHT + 'profile = "mine.toml"\ntpdu = "6000040000"\n[mac]\nalgorithm = "x9.9"\n'
    config = load(write(tmp_path, text, "reversald.toml"))
    assert (config.acquirer.tpdu, config.mac.algorithm, config.recovery.spacing_ms) == ("6000040000", "x9.9", 90_000)
    policy = policy_of(config)
    assert (policy.key_answers_max, policy.require_mac, policy.settlement_while_pending) == (2, False, "refuse")


def test_a_file_that_lists_kinds_lists_all_of_them(tmp_path: Path) -> None:
    write(tmp_path, '[kinds.sale]\ntype = "22"\nin_doubt = "reverse"\n')
    policy = Policy(**profile.load("mine.toml", tmp_path, "").rules())
    assert policy.kind("sale").in_doubt == "reverse"
    assert policy.kind("void").in_doubt == "watch"


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("[lines]\npacking = 'bcd'\n", "lines", "is not a known section; did you mean line?"),
        ("[line]\npackin = 'bcd'\n", "line.packin", "is not a known key; did you mean packing?"),
        ("[line]\npacking = 'ebcdic'\n", "line.packing", """must be "bcd" or "ascii", not 'ebcdic'"""),
        ("[line]\nlength_bytes = 0\n", "line.length_bytes", "must be 1 to 6, not 0"),
        ("line = 3\n", "line", "must be a section: [line]"),
        ("[fields]\n2 = 'n..190'\n", "fields.2", "must be a field as the standard writes it"),
        ("[fields]\n2 = 19\n", "fields.2", "must be a field as the standard writes it"),
        ("[fields]\n64 = 'b8'\n", "fields.64", "is not a field from 2 to 63"),
        ("[fields]\nf2 = 'n..19'\n", "fields.f2", "is not a field from 2 to 63"),
        ("[fields]\n11 = 'an6'\n", "fields.11", "must be digits of a fixed length"),
        ("[messages]\nreversal = '0410'\n", "messages.reversal", "must be the four digits of a request"),
        ("[messages]\necho_f60 = '{stan}'\n", "messages.echo_f60", "must be digits, and {batch} in them"),
        ("[kinds.Sale]\n", "kinds.Sale", "a kind's name has 1 to 32 small letters and _"),
        ("[kinds.sale]\nname = 'x'\n", "kinds.sale.name", "is not a known key"),
        ("[kinds.sale]\nindoubt = 'reverse'\n", "kinds.sale.indoubt", "is not a known key; did you mean in_doubt?"),
        ("[kinds.sale]\nin_doubt = 'undo'\n", "kinds.sale.in_doubt", 'must be "reverse", "repeat" or "watch"'),
        ("[kinds.sale]\nf61 = '{rrn}'\n", "kinds.sale.f61", "must be digits and {batch} {stan} {date}"),
        ("[kinds]\nsale = 1\n", "kinds.sale", "must be a section: [kinds.sale]"),
        ("[kinds.sale]\nin_doubt = 'watch'\n", "kinds", 'has no kind with in_doubt = "reverse"'),
        ("[reversal]\nfields = [2, 3, 4, 41, 42, 39]\n", "reversal.fields", "lacks 11"),
        ("[reversal]\nfields = [3, 4, 11, 39, 41, 42, 35]\n", "reversal.fields", "must be a list of fields out of 2 3 4 11"),
        ("[reversal]\nchip_tags = ['5']\n", "reversal.chip_tags", "must be a list of EMV tags"),
        ("[reversal]\nf60 = '{0}'\n", "reversal.f60", "must be digits, {type} and {batch}"),
        ("[reasons]\nrefused = '6'\n", "reasons.refused", "must be a response code"),
        ("[answers]\nkey = ['00']\n", "answers.key", "has 00, which answers.accepted has too"),
        ("[answers]\nuncertain = ['10']\n", "answers.uncertain", "has 10, which answers.approval has too"),
        ("[answers]\npartial = ['51']\n", "answers.partial", "has 51, which answers.approval has not"),
        ("[answers]\naccepted = []\n", "answers.accepted", "is empty: no reversal could ever succeed"),
        ("[answers]\napproval = []\npartial = []\nconfirm = []\n", "answers.approval", "is empty: no payment could ever"),
        ("[answers]\naccepted = '00'\n", "answers.accepted", "must be a list of response codes"),
        ("[recovery]\nbackoff_min_ms = 10\nbackoff_max_ms = 9\n", "recovery.backoff_max_ms", "is less than backoff_min_ms"),
        ("[recovery]\nspacing_ms = -1\n", "recovery.spacing_ms", "must be whole milliseconds"),
        ("[mac]\nalgorithm = 'sm4'\n", "mac.algorithm", 'must be "unionpay-ecb", "x9.9" or "x9.19"'),
        ("[settlement]\nwhile_pending = 'clear'\n", "settlement.while_pending", 'must be "wait", "refuse" or "pass"'),
        ("line]\n", "", "is not a TOML file"),
    ],
)
def test_a_mistake_in_a_profile_is_named_with_file_key_and_reason(tmp_path: Path, text: str, key: str, reason: str) -> None:
    found = problems(tmp_path, text)
    assert found.keys() == {key}
    assert found[key].startswith(reason)


SALE = "[kinds.sale]\ntype = '22'\nin_doubt = 'reverse'\n"
VOID = "[kinds.void]\nf3 = '200000'\ntype = '23'\nin_doubt = 'reverse'\n"


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("[line]\nlength_encoding = 'ascii'\n", "line.length_bytes", "is too little: a reversal has up to 173 bytes"),
        ("[line]\nlength_bytes = 1\nlength_encoding = 'bcd'\n", "line.length_bytes", "is too little"),
        ("[fields]\n2 = 'n16'\n", "fields.2", '"n16" cannot hold 622202… (19)'),
        ("[fields]\n4 = 'n6'\n", "fields.4", '"n6" cannot hold 999999999999'),
        ("[fields]\n11 = 'n8'\n", "fields.11", '"n8" cannot hold 999999'),
        ("[fields]\n38 = 'n6'\n", "fields.38", '"n6" cannot hold A1B2C3'),
        ("[fields]\n39 = 'n2'\n", "fields.39", '"n2" cannot hold A0'),
        ("[fields]\n42 = 'an8'\n", "fields.42", '"an8" cannot hold 898310… (15)'),
        ("[fields]\n55 = 'b...20'\n", "fields.55", '"b...20" cannot hold 950500'),
        ("[reversal]\nf60 = '{type}{batch}0000000000'\n", "reversal.f60", "makes 229999… (18), which field 60"),
        ("[messages]\necho_f60 = '{batch}{batch}{batch}'\n", "messages.echo_f60", "makes 999999… (18), which field 60"),
        (SALE + "f61 = '{batch}{stan}{batch}{stan}{batch}'\n", "kinds.sale.f61", "makes 999999… (30), which field 61"),
        (SALE + SALE.replace("sale", "void") + "f61 = '{stan}'\n", "kinds.void", "has mti, f3 and type of kinds.sale"),
        (SALE + VOID.replace("type = '23'\n", ""), "kinds.void.type", "is empty, and reversal.f60 has {type}"),
        (SALE + "[reversal]\nf60 = '{batch}'\n", "kinds.sale.type", 'is "22", and reversal.f60 has no {type}'),
        ("[messages]\nreversal = '0401'\n", "messages.reversal", "0401 is the type of a repeat: write 0400"),
        ("[messages]\nsettlement = '0501'\n", "messages.settlement", "0501 is the type of a repeat: write 0500"),
        ("[messages]\nsign_in = '0801'\n", "messages.sign_in", "0801 is the type of a repeat: write 0800"),
        (SALE + "mti = '0201'\n", "kinds.sale.mti", "0201 is the type of a repeat: write 0200"),
        ("[messages]\nreversal = '0200'\n", "messages.reversal", "is 0200, and so is kinds.sale"),
        ("[messages]\nsettlement = '0400'\n", "messages.settlement", "is 0400, and so is messages.reversal"),
        ("[messages]\nsign_in = '0500'\n", "messages.sign_in", "is 0500, and so is messages.settlement"),
        ("[reversal]\nchip_tags = ['95', '57']\n", "reversal.chip_tags", "has 57: card data that is never kept"),
    ],
)
def test_a_profile_whose_reversals_could_not_be_sent_or_told_apart_is_a_mistake(
    tmp_path: Path, text: str, key: str, reason: str
) -> None:
    found = problems(tmp_path, text)
    assert found.keys() == {key}
    assert found[key].startswith(reason)


def test_a_relay_needs_the_batch_of_each_request_and_a_line_of_ones_own_does_not(tmp_path: Path) -> None:
    write(tmp_path, SALE.replace("22", "") + "[reversal]\nf60 = ''\n")
    own = RIGHT + 'profile = "mine.toml"\n'
    load(write(tmp_path, own, "reversald.toml"))
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, own + '[recovery]\nmode = "relay"\n[relay]\nlisten = "127.0.0.1:1"\n', "reversald.toml"))
    assert [problem.key for problem in caught.value.problems] == ["acquirer.profile"]


def test_a_sign_in_and_an_echo_may_be_of_one_type_and_kinds_that_are_the_same_need_no_telling_apart(tmp_path: Path) -> None:
    write(tmp_path, "[messages]\necho = '0800'\n" + SALE + SALE.replace("sale", "sale_again"))
    assert len(profile.load("mine.toml", tmp_path, "").kinds) == 2


def test_every_mistake_is_named_and_not_only_the_first(tmp_path: Path) -> None:
    text = "[line]\npacking = 1\n[answers]\naccepted = [1]\n[fields]\n99 = 'n1'\n[kinds.a1]\n"
    assert problems(tmp_path, text).keys() >= {"line.packing", "answers.accepted", "fields.99", "kinds.a1"}


def test_a_name_that_no_profile_has_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, RIGHT + 'profile = "unionpai"\n', "reversald.toml"))
    (problem,) = caught.value.problems
    assert (problem.key, problem.en) == (
        "acquirer.profile", "there is no profile 'unionpai'; those that come with the program: ascii-1987, unionpay",
    )


def test_check_config_explains_a_bad_profile_and_exits_78(tmp_path: Path) -> None:
    path = write(tmp_path, "[kinds.sale]\nindoubt = 'reverse'\n")
    config = write(tmp_path, RIGHT + 'profile = "mine.toml"\n', "reversald.toml")
    for lang, reason in (("en", "is not a known key; did you mean in_doubt?"), ("zh", "不是已知的键，是否为 in_doubt？")):
        result = CliRunner().invoke(command, [str(config), "--lang", lang])
        assert result.exit_code == 78
        assert f"{path}: kinds.sale.indoubt: {reason}" in result.output


def test_check_config_says_that_the_file_of_a_profile_is_missing(tmp_path: Path) -> None:
    config = write(tmp_path, RIGHT + 'profile = "mine.toml"\n', "reversald.toml")
    result = CliRunner().invoke(command, [str(config), "--lang", "en"])
    assert result.exit_code == 78
    assert result.output.startswith(f"{tmp_path}/mine.toml: acquirer.profile: the file is missing\n")


@pytest.mark.parametrize("number", sorted(UNIONPAY.fields))
def test_a_rule_is_read_back_from_what_it_is_written_as(number: int) -> None:
    rule = UNIONPAY.fields[number]
    assert FieldRule.parse(str(rule)) == rule


@given(st.from_regex(r"(n|z|an|s|b|x) ?\.{0,4}[0-9]{0,4}( left)?", fullmatch=True))
def test_a_text_is_a_rule_only_when_it_is_written_as_one(text: str) -> None:
    rule = FieldRule.parse(text)
    assert rule is None or str(rule) == text or int(rule.size) == int("".join(filter(str.isdigit, text)))


@given(
    pan=st.from_regex(r"[0-9]{13,19}", fullmatch=True), amount=st.integers(1, 10**12 - 1), stan=st.integers(0, 999_999),
    sequence=st.integers(0, 999), terminal=st.from_regex(r"[0-9A-Za-z]{8}", fullmatch=True), batch=st.integers(0, 999_999),
)
def test_a_reversal_of_either_profile_is_read_back_field_by_field(
    pan: str, amount: int, stan: int, sequence: int, terminal: str, batch: int
) -> None:
    for each in (AcquirerProfile(), ASCII):
        fields = {
            2: pan, 3: "000000", 4: f"{amount:012d}", 11: f"{stan:06d}", 14: "3012", 22: "051", 23: f"{sequence:03d}", 25: "00",
            39: "98", 41: terminal, 42: "898310148160001", 49: "156",
            60: each.reversal.f60.format(type="22", batch=f"{batch:06d}"), 61: f"{batch:06d}{stan:06d}",
        }
        codec = Codec(each.line)
        frame = codec.pack(each.messages.reversal, fields, lambda data: bytes(8))
        width = each.line.length_bytes
        assert codec.framing.length(frame[:width]) == len(frame) - width
        message = codec.read(frame[width:])
        assert (message.mti, dict(message.fields), message.mac) == (each.messages.reversal, fields, bytes(8))


@pytest.mark.parametrize("value", [None, '"ascii"', '"n2"', '"b8"', '"0200"', "1"])
@pytest.mark.parametrize("name", ["unionpay", "ascii-1987"])
def test_of_every_spoilt_copy_a_mistake_is_told_or_its_reversals_can_be_written(
    tmp_path: Path, name: str, value: str | None
) -> None:
    lines = (SHIPPED / f"{name}.toml").read_text().splitlines()
    said = {2: PAN, 3: "000000", 4: "000000000100", 11: "000123", 22: "051", 39: "A0", 41: TERMINAL, 42: MERCHANT, 49: "156"}
    for at, line in enumerate(lines):
        spoilt = [] if value is None else [re.sub(r"= .*", f"= {value}", line)]
        write(tmp_path, "\n".join([*lines[:at], *spoilt, *lines[at + 1 :]]))
        try:
            found = profile.load("mine.toml", tmp_path, "")
        except ConfigError:
            continue  # `problems` above shows what is said
        fields = said | {60: found.reversal.f60.format(type="22", batch="000001")}
        codec = Codec(found.line)
        frame = codec.pack(found.messages.reversal, fields, lambda _: bytes(8))
        assert dict(codec.read(frame[found.line.length_bytes :]).fields) == fields, line
