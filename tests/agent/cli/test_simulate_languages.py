"""What a simulator is told wrongly it says in the language of whoever typed it, as every command does."""

import re
from pathlib import Path

import pytest

from agent import exits
from agent.cli.simulatetexts import SIMULATED
from tests.device.acquirer import certificates
from tests.support.technician import say

HAN = re.compile(r"[一-鿿]")
MISTAKES = [
    ("acquirer", "--set", "0200"),
    ("acquirer", "--set", "0200=oops"),
    ("acquirer", "--set", "0200=ok@2"),
    ("acquirer", "--scenario", "200=ok"),
    ("acquirer", "--scenario", "0200=" + ",".join(["ok"] * 20_000)),
    ("acquirer", "--key-file", "/nonexistent/mac.key"),
    ("acquirer", "--tpdu", "6"),
    ("acquirer", "--tls-key", "key.pem"),
    ("acquirer", "--tls-cert", "/nonexistent/cert.pem"),
    ("acquirer", "--ledger", "/nonexistent/ledger.json"),
    ("acquirer", "--profile", "nobody"),
    ("acquirer", "--control", "nowhere"),
    ("acquirer", "--control", "0.0.0.0:1"),
    ("acquirer", "--host", "192.0.2.1"),
    ("wallet", "--set", "cancel"),
    ("wallet", "--set", "pay=lie"),
    ("wallet", "--set", "cancel=eaten"),
    ("wallet", "--set", "cancel=lie@x"),
    ("wallet", "--key-file", "/nonexistent/wallet.key"),
    ("wallet", "--tls-key", "key.pem"),
    ("wallet", "--tls-cert", "/nonexistent/cert.pem"),
    ("wallet", "--host", "192.0.2.1"),
    ("wallet", "--host", "a" * 64),  # longer than a label of a name may be
    ("payapp", "--host", "nowhere"),
    ("payapp", "--key-file", "/nonexistent/mac.key"),
    ("printer", "--tcp", "nowhere"),
    ("printer", "--bridge", "nowhere"),
    ("printer", "--tcp", "127.0.0.1:0", "--bridge", "unix:/x"),
    ("printer", "--tcp", "127.0.0.1:0", "--link", "/x"),
    ("printer", "--link", "/nonexistent/printer"),
    ("display", "--link", "/nonexistent/display"),
]


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_is_said_in_both_languages_with_the_same_exit_code(words: tuple[str, ...]) -> None:
    peer, *options = words
    port = () if peer in {"printer", "display"} else ("--port", "0")
    chinese, english = (say(None, "simulate", peer, *port, *options, "--lang", lang) for lang in ("zh", "en"))
    assert chinese.code == english.code
    assert chinese.code in {exits.USAGE, exits.UNAVAILABLE, exits.CONFIGURATION}
    assert HAN.search(chinese.err)
    assert not HAN.search(english.err)
    for said in (chinese, english):
        assert said.err.startswith("reversald: ")
        assert said.err.count("\n") == 1


@pytest.mark.parametrize("peer", ["acquirer", "wallet"])
def test_the_file_that_cannot_be_used_for_tls_is_named_in_both(tmp_path: Path, peer: str) -> None:
    (tmp_path / "other").mkdir()
    (_, cert, key), stranger = certificates.make(tmp_path), certificates.make(tmp_path / "other").key
    none = tmp_path / "none.pem"
    none.write_text("no certificate")
    wrong = {("--tls-cert", none): f"{none}", ("--tls-cert", cert, "--tls-key", stranger): f"{cert}, {stranger}"}
    if peer == "acquirer":
        wrong |= {("--tls-cert", cert, "--tls-key", key, "--tls-ca", ca): f"{ca}" for ca in (none, tmp_path / "away.pem")}
    for options, named in wrong.items():
        for lang, words in (("zh", "无法用于 TLS"), ("en", "cannot be used for TLS")):
            said = say(None, "simulate", peer, "--port", "0", *map(str, options), "--lang", lang)
            assert (said.code, f"{named} {words}" in said.err, said.err.count("\n")) == (exits.USAGE, True, 1), said.err


def test_a_picture_that_cannot_be_made_is_explained_in_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVERSALD_FONT", str(tmp_path / "none.ttf"))
    for lang, words in (("zh", "不存在:请更正"), ("en", "which is not there: correct it")):
        said = say(None, "simulate", "printer", "--output", str(tmp_path), "--lang", lang)
        assert (said.code, words in said.err) == (exits.UNAVAILABLE, True)


def test_every_text_has_both() -> None:
    for zh, en in SIMULATED.values():
        assert HAN.search(zh)
        assert not HAN.search(en)
