"""Who may command terminals: Ed25519 keys as files, and commands signed with one of them.

The private key stays with the operator; terminals hold the public line (`mqtt.command_keys_file`). Two lines there make a
change of keys possible without a moment in which no command is believed.
"""

import os
import time
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.commandform import key_name, signed_bytes
from agent.envelope import Command
from fleet.errors import KeyFileError

EARLY_MS: Final = 30_000  # a terminal's clock may be slow by so much and takes a command that was signed just now
_FILE_CHARACTERS_MAX: Final = 200


class Signer:
    """One private key. Make it with `load`."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.name = key_name(self.public)

    def line(self, whose: str) -> str:
        """The line by which terminals know this key."""
        return f"ed25519 {self.public.hex()} {whose}".rstrip()

    def command(self, fleet: str, sn: str, name: str, args: dict[str, Any], valid_s: float) -> Command:
        """A new command, valid from a little before now on. Raises EnvelopeError for arguments that cannot be signed."""
        now_ms = time.time_ns() // 1_000_000
        unsigned = Command(
            fleet=fleet, sn=sn, id=str(uuid4()), name=name, args=args, not_before=now_ms - EARLY_MS,
            expires=now_ms + int(valid_s * 1_000), key=self.name, sig="",
        )
        return msgspec.structs.replace(unsigned, sig=self._key.sign(signed_bytes(unsigned)).hex())


def load(path: Path) -> Signer:
    """The key in `path`. Raises KeyFileError."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            text = file.read(_FILE_CHARACTERS_MAX)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; make a key with: reversald-fleet key new {path}") from None
    if mode & 0o077:
        raise KeyFileError(f"{path}: mode {mode:04o} lets others read it; run: chmod 600 {path}")
    try:
        return Signer(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text.decode("ascii"))))
    except ValueError:
        raise KeyFileError(f"{path}: this is no key: 64 hexadecimal digits are wanted") from None


def make(path: Path) -> Signer:
    """A new key in a new file of mode 0600; never in the place of another. Raises KeyFileError."""
    signer = Ed25519PrivateKey.generate()
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(signer.private_bytes_raw().hex() + "\n")
            file.flush()
            os.fsync(handle)
    except FileExistsError:
        raise KeyFileError(f"{path} is there already: a key is never written over; name another file") from None
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    return Signer(signer)
