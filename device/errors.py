"""One error tree for everything outside the process. Each error says whose fault it is and what to do.

    DeviceError                     the outside did not do what was asked
    ├── LinkError                   the line to the acquirer
    │   ├── LinkDown                no connection; no byte of ours has left
    │   ├── LinkLost                the connection ended after bytes of ours had left
    │   ├── LinkSilent              no answer within the time given
    │   └── TlsUnusable             a certificate, key or authority file cannot be used; `files` says which
    ├── MessageError                a message could not be packed or read; never carries its content
    │   ├── LocalMessageError       we tried to send something impossible: our fault or the caller's
    │   └── RemoteMessageError      the peer sent something impossible: the peer's fault
    ├── MacError                    a MAC could not be made (no key, no service)
    ├── WalletUnreached             the wallet gateway: no byte of a call left, so it asked for nothing
    ├── WalletUnclear               the wallet gateway may have heard a call, and gave no usable answer
    └── PortError                   a serial, USB or TCP port
        ├── PortUnavailable         missing, not permitted, held by another process, or not what it was said to be
        ├── PortLost                the device went away while it was open; `accepted_bytes` says how many it took
        └── PortStalled             the device stopped taking bytes; `accepted_bytes` says how many it took

    Explained                       a simulator was started or ordered wrongly: said in both languages
"""

from pathlib import Path


class Explained(Exception):
    """Of whoever typed it, or of the machine it was typed on: English as text, the same in Chinese as `zh`."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.zh = zh


class DeviceError(Exception):
    """The outside did not do what was asked."""


class LinkError(DeviceError):
    """The line to the acquirer failed."""


class LinkDown(LinkError):
    """No connection could be made. No byte of ours has left, so nothing is in doubt because of it."""


class LinkLost(LinkError):
    """The connection ended after bytes of ours had left: the peer may have acted on them."""


class LinkSilent(LinkError):
    """No answer came within the time given."""


class TlsUnusable(LinkError):
    """A certificate, key or authority file cannot be used for TLS: these `files`, for this `reason`, the system's word."""

    def __init__(self, text: str, files: tuple[Path, ...], reason: str) -> None:
        super().__init__(f"{text} cannot be used: {reason}")
        self.files = files
        self.reason = reason


class MessageError(DeviceError):
    """A message could not be packed or read. Its text never carries content: a PAN could be in it."""


class LocalMessageError(MessageError):
    """We tried to send something impossible."""


class RemoteMessageError(MessageError):
    """The peer sent something impossible."""


class MacError(DeviceError):
    """A MAC could not be made: no key, a wrong key, or no service."""


class WalletUnreached(DeviceError):
    """The wallet gateway could not be connected to. No byte left, so nothing was asked for."""


class WalletUnclear(DeviceError):
    """The wallet gateway was silent, refused, or answered what cannot be read. The call may have had its effect."""


class PortError(DeviceError):
    """A serial, USB or TCP port failed."""


class PortUnavailable(PortError):
    """The port could not be opened. `cause`: missing, permission, held, wrong_device, refused or failed."""

    def __init__(self, message: str, cause: str = "failed") -> None:
        super().__init__(message)
        self.cause = cause


class PortLost(PortError):
    """The device went away while it was open: unplugged, or the peer closed."""

    def __init__(self, message: str, accepted_bytes: int = 0) -> None:
        super().__init__(message)
        self.accepted_bytes = accepted_bytes


class PortStalled(PortError):
    """The device stopped taking bytes before the deadline."""

    def __init__(self, message: str, accepted_bytes: int) -> None:
        super().__init__(message)
        self.accepted_bytes = accepted_bytes
