"""The configuration: what is read, what is refused and in which words, and that the documented file is the real one."""

import os
import re
import stat
import threading
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import settings
from agent.config import ConfigError, Problem, ensure_key, file_problems, load, read_key

SHIPPED = Path(__file__).parents[2] / "packaging" / "reversald.toml"
RIGHT = '[acquirer]\nhost = "127.0.0.1"\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "reversald.toml"
    path.write_text(text)
    return path


def problems(tmp_path: Path, text: str) -> dict[str, str]:
    """Key to reason of every problem in this file."""
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    assert all(problem.file.endswith("reversald.toml") for problem in caught.value.problems)
    return {problem.key: problem.reason("en") for problem in caught.value.problems}


def warned(tmp_path: Path, text: str) -> set[str]:
    return {warning.key for warning in load(write(tmp_path, text)).warnings}


def test_with_no_file_the_embedded_defaults_run_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load(None)
    assert config.terminal == settings.Terminal()
    assert config.recovery.mode == "direct"
    assert config.recovery.answer_timeout_ms == 65_000
    assert config.storage.path == tmp_path / "reversald.db"
    assert config.hook.allowed_uids is None
    assert [getattr(config, name) for name in settings.OPTIONAL] == [None] * len(settings.OPTIONAL)
    assert [warning.key for warning in config.warnings] == ["terminal"]


def test_paths_are_relative_to_the_configuration_file(tmp_path):
    text = RIGHT + (
        '[storage]\npath = "data/a.db"\nkey_file = "/etc/vault.key"\n'
        '[printer]\ndriver = "escpos"\nport = "pty"\n[mqtt]\nurl = "mqtts://broker"\nca = "ca.pem"\n'
    )
    config = load(write(tmp_path, text))
    assert config.storage.path == tmp_path / "data" / "a.db"
    assert config.storage.key_file == Path("/etc/vault.key")
    assert config.printer.port == str(tmp_path / "pty")
    assert config.hook.socket == tmp_path / "reversald.sock"
    assert config.mqtt is not None
    assert config.mqtt.ca == tmp_path / "ca.pem"


def test_a_relative_file_name_is_taken_from_the_working_folder(tmp_path, monkeypatch):
    write(tmp_path, RIGHT)
    monkeypatch.chdir(tmp_path)
    config = load("reversald.toml")
    assert config.file == tmp_path / "reversald.toml"
    assert config.mac.key_file == tmp_path / "mac.key"


def test_a_network_printer_keeps_its_address(tmp_path):
    config = load(write(tmp_path, RIGHT + '[printer]\ndriver = "escpos"\nport = "tcp://10.0.0.9:9100"\n'))
    assert config.printer.port == "tcp://10.0.0.9:9100"


def test_a_bridge_app_is_reached_over_a_socket_of_this_machine(tmp_path):
    config = load(write(tmp_path, RIGHT + '[printer]\ndriver = "vendor"\nport = "unix:/run/bridge"\n'))
    assert (config.printer.driver, config.printer.port) == ("vendor", "unix:/run/bridge")
    config = load(write(tmp_path, RIGHT + '[printer]\ndriver = "vendor"\nport = "unix:bridge"\n'))
    assert config.printer.port == f"unix:{tmp_path}/bridge"
    config = load(write(tmp_path, RIGHT + '[printer]\ndriver = "vendor"\nport = "tcp://127.0.0.1:8740"\n'))
    assert config.printer.port == "tcp://127.0.0.1:8740"


