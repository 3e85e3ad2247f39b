"""A disk in memory whose power can be cut: what was written since the last sync is lost, kept or torn, sector by sector.

SQLite runs on it through a virtual file system of apsw. It has room for a stated number of bytes, counts its syncs, and can
fail a write or a sync. It models a disk that keeps its promise after a sync; one that lies about flushing is out of scope.
"""

from pathlib import Path
from random import Random
from typing import Any

import apsw

SECTOR = 512
_SERIAL = [0]


class PowerCut(BaseException):
    """The power went; nothing that runs may go on. Not an Exception, so that no handler takes it for its own."""


def _error(error: apsw.Error, code: int) -> apsw.Error:
    """apsw fills in the code only of errors that come from SQLite itself."""
    vars(error).update(result=code & 0xFF, extendedresult=code)
    return error


class Image:
    """One file: what a reader sees, and how to undo what was not synced yet."""

    __slots__ = ("data", "synced_size", "undo")

    def __init__(self, data: bytes | bytearray = b"") -> None:
        self.data = bytearray(data)
        self.undo: list[tuple[int, bytes]] = []
        self.synced_size = len(self.data)

    def write(self, data: bytes, offset: int) -> None:
        """Visible at once, durable after the next sync."""
        end = offset + len(data)
        if offset > len(self.data):
            self.data.extend(bytes(offset - len(self.data)))
        self.undo.append((offset, bytes(self.data[offset:end])))
        self.data[offset:end] = data

    def truncate(self, size: int) -> None:
        """Shorten or lengthen."""
        if size < len(self.data):
            self.undo.append((size, bytes(self.data[size:])))
            del self.data[size:]
        else:
            self.data.extend(bytes(size - len(self.data)))

    def sync(self) -> None:
        """Everything is durable."""
        self.undo.clear()
        self.synced_size = len(self.data)

    def cut(self, random: Random) -> None:
        """The power goes: every unsynced sector is lost, kept or torn; so is the size."""
        if not self.undo and self.synced_size == len(self.data):
            return
        new, durable = bytes(self.data), bytearray(self.data)
        touched: set[int] = set()
        for offset, old in reversed(self.undo):
            end = offset + len(old)
            if len(durable) < end:
                durable.extend(bytes(end - len(durable)))
            durable[offset:end] = old
        for offset, old in self.undo:
            touched.update(range(offset // SECTOR, (offset + max(len(old), 1) - 1) // SECTOR + 1))
        touched.update(range(self.synced_size // SECTOR, (len(new) + SECTOR - 1) // SECTOR))
        size = self.synced_size if random.random() < 0.5 else max(len(new), self.synced_size)
        durable.extend(bytes(max(0, size - len(durable))))
        for sector in sorted(touched):
            at, fate = sector * SECTOR, random.random()
            piece = new[at : at + SECTOR]
            if fate < 0.4:
                durable[at : at + len(piece)] = piece
            elif fate < 0.6 and piece:
                torn = random.randrange(len(piece))
                durable[at : at + torn] = piece[:torn]
        self.data = durable
        del self.data[size:]
        self.sync()


class Process:
    """Who has the files open. The handles of a dead one do nothing any more."""

    __slots__ = ("alive",)

    def __init__(self) -> None:
        self.alive = True


class Disk:
    """The files, and what the disk does to them. `cut_after` counts writes and syncs down to the power cut."""

    def __init__(self, room: int | None = None) -> None:
        self.files: dict[str, Image] = {}
        self.room = room
        self.writes = 0
        self.syncs = 0
        self.cut_after: int | None = None
        self.fail_after: int | None = None
        self.volatile = True  # False: nobody will cut the power, so what is unsynced need not be remembered
        self.process = Process()

    def operation(self) -> None:
        """One write or sync is about to happen: is it the one at which the power goes, or that fails?"""
        if self.cut_after is not None:
            self.cut_after -= 1
            if self.cut_after < 0:
                self.process.alive = False
                raise PowerCut
        if self.fail_after is not None:
            self.fail_after -= 1
            if self.fail_after < 0:
                self.fail_after = None
                raise _error(apsw.IOError("the disk failed"), apsw.SQLITE_IOERR_WRITE)

    def check_room(self, growth: int) -> None:
        """Raise SQLITE_FULL when the disk cannot take so many bytes more."""
        if self.room is not None and growth > 0 and sum(len(file.data) for file in self.files.values()) + growth > self.room:
            raise _error(apsw.FullError("the disk is full"), apsw.SQLITE_FULL)

    def end_process(self) -> None:
        """The process ends; what it wrote stays in the page cache."""
        self.process.alive = False
        self.process = Process()

    def power_cut(self, random: Random) -> None:
        """What is left after the power came back."""
        self.end_process()
        self.cut_after = self.fail_after = None
        for name in sorted(self.files):
            self.files[name].cut(random)


class _File:
    """An open file, in apsw's terms. A handle of a process that is dead does nothing any more."""

    def __init__(self, disk: Disk, name: str) -> None:
        self._disk = disk
        self._image = disk.files[name]
        self._process = disk.process
        self.excepthook = None

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._image.data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        disk = self._disk
        if not self._process.alive:
            return
        disk.writes += 1
        if disk.cut_after is not None or disk.fail_after is not None:
            disk.operation()
        image = self._image
        held = image.data
        if disk.room is not None:
            disk.check_room(offset + len(data) - len(held))
        if disk.volatile or offset > len(held):
            image.write(data, offset)
        else:
            held[offset : offset + len(data)] = data

    def xTruncate(self, size: int) -> None:
        if self._process.alive:
            self._disk.operation()
            self._image.truncate(size)

    def xSync(self, _flags: int) -> None:
        if self._process.alive:
            self._disk.operation()
            self._disk.syncs += 1
            self._image.sync()

    def xFileSize(self) -> int:
        return len(self._image.data)

    def xFileControl(self, _op: int, _pointer: int) -> bool:
        return False

    def xCheckReservedLock(self) -> bool:
        return False

    def xLock(self, _level: int) -> None:
        pass

    def xUnlock(self, _level: int) -> None:
        pass

    def xClose(self) -> None:
        pass

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        return 0


class FileSystem(apsw.VFS):
    """The virtual file system of one disk. Register it once, use it for every life of the disk."""

    def __init__(self) -> None:
        _SERIAL[0] += 1
        self.vfs_name = f"powercut-{_SERIAL[0]}"
        self.disk = Disk()
        super().__init__(self.vfs_name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        key = "temporary" if name is None else Path(name.filename() if hasattr(name, "filename") else name).name
        if key not in self.disk.files:
            if not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError("no such file")
            self.disk.files[key] = Image()
        flags[1] = flags[0]
        return _File(self.disk, key)

    def xDelete(self, filename: str, _syncdir: bool) -> None:
        # A WAL is deleted only by an orderly close, and nobody here closes so: it is a dead connection being collected.
        disk = getattr(self, "disk", None)  # at the interpreter's end it may be gone before the connection
        if disk is not None and disk.process.alive and not filename.endswith("-wal"):
            disk.operation()
            disk.files.pop(Path(filename).name, None)

    def xAccess(self, pathname: str, _flags: int) -> bool:
        return Path(pathname).name in self.disk.files

    def xFullPathname(self, name: str) -> str:
        return name

    def connect(self, name: str) -> "Connection":
        """Open a database on the disk as it is now. What was open before is dead."""
        self.disk.end_process()
        return Connection(apsw.Connection(name, vfs=self.vfs_name, statementcachesize=256), self.disk.process)


class Connection:
    """apsw's connection as the journal's adapter wants it: `execute(sql, parameters)` and `in_transaction`."""

    def __init__(self, connection: apsw.Connection, process: Process) -> None:
        self._connection = connection
        self._process = process
        self.execute = connection.execute  # (sql, parameters), as the journal's adapter calls it
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # the shared index of the WAL stays in this process's memory

    @property
    def in_transaction(self) -> bool:
        """True between BEGIN and COMMIT."""
        return self._connection.in_transaction

    def close(self) -> None:
        """Close as a kill does: nothing more is written."""
        self._process.alive = False
        self._connection.close(force=True)

    def __del__(self) -> None:
        self._process.alive = False
