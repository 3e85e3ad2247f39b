"""The broker as the command line names it: an address, and for TLS the files that prove who is who."""

import re
import ssl
from pathlib import Path
from typing import Final, NamedTuple

from fleet.errors import AddressError

_ADDRESS: Final = re.compile(r"(?P<scheme>mqtts?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::(?P<port>[0-9]{1,5}))?/?")


class Address(NamedTuple):
    """Where the broker is; `tls` is None for plain MQTT."""

    host: str
    port: int
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtt' if self.tls is None else 'mqtts'}://{host}:{self.port}"


def parse(url: str, ca: Path | None = None, cert: Path | None = None, key: Path | None = None) -> Address:
    """Read `mqtt://host:1883` or `mqtts://host:8883` (ports may be left out). Raises AddressError."""
    match = _ADDRESS.fullmatch(url)
    if match is None:
        raise AddressError("--broker must be mqtt://host:1883, or mqtts://host:8883 for TLS")
    tls = match["scheme"] == "mqtts"
    port = int(match["port"]) if match["port"] else (8883 if tls else 1883)
    if not 1 <= port <= 65_535:
        raise AddressError(f"--broker: {port} is not a port, which is 1 to 65535")
    if not tls and (ca or cert or key):
        raise AddressError("--ca, --cert and --key are for TLS: --broker must start with mqtts://")
    if (cert is None) != (key is None):
        raise AddressError("--cert and --key belong together: give both or neither")
    return Address(match["host"].strip("[]"), port, _context(ca, cert, key) if tls else None)


def _context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if cert is not None:
            context.load_cert_chain(cert, key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "not PEM files"
        raise AddressError(f"--ca, --cert or --key cannot be used: {str(reason).lower().replace('_', ' ')}") from None
    return context