def test_every_mistake_is_named_with_its_key_and_not_only_the_first(tmp_path):
    text = RIGHT + (
        '[terminal]\nfleet = "a/b"\nSn = "1"\n[recovery]\nmode = "drect"\nspacing_ms = -1\n'
        '[printer]\ncolumns = 33\n[mqtt]\nack = "fleet"\n[prnter]\n[storage]\nvault = true\n'
    )
    found = problems(tmp_path, text)
    assert set(found) == {
        "terminal.fleet",
        "terminal.Sn",
        "recovery.mode",
        "recovery.spacing_ms",
        "printer.columns",
        "mqtt.url",
        "prnter",
        "storage.vault",
    }
    assert found["recovery.mode"] == """must be "direct", "relay" or "payapp", not 'drect'"""
    assert found["printer.columns"] == "must be 32 or 48, not 33"
    assert found["terminal.Sn"].endswith("did you mean sn?")
    assert found["prnter"].endswith("did you mean printer?")
    assert found["storage.vault"] == 'must be "sealed" or "none", not true'
    assert found["mqtt.url"] == "is missing and has no default"


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("terminal", "fleet", '"ninechars"'),
        ("terminal", "fleet", '""'),
        ("terminal", "fleet", '"a+"'),
        ("terminal", "sn", '"T#"'),
        ("terminal", "sn", '"T 1"'),
        ("terminal", "sn", '"T1\\n"'),
        ("terminal", "sn", '"123456789012345678901"'),
        ("terminal", "terminal_id", '"1234567"'),
        ("terminal", "merchant_id", '"8983101481600011"'),
        ("terminal", "lang", '"fr"'),
        ("storage", "path", '""'),
        ("storage", "retention_days", "0"),
        ("hook", "allowed_uids", "[-1]"),
        ("hook", "allowed_uids", "0"),
        ("hook", "sent_reporting", "1"),
        ("recovery", "answer_timeout_ms", "86400001"),
        ("recovery", "answer_timeout_ms", "1.5"),
        ("recovery", "sends_per_opportunity", "0"),
        ("acquirer", "port", "65536"),
        ("acquirer", "tpdu", '"600003000"'),
        ("acquirer", "header", '"60310031000g"'),
        ("mac", "algorithm", '"x9.99"'),
        ("printer", "baud", "110"),
        ("printer", "port", '"udp://printer:9100"'),
        ("printer", "confirm", '"maybe"'),
        ("display", "driver", '"lcd"'),
        ("display", "port", '"tcp://pole:9100"'),
        ("display", "port", '""'),
        ("display", "baud", "9601"),
        ("display", "charset", '"utf-8"'),
        ("display", "brightness", "5"),
        ("display", "idle_after_ms", "2999"),
        ("settlement", "cutoff", '"24:00"'),
    ],
)
def test_a_value_outside_its_limits_is_refused_with_what_would_be_right(tmp_path, section, key, value):
    head = RIGHT if section != "acquirer" else '[acquirer]\nhost = "h"\n'
    text = head + (f"{key} = {value}\n" if section == "acquirer" else f"[{section}]\n{key} = {value}\n")
    found = problems(tmp_path, text)
    assert set(found) == {f"{section}.{key}"}
    assert found[f"{section}.{key}"].startswith("must be ")


