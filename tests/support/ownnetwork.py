"""A network of the test's own: this process moves into a new network namespace, whose loopback link it can cut.

Works for root and, where the kernel lets ordinary users make namespaces, for them. Only for a process that does nothing
else: it cannot go back.
"""

import ctypes
import fcntl
import os
import socket
import struct

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def enter() -> bool:
    """Leave the machine's network for an own one, with its loopback link down. False where the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    wanted = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    return bool(libc.unshare(wanted) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def loopback(up: bool) -> None:
    """Cut the loopback link, or mend it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack("16sH14x", answer)[1]
        flags = flags | _IFF_UP if up else flags & ~_IFF_UP
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags))
