"""aiohttp for a small machine: loaded without the certificate authorities that its import reads twice.

aiohttp makes two TLS contexts when it is imported and fills one with every authority of the system: 2 MB of memory and up to a
fifth of the agent's start, for contexts that the agent never uses. Whoever calls an https address takes `authorities()`.
"""

import os
import ssl
from functools import cache

_NAMES = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # OpenSSL's own variables for where the authorities are


def load() -> None:
    """Import aiohttp without the authorities. Its ready-made contexts then trust nobody, so that a forgotten `ssl=` fails."""
    before = {name: os.environ.get(name) for name in _NAMES}
    os.environ.update(dict.fromkeys(_NAMES, os.devnull))
    try:
        import aiohttp  # noqa: F401  (to have it loaded is the purpose)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@cache
def authorities() -> ssl.SSLContext:
    """The system's authorities, read when they are first needed."""
    return ssl.create_default_context()
