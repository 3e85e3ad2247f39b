"""Where the broker is and how to be sure of it: the address, and TLS with the terminal's own certificate."""

import re
import ssl
from pathlib import Path
from typing import Final

import msgspec

from device.errors import DeviceError

PORT: Final = 1883
TLS_PORT: Final = 8883

_ADDRESS: Final = re.compile(r"(?P<scheme>mqtts?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::(?P<port>[0-9]{1,5}))?/?")


class BrokerAddressError(DeviceError):
    """The broker's address or its certificates are wrong: a mistake in the configuration, which the text names."""


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """A broker's address. `ca` None trusts the system's authorities; `cert` and `key` are the terminal's own (PEM)."""

    host: str
    port: int
    tls: bool
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    def tls_context(self) -> ssl.SSLContext | None:
        """TLS 1.2 or better, the broker's name checked, our certificate shown. None without TLS. Reads the files."""
        if not self.tls:
            return None
        context = _trusting(self.ca)
        context.sslsocket_class = _Socket
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert is not None and self.key is not None:
            _show(context, self.cert, self.key)
        return context


class _Socket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho forgets."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def parse_broker(url: str, ca: Path | None = None, cert: Path | None = None, key: Path | None = None) -> Broker:
    """Read `mqtt://host:1883` or `mqtts://host:8883`; the port may be left out. Raises BrokerAddressError."""
    match = _ADDRESS.fullmatch(url)
    if match is None:
        raise BrokerAddressError("the broker's address must be mqtt://host:1883, or mqtts://host:8883 for TLS")
    tls = match["scheme"] == "mqtts"
    port = int(match["port"]) if match["port"] else (TLS_PORT if tls else PORT)
    if not 1 <= port <= 65_535:
        raise BrokerAddressError(f"{port} is not a port: the broker's address must end in a port from 1 to 65535")
    if not tls and (ca or cert or key):
        raise BrokerAddressError("ca, cert and key are for TLS: the broker's address must start with mqtts://")
    if (cert is None) != (key is None):
        raise BrokerAddressError("cert and key belong together: set both or neither")
    return Broker(host=match["host"].strip("[]"), port=port, tls=tls, ca=ca, cert=cert, key=key)


def _trusting(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise BrokerAddressError(f"ca {ca} cannot be used: {_why(error)}; give a PEM file of the broker's CA") from None


def _show(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    def no_password() -> str:
        raise BrokerAddressError(f"key {key} asks for a password: give a PEM key without one, mode 0600")

    for what, path in (("cert", cert), ("key", key)):
        try:
            path.open("rb").close()
        except OSError as error:
            raise BrokerAddressError(f"{what} {path} cannot be read: {_why(error)}") from None
    try:
        context.load_cert_chain(cert, key, password=no_password)
    except (OSError, ssl.SSLError) as error:
        raise BrokerAddressError(f"cert {cert} and key {key} cannot be used together: {_why(error)}") from None


def _why(error: OSError) -> str:
    """ssl errors are OSErrors with a reason such as KEY_VALUES_MISMATCH; the others have the system's words."""
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else (error.strerror or "not a PEM file")
