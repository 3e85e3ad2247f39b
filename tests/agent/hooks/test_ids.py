"""Ids of what comes in."""

import time
from uuid import RFC_4122, UUID

import pytest

from agent.hooks.ids import new_id


def test_every_id_is_another_uuid_of_version_7() -> None:
    drawn = [new_id() for _ in range(1_000)]
    assert len(set(drawn)) == len(drawn)
    for text in drawn:
        assert (str(UUID(text)), UUID(text).version, UUID(text).variant) == (text, 7, RFC_4122)


def test_a_later_one_stands_behind_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for second in (0, 1, 1_772_416_800, 1_772_416_801, 4_102_444_800):
        monkeypatch.setattr(time, "time_ns", lambda now=second: now * 1_000_000_000)
        drawn.append(new_id())
    assert drawn == sorted(drawn)
    assert int(drawn[2].replace("-", "")[:12], 16) == 1_772_416_800_000
