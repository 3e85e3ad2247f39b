"""The disk whose power can be cut: what was synced stays, what was not may be lost, kept or torn, sector by sector."""

from random import Random

import apsw
import pytest

from tests.sim.books import NAME, Journal
from tests.sim.disk import SECTOR, Disk, FileSystem, Image, PowerCut


def test_what_was_synced_survives_every_cut() -> None:
    for seed in range(50):
        image = Image()
        image.write(b"a" * 5_000, 0)
        image.sync()
        image.write(b"b" * 2_000, 1_000)
        image.cut(Random(seed))
        assert image.data[:512] == b"a" * 512
        assert image.data[3_584:] == b"a" * 1_416


def test_an_unsynced_sector_is_lost_kept_or_torn() -> None:
    fates = set()
    for seed in range(200):
        image = Image(b"a" * SECTOR)
        image.write(b"b" * SECTOR, 0)
        image.cut(Random(seed))
        sector = bytes(image.data)
        torn = sector.rstrip(b"a")
        assert torn == b"b" * len(torn)
        fates.add("lost" if not torn else "kept" if len(torn) == SECTOR else "torn")
    assert fates == {"lost", "kept", "torn"}


def test_two_sectors_have_each_their_own_fate() -> None:
    outcomes = set()
    for seed in range(100):
        image = Image(b"a" * (2 * SECTOR))
        image.write(b"b" * (2 * SECTOR), 0)
        image.cut(Random(seed))
        outcomes.add((image.data[0], image.data[SECTOR]))
    assert {(97, 98), (98, 97)} <= outcomes, "the later one may be there and the earlier one not"


def test_an_unsynced_length_may_be_lost() -> None:
    sizes = set()
    for seed in range(50):
        image = Image(b"a" * 100)
        image.write(b"b" * 100, 100)
        image.cut(Random(seed))
        sizes.add(len(image.data))
    assert sizes == {100, 200}


def test_what_was_overwritten_twice_falls_back_to_what_was_synced() -> None:
    image = Image(b"a" * SECTOR)
    image.write(b"b" * SECTOR, 0)
    image.write(b"c" * SECTOR, 0)
    outcomes = set()
    for seed in range(60):
        again = Image(b"a" * SECTOR)
        again.write(b"b" * SECTOR, 0)
        again.write(b"c" * SECTOR, 0)
        again.cut(Random(seed))
        outcomes.add(again.data[0])
    assert outcomes == {97, 99}


def test_a_truncation_is_undone_or_kept() -> None:
    sizes = set()
    for seed in range(50):
        image = Image(b"a" * 2_000)
        image.truncate(100)
        image.cut(Random(seed))
        assert bytes(image.data[:100]) == b"a" * 100
        sizes.add(len(image.data))
    assert sizes >= {2_000}


def test_the_power_goes_at_the_stated_operation_and_the_process_is_dead() -> None:
    system = FileSystem()
    connection = system.connect("x.db")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t(x)")
    system.disk.cut_after = 2
    with pytest.raises(PowerCut):
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    before = {name: bytes(image.data) for name, image in system.disk.files.items()}
    connection.close()
    assert {name: bytes(image.data) for name, image in system.disk.files.items()} == before


def test_a_full_disk_and_a_failing_one_speak_as_sqlite_does() -> None:
    disk = Disk(room=10)
    with pytest.raises(apsw.FullError) as full:
        disk.check_room(11)
    assert vars(full.value)["extendedresult"] == apsw.SQLITE_FULL
    disk.fail_after = 0
    with pytest.raises(apsw.IOError) as failed:
        disk.operation()
    assert vars(failed.value)["extendedresult"] & 0xFF == apsw.SQLITE_IOERR
    disk.operation()  # once only


def test_a_world_begins_with_a_journal_just_made() -> None:
    first = Journal(Random(1))
    state = first.load()
    assert not state.transactions
    first.disk.files[NAME].data[:] = b"spoilt"
    assert not Journal(Random(1)).load().transactions
