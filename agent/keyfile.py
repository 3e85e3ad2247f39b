"""Key files: hexadecimal, mode 0600, made without ever being readable by others, and never half-written."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from agent.problem import ConfigError, Problem

_LENGTH_MAX = 4096  # characters in a key file: far above any key, so that a wrong path is not slurped


def ensure_key(path: Path, length: int = 32) -> bytes:
    """The key in `path`; made from the system's randomness (`length` bytes) when the file is missing.

    The file is written under another name with mode 0600, synced, and then linked to its name: it is never readable
    by others, a power cut leaves either no key or the whole key, and of two processes that race both read the same.
    """
    if not path.exists():
        _make(path, length)
    return read_key(path, (length,), "storage.key_file")


def read_key(path: Path, lengths: tuple[int, ...], key: str) -> bytes:
    """The bytes of the key in `path`, which must be one of `lengths` long. `key` names the setting in the error."""
    digits = " or ".join(str(n * 2) for n in lengths)
    digits_zh = " 或 ".join(str(n * 2) for n in lengths)
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(_LENGTH_MAX)
    except FileNotFoundError:
        en = f"the key is missing: write its {digits} hexadecimal digits to this file, with mode 0600"
        zh = f"缺少密钥：请将 {digits_zh} 位十六进制密钥写入此文件，权限 0600"
        raise ConfigError((Problem(file=str(path), key=key, en=en, zh=zh),)) from None
    except OSError as error:
        raise ConfigError((unreadable(path, key, error),)) from None
    if mode & 0o077:
        raise ConfigError((too_open(path, key, mode),))
    try:
        value = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        value = b""
    if len(value) not in lengths:
        en, zh = f"the key must be {digits} hexadecimal digits", f"密钥应为 {digits_zh} 位十六进制数字"
        raise ConfigError((Problem(file=str(path), key=key, en=en, zh=zh),))
    return value


def read_public_keys(path: Path, key: str) -> dict[str, bytes]:
    """The public keys in `path` by name, as lines `ed25519 <hex> [whose]`. Raises ConfigError."""
    from agent.commandform import KEYS_MAX, read_keys  # only a terminal with a fleet has such a file

    try:
        with path.open("rb") as file:
            return read_keys(file.read(_LENGTH_MAX).decode("utf-8"))
    except OSError as error:
        raise ConfigError((unreadable(path, key, error),)) from None
    except ValueError as error:
        zh = f"应为 1 到 {KEYS_MAX} 行公钥：ed25519 加 64 位十六进制数字，其后可写所有者"
        raise ConfigError((Problem(file=str(path), key=key, en=str(error), zh=zh),)) from None


def unreadable(path: Path, key: str, error: OSError) -> Problem:
    """The problem of a file that is missing or may not be read."""
    if isinstance(error, FileNotFoundError):
        return Problem(file=str(path), key=key, en="the file is missing", zh="文件不存在")
    return Problem(file=str(path), key=key, en=f"cannot be read: {error.strerror}", zh=f"无法读取: {error.strerror}")


def too_open(path: Path, key: str, mode: int) -> Problem:
    """The problem of a secret that other users of the machine may read."""
    return Problem(
        file=str(path),
        key=key,
        en=f"mode {mode:04o} lets others read it; run: chmod 600 {path}",
        zh=f"权限 {mode:04o} 使他人可读，请执行: chmod 600 {path}",
    )


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to disk: a new or moved file is there after a power cut. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make(path: Path, length: int) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_hex(length).encode() + b"\n")
            file.flush()
            os.fsync(handle)
        with contextlib.suppress(FileExistsError):  # another process was first: its key is the key
            path.hardlink_to(draft)
        sync_folder(path.parent)
    except OSError as error:
        problem = Problem(
            file=str(path),
            key="storage.key_file",
            en=f"the key cannot be made: {error.strerror}",
            zh=f"无法生成密钥: {error.strerror}",
        )
        raise ConfigError((problem,)) from None
    finally:
        draft.unlink(missing_ok=True)