def test_a_wrong_address_is_not_shown_back_when_it_may_hold_a_password(tmp_path):
    found = problems(tmp_path, RIGHT + '[mqtt]\nurl = "http://user:secret@broker"\n')
    assert "secret" not in found["mqtt.url"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[recovery]\nmode = "direct"\n', "acquirer.host"),
        ("", "acquirer.host"),
        ("[acquirer]\nport = 1\n", "acquirer.host"),
        (RIGHT + '[recovery]\nmode = "relay"\n', "relay"),
        (RIGHT + '[mac]\nsource = "payapp"\n', "payapp"),
        (RIGHT + '[mac]\nsource = "payapp"\n[payapp]\nurl = "http://till.example:8732"\n', "payapp.url"),
        (RIGHT + '[mac]\nsource = "payapp"\n[payapp]\nurl = "http://127.evil.example"\n', "payapp.url"),
        (RIGHT + 'line = "lease"\n', "payapp"),
        (RIGHT + 'line = "lease"\n[recovery]\nmode = "relay"\n[relay]\nlisten = "127.0.0.1:1"\n', "acquirer.line"),
        (RIGHT + "backup_port = 8584\n", "acquirer.backup_host"),
        (RIGHT + '[storage]\nvault = "none"\n', "storage.vault"),
        (RIGHT + "[recovery]\nbackoff_max_ms = 59999\n", "recovery.backoff_max_ms"),
        (RIGHT + 'tls_enabled = true\ntls_cert = "c"\n', "acquirer.tls_key"),
        (RIGHT + 'tls_enabled = true\ntls_key = "k"\n', "acquirer.tls_cert"),
        (RIGHT + 'tls_ca = "c"\n', "acquirer.tls_enabled"),
        (RIGHT + '[recovery]\nmode = "relay"\n[relay]\nlisten = "a:1"\n[storage]\nvault = "none"\n', "storage.vault"),
        (RIGHT + '[relay]\nlisten = "a:1"\ntls_key = "k"\n', "relay.tls_cert"),
        (RIGHT + '[relay]\nlisten = "a:1"\ntls_cert = "k"\n', "relay.tls_key"),
        (RIGHT + '[relay]\nlisten = "a:1"\ntls_ca = "k"\n', "relay.tls_cert"),
        (RIGHT + '[relay]\nlisten = "a:0"\n', "relay.listen"),
        (RIGHT + '[relay]\nlisten = "127.0.0.1:8583"\n', "relay.listen"),
        (RIGHT + '[relay]\nlisten = "0.0.0.0:8583"\n', "relay.listen"),
        ('[acquirer]\nhost = "a"\nbackup_host = "b"\nbackup_port = 1\n[relay]\nlisten = "b:1"\n', "relay.listen"),
        (RIGHT + '[relay]\nlisten = "localhost:1"\n[hook]\nlisten = "127.0.0.1:1"\ntoken_file = "t"\n', "relay.listen"),
        (RIGHT + '[mqtt]\nurl = "mqtts://b"\nkey = "k"\n', "mqtt.cert"),
        (RIGHT + '[mqtt]\nurl = "mqtt://b"\nca = "k"\n', "mqtt.url"),
        (RIGHT + '[mqtt]\nurl = "mqtt://b:70000"\n', "mqtt.url"),
        (RIGHT + '[payapp]\nurl = "http://127.0.0.1:99999/app"\n', "payapp.url"),
        (RIGHT + '[wallet]\nurl = "https://w.example:0"\n', "wallet.url"),
        (RIGHT + '[payapp]\nurl = "http://127.0.0.1:8732/app?till=1"\n', "payapp.url"),
        (RIGHT + '[payapp]\nurl = "http://127.0.0.1:8732/#app"\n', "payapp.url"),
        (RIGHT + '[payapp]\nurl = "http://[::1"\n', "payapp.url"),
        (RIGHT + '[payapp]\nurl = "http://:8732"\n', "payapp.url"),
        (RIGHT + '[payapp]\nurl = "http://till:secret@127.0.0.1:8732"\n', "payapp.url"),
        (RIGHT + '[hook]\nlisten = "127.0.0.1:1"\n', "hook.token_file"),
        (RIGHT + '[hook]\nlisten = "0.0.0.0:1"\ntoken_file = "t"\n', "hook.listen"),
        (RIGHT + '[hook]\nlisten = "127.0.0.1:0"\ntoken_file = "t"\n', "hook.listen"),
        (RIGHT + f'[hook]\nsocket = "/{"s" * 107}"\n', "hook.socket"),
        (RIGHT + '[printer]\ndriver = "escpos"\n', "printer.port"),
        (RIGHT + '[printer]\nport = "tcp://p:99999"\n', "printer.port"),
        (RIGHT + '[printer]\ndriver = "vendor"\n', "printer.port"),
        (RIGHT + '[printer]\ndriver = "vendor"\nport = "/dev/ttyS1"\n', "printer.port"),
        (RIGHT + '[printer]\ndriver = "vendor"\nport = "tcp://10.0.0.9:9100"\n', "printer.port"),
        (RIGHT + f'[printer]\ndriver = "vendor"\nport = "unix:/{"s" * 107}"\n', "printer.port"),
        (RIGHT + '[display]\ndriver = "cd5220"\n', "display.port"),
        (
            RIGHT + '[printer]\ndriver = "escpos"\nport = "/dev/ttyS1"\n[display]\ndriver = "escpos"\nport = "/dev/ttyS1"\n',
            "display.port",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path, text, key):
    assert set(problems(tmp_path, text)) == {key}


def test_a_relay_may_have_the_port_of_a_host_elsewhere(tmp_path):
    for listen in ("0.0.0.0:8583", "127.0.0.1:8583", "[::1]:8583"):
        text = f'[acquirer]\nhost = "10.0.0.5"\n[recovery]\nmode = "relay"\n[relay]\nlisten = "{listen}"\n'
        assert load(write(tmp_path, text)).relay is not None


def test_a_contradiction_that_rests_on_a_wrong_value_is_not_reported_beside_it(tmp_path):
    found = problems(tmp_path, '[recovery]\nmode = "payap"\n[hook]\nlisten = "nowhere"\n')
    assert set(found) == {"recovery.mode", "hook.listen"}
    found = problems(tmp_path, RIGHT + '[mac]\nsource = "payapp"\n[payapp]\nurl = 5\n')
    assert set(found) == {"payapp.url"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:8732", "http://localhost/app", "http://[::1]:1/", "https://till.example"])
def test_a_pin_pad_is_asked_where_nobody_else_can_read_along(tmp_path, url):
    config = load(write(tmp_path, RIGHT + f'[mac]\nsource = "payapp"\n[payapp]\nurl = "{url}"\n'))
    assert file_problems(config) == [], "and the key file is not needed"


def test_mode_payapp_needs_neither_a_host_nor_a_key(tmp_path):
    config = load(write(tmp_path, '[recovery]\nmode = "payapp"\n[storage]\nvault = "none"\n'))
    assert config.warnings == ()
    assert file_problems(config) == []


def test_a_display_has_its_own_port_and_the_fields_usual_speed(tmp_path):
    config = load(write(tmp_path, RIGHT + '[display]\ndriver = "cd5220"\nport = "pole"\n'))
    assert config.display is not None
    assert (config.display.port, config.display.baud, config.display.charset) == (str(tmp_path / "pole"), 9600, "gbk")
    assert config.warnings == ()


def test_a_display_without_chinese_characters_is_warned_of_where_chinese_is_spoken(tmp_path):
    latin = '[display]\ndriver = "escpos"\nport = "/dev/ttyS2"\ncharset = "latin"\n'
    assert warned(tmp_path, RIGHT + latin) == {"display.charset"}
    assert warned(tmp_path, RIGHT + latin + '[terminal]\nlang = "en"\n') == set()


def test_timers_below_the_fields_ranges_are_accepted_with_a_warning_and_so_is_zero(tmp_path):
    text = RIGHT + (
        "[recovery]\nreply_timeout_ms = 19999\nspacing_ms = 0\nno_original_after_ms = 0\nanswer_timeout_ms = 500\n"
        "backoff_min_ms = 1000\n"
    )
    assert load(write(tmp_path, text)).recovery.spacing_ms == 0
    assert warned(tmp_path, text) == {
        f"recovery.{key}"
        for key in ("reply_timeout_ms", "spacing_ms", "no_original_after_ms", "answer_timeout_ms", "backoff_min_ms")
    }
    edge = "[recovery]\nreply_timeout_ms = 20000\nspacing_ms = 60000\nno_original_after_ms = 60000\n"
    assert warned(tmp_path, RIGHT + edge) == set()
    assert warned(tmp_path, RIGHT + "[recovery]\nreply_timeout_ms = 90001\n") == {"recovery.reply_timeout_ms"}
    assert warned(tmp_path, RIGHT + '[relay]\nlisten = "127.0.0.1:8584"\n') == {"relay"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[terminal\n", "line 1"),
        (b"\xff\xfe", "is not a TOML file"),
        (b"#" * 300_000, "larger than"),
        (b'terminal = "x"\n' + RIGHT.encode(), "must be a section: [terminal]"),
        (b"[[terminal]]\n" + RIGHT.encode(), "must be a section: [terminal]"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_in_one_sentence(tmp_path, content, says):
    path = tmp_path / "f.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert len(caught.value.problems) == 1
    assert says in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="missing"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="directory"):
        load(tmp_path)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / "f.toml"
    path.write_bytes(b"\xef\xbb\xbf" + RIGHT.encode())
    assert load(path).acquirer.host == "127.0.0.1"


toml_values = st.one_of(st.integers(-9, 99999), st.booleans(), st.text(max_size=30), st.lists(st.integers(-2, 70000)))
known_names = st.sampled_from([*settings.ALWAYS, *settings.OPTIONAL, "nonsense"])
known_keys = st.sampled_from(
    [key for kind in (settings.ALWAYS | settings.OPTIONAL).values() for key in kind.__struct_fields__]
)


def toml(value: object) -> str:
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


@given(st.dictionaries(known_names, st.dictionaries(known_keys, toml_values, max_size=6), max_size=6))
def test_whatever_the_file_says_it_is_read_or_every_problem_has_both_languages(tmp_path_factory, document):
    lines = [
        line
        for name, table in document.items()
        for line in (f"[{name}]", *(f"{key} = {toml(value)}" for key, value in table.items()))
    ]
    path = tmp_path_factory.getbasetemp() / "any.toml"  # one file for all examples
    path.write_text("\n".join(lines))
    tomllib.loads(path.read_text())
    found: tuple[Problem, ...] | None = None
    try:
        load(path)
    except ConfigError as error:
        found = error.problems
    assert found is None or (found and all(problem.en and problem.zh and problem.key for problem in found))


# The shipped file


def uncommented(text: str) -> str:
    """The shipped file with every switched-off key and section on."""
    return re.sub(r"^#(?=\[|[a-z_]+ = )", "", text, flags=re.MULTILINE)


def test_the_shipped_file_says_the_defaults(monkeypatch):
    monkeypatch.chdir(SHIPPED.parent)
    shipped, embedded = load(SHIPPED), load(None)
    for name in settings.ALWAYS | settings.OPTIONAL:
        assert getattr(shipped, name) == getattr(embedded, name), name
    assert shipped.warnings == ()


def test_the_shipped_file_documents_every_key_and_no_other():
    document = tomllib.loads(uncommented(SHIPPED.read_text()))
    sections = settings.ALWAYS | settings.OPTIONAL
    assert {name: set(table) for name, table in document.items()} == {
        name: set(kind.__struct_fields__) for name, kind in sections.items()
    }
    for name, kind in sections.items():
        for field in msgspec.structs.fields(kind):
            if not field.required and field.default is not None:
                default = str(field.default) if isinstance(field.default, Path) else field.default
                assert document[name][field.name] == default, f"{name}.{field.name}"


def test_the_shipped_file_switches_off_only_what_has_no_default_or_is_the_profiles():
    active = tomllib.loads(SHIPPED.read_text())
    assert set(active) == set(settings.ALWAYS)
    profiles = settings.Config().profile.settings()
    for name, kind in settings.ALWAYS.items():
        with_default = {field.name for field in msgspec.structs.fields(kind) if field.default is not None}
        assert set(active[name]) == with_default - profiles.get(name, {}).keys(), name


def test_every_key_has_words_for_its_limits_in_both_languages():
    from agent.reading import expectation

    for kind in (settings.ALWAYS | settings.OPTIONAL).values():
        for field in msgspec.structs.fields(kind):
            en, zh = expectation(field.type)
            assert en
            assert zh


# Key files


def test_a_missing_vault_key_is_made_whole_private_and_only_once(tmp_path):
    path = tmp_path / "vault.key"
    key = ensure_key(path)
    assert len(key) == 32
    assert ensure_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == key.hex() + "\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_key_is_private_even_with_an_open_umask(tmp_path):
    old = os.umask(0)
    try:
        ensure_key(tmp_path / "vault.key")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "vault.key").stat().st_mode) == 0o600


def test_of_many_that_race_to_make_the_key_all_read_the_same(tmp_path):
    start, keys = threading.Barrier(8), []

    def make() -> None:
        start.wait()
        keys.append(ensure_key(tmp_path / "vault.key"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert len(keys) == 8


def test_a_key_that_cannot_be_made_is_a_problem_with_its_file(tmp_path):
    with pytest.raises(ConfigError, match="the key cannot be made"):
        ensure_key(tmp_path / "no-such-folder" / "vault.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o601, 0o644])
def test_a_key_that_others_may_read_is_refused_with_the_command_that_mends_it(tmp_path, mode):
    path = tmp_path / "mac.key"
    path.write_text("00" * 16)
    path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        read_key(path, (16, 24), "mac.key_file")
    (problem,) = caught.value.problems
    assert problem.key == "mac.key_file"
    assert problem.file == str(path)
    for lang in ("en", "zh"):
        assert f"chmod 600 {path}" in problem.reason(lang)


@pytest.mark.parametrize("text", ["", "00" * 15, "0" * 33, "xyz", "\xff", "00" * 5000])
def test_a_key_of_a_wrong_length_or_alphabet_is_refused_and_never_shown(tmp_path, text):
    path = tmp_path / "mac.key"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        read_key(path, (16, 24), "mac.key_file")
    assert caught.value.problems == (
        Problem(
            file=str(path),
            key="mac.key_file",
            en="the key must be 32 or 48 hexadecimal digits",
            zh="密钥应为 32 或 48 位十六进制数字",
        ),
    )


def keyed(tmp_path: Path, text: str = RIGHT, mac: str = "11" * 16) -> Path:
    """A right configuration with its MAC key."""
    key = tmp_path / "mac.key"
    key.write_text(mac)
    key.chmod(0o600)
    return write(tmp_path, text)


def test_the_files_of_a_right_configuration_have_no_problem(tmp_path):
    assert file_problems(load(keyed(tmp_path))) == []
    assert file_problems(load(keyed(tmp_path, RIGHT + '[mac]\nalgorithm = "x9.9"\n', "11" * 8))) == []


def test_every_file_that_is_missing_open_or_wrong_is_named_with_its_key(tmp_path):
    text = (
        'tls_enabled = true\ntls_ca = "ca"\ntls_cert = "c"\ntls_key = "k"\n'
        '[storage]\npath = "no/a.db"\n[hook]\nlisten = "127.0.0.1:1"\ntoken_file = "token"\n'
        '[mac]\nalgorithm = "x9.9"\n[wallet]\nurl = "https://w"\n'
        '[mqtt]\nurl = "mqtts://b"\nca = "ca"\ncert = "c"\nkey = "k"\n'
    )
    path = keyed(tmp_path, RIGHT + text)
    (tmp_path / "token").write_text("t")
    (tmp_path / "token").chmod(0o604)
    (tmp_path / "ca").write_text("public")
    (tmp_path / "vault.key").write_text("00")
    (tmp_path / "vault.key").chmod(0o600)
    found = {problem.key: problem.reason("en") for problem in file_problems(load(path))}
    assert set(found) == {
        "storage.path",
        "storage.key_file",
        "hook.token_file",
        "acquirer.tls_ca",
        "acquirer.tls_cert",
        "acquirer.tls_key",
        "mac.key_file",
        "wallet.key_file",
        "mqtt.ca",
        "mqtt.cert",
        "mqtt.key",
    }
    assert f"mkdir -p {tmp_path}/no" in found["storage.path"]
    assert f"chmod 600 {tmp_path}/token" in found["hook.token_file"]
    assert "16 hexadecimal digits" in found["mac.key_file"]


def test_the_mac_key_may_be_missing_only_while_the_embedded_defaults_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert file_problems(load(None)) == []
    assert [problem.key for problem in file_problems(load(write(tmp_path, RIGHT)))] == ["mac.key_file"]
