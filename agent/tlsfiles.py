"""TLS files tried out before anybody needs them: an authority that holds certificates, a key that is its certificate's."""

import ssl
from collections.abc import Iterator
from pathlib import Path

from agent.problem import Problem

_MISMATCH = "KEY_VALUES_MISMATCH"


class _PasswordWanted(Exception):
    """Nobody is there to type one."""


def authority(name: str, path: Path) -> Iterator[Problem]:
    """What keeps the file `path`, which the setting `name` names, from being an authority that is trusted."""
    try:
        ssl.create_default_context(cafile=path)
    except OSError:  # ssl.SSLError is one
        yield Problem(file=str(path), key=name, en="holds no certificate in PEM form", zh="不含 PEM 格式的证书")


def identity(name: str, cert: Path, key_name: str, key: Path) -> Iterator[Problem]:
    """What keeps `cert` and `key` from being shown as ours; `name` and `key_name` are the settings that name them."""

    def nobody() -> str:
        raise _PasswordWanted

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, nobody)
    except _PasswordWanted:
        en, zh = "asks for a password: write the key without one, with mode 0600", "私钥带口令：请改为无口令私钥，权限 0600"
        yield Problem(file=str(key), key=key_name, en=en, zh=zh)
    except OSError as error:
        if getattr(error, "reason", None) == _MISMATCH:
            en, zh = f"is not the certificate of the key in {key}", f"与私钥 {key} 不匹配"
        else:
            en, zh = f"is no certificate in PEM form, or {key} no key in it", f"不是 PEM 格式的证书，或 {key} 不是 PEM 私钥"
        yield Problem(file=str(cert), key=name, en=en, zh=zh)
