"""`reversald simulate wallet`: what it is told wrongly it says, and its help names every fault and fate."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.commands import cli
from device.simulator.wallet.faults import WORDS
from device.simulator.wallet.model import FATES


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "cancel"], "says nothing"),
        (["--set", "pay=lie"], "is no call"),
        (["--set", "cancel=eaten"], "unknown fault"),
        (["--scenario", "query=ok,eaten"], "unknown fault"),
        (["--key-file", "/nowhere.key"], "the key is missing"),
        (["--tls-key", "/nowhere.pem"], "--tls-key needs --tls-cert"),
        (["--tls-cert", "/nowhere.pem"], "cannot be used"),
    ],
)
def test_a_wrong_option_is_explained(options: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, ["simulate", "wallet", "--port", "0", "--lang", "en", *options])
    assert result.exit_code in {2, 64}
    assert said in result.output


def test_a_port_that_is_taken_is_exit_code_69(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(cli, ["simulate", "wallet", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 69


def test_the_help_names_every_fault_and_every_fate() -> None:
    text = CliRunner().invoke(cli, ["simulate", "wallet", "--help"]).output
    assert all(word.partition(":")[0] in text for word in (*WORDS, *FATES))
