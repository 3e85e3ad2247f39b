"""Faults as words: what they mean, in which order they are met, and how mistakes are named."""

from random import Random

import pytest

from device.simulator.faults import NO_FAULT, WORDS, Fault, Faults, fault
from device.simulator.script import SCRIPT_MAX, FaultError


def test_every_documented_word_is_understood() -> None:
    for word in WORDS:
        fault(word.replace("MS", "5").replace("CODE", "96").replace("FEN", "5"))


def test_words_add_up() -> None:
    assert fault("delay:200+bad-mac+duplicate") == Fault(
        delay_ms=200, mac="broken", duplicate=True, text="delay:200+bad-mac+duplicate")
    assert fault("a0+processed@0.25") == Fault(code="A0", processed=True, chance=0.25, text="a0+processed@0.25")


@pytest.mark.parametrize("text", ["", "drop-everything", "delay", "delay:", "delay:-1", "delay:600001", "late:x", "961",
                                  "十六", "drop@2", "drop@x", "drop@nan", "drop++ok"])
def test_a_word_that_is_none_is_named(text: str) -> None:
    with pytest.raises(FaultError, match=r"unknown fault|no chance"):
        fault(text)


def test_the_script_of_a_type_comes_first_then_its_standing_fault_then_that_of_any() -> None:
    faults = Faults()
    faults.set({"0400": "96", "*": "drop"})
    faults.scenario({"0400": ["ok", "25"]})
    assert [faults.choose("0400").text for _ in range(4)] == ["ok", "25", "96", "96"]
    assert faults.choose("0200").text == "drop"
    assert faults.told() == {"set": {"0400": "96", "*": "drop"}, "scenario": {}}


def test_ok_takes_a_standing_fault_away_and_clear_takes_all() -> None:
    faults = Faults()
    faults.set({"0400": "96", "*": "drop"})
    faults.set({"0400": "ok"})
    assert faults.choose("0400").text == "ok"
    faults.clear()
    assert faults.choose("0200") is NO_FAULT


def test_a_chance_is_drawn_from_the_given_seed() -> None:
    def drawn(seed: int) -> list[str]:
        faults = Faults(Random(seed))
        faults.set({"*": "drop@0.3"})
        return [faults.choose("0200").text for _ in range(1000)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 200 < drawn(1).count("drop@0.3") < 400


@pytest.mark.parametrize("mti", ["", "400", "04x0", "all"])
def test_a_type_that_is_none_is_named(mti: str) -> None:
    with pytest.raises(FaultError, match="no message type"):
        Faults().set({mti: "drop"})


def test_a_mistake_changes_nothing() -> None:
    faults = Faults()
    for attempt in (lambda: faults.set({"0200": "drop", "0400": "oops"}),
                    lambda: faults.scenario({"0200": ["drop"], "0400": ["oops"]}),
                    lambda: faults.scenario({"0200": ["drop"] * (SCRIPT_MAX + 1)})):
        with pytest.raises(FaultError):
            attempt()
    assert faults.choose("0200") is NO_FAULT
