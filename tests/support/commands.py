"""The fleet's commands in tests: a fixed key, commands signed by hand, and the operator's program as a real process."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.commandform import key_name, signed_bytes
from agent.envelope import Command
from fleet.signing import Signer
from tests.support.agent import ROOT

PRIVATE = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(PRIVATE)
PUBLIC = KEY.public_key().public_bytes_raw()
NAME = key_name(PUBLIC)
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
FLEET, SN = "demo", "T0000001"


def signed(name: str, args: dict[str, Any] | None = None, *, by: Ed25519PrivateKey = KEY, **fields: Any) -> Command:
    """A command; `fields` replaces what is not said."""
    usual: dict[str, Any] = {
        "fleet": FLEET, "sn": SN, "id": "c-1", "name": name, "args": args or {}, "not_before": 1_000, "expires": 601_000,
        "key": NAME, "sig": "",
    }
    command = Command(**(usual | fields))
    return msgspec.structs.replace(command, sig=fields.get("sig", by.sign(signed_bytes(command)).hex()))


def write_keys(folder: Path) -> tuple[Path, Path]:
    """(private key for the operator, list of public keys for the terminal) in `folder`."""
    private, public = folder / "fleet.key", folder / "command-keys"
    private.touch(0o600)
    private.write_text(PRIVATE.hex())
    public.write_text(Signer(KEY).line("tests") + "\n")
    return private, public


def fleet(*words: str, timeout: float = 60.0) -> "subprocess.CompletedProcess[str]":
    """`reversald-fleet …` until it ends."""
    argv = [sys.executable, "-m", "fleet", *words]
    return subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, timeout=timeout, check=False)


class Desk:
    """The operator at one broker: `order` sends one command to the terminal and waits for its answer."""

    def __init__(self, folder: Path, url: str) -> None:
        self.private, self.public = write_keys(folder)
        self._broker = ("--broker", url, "--fleet", FLEET, "--signing-key", str(self.private), "--lang", "en")

    def run(self, *words: str, valid: float = 60.0) -> "subprocess.CompletedProcess[str]":
        """One command of the program, with the broker's options."""
        return fleet(*words, *self._broker, "--valid", str(valid), timeout=valid + 60.0)

    def order(self, name: str, *words: str, code: int = 0, valid: float = 60.0) -> dict[str, Any]:
        """The terminal's last word on it."""
        done = self.run("command", SN, name, *words, "--wait", "--json", valid=valid)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return msgspec.json.decode(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]
