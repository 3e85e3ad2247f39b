"""A USB printer through the kernel's printer class: `/dev/usb/lp0` and its like. The kernel lets one program open it."""

import fcntl
import os
import struct

from device.descriptor import DescriptorPort, Ioctl, unavailable

LPGETSTATUS = 0x060B  # linux/lp.h
_PAPER_OUT = 0x20


class UsbPort(DescriptorPort):
    """Beside the printer's own answers the USB class has one status byte; many printers answer only there, or always "fine".

    So its "no paper" is believed and its "paper" is not.
    """

    hangup_is_loss = False  # a printer may send empty packets; unplugging is an error of read and write

    def __init__(self, path: str, bytes_per_s: float, ioctl: Ioctl = fcntl.ioctl) -> None:
        super().__init__(path, bytes_per_s, ioctl)

    def _open(self) -> int:
        try:
            fd = os.open(self.name, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            raise unavailable(self.name, error.errno, str(error.strerror)) from None
        try:
            self._ioctl(fd, LPGETSTATUS, bytes(4))
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise unavailable(self.name, error.errno, str(error.strerror)) from None
        return fd

    def paper_out(self) -> bool:
        """The USB class status byte says that paper is missing."""
        try:
            return bool(struct.unpack("i", self._ioctl(self._fd, LPGETSTATUS, bytes(4)))[0] & _PAPER_OUT)
        except OSError:
            return False

    def _discard(self) -> None:
        """The kernel drops a transfer under way only when the device is closed: the next `open` starts afresh."""
        os.close(self._fd)
        self._fd = -1
