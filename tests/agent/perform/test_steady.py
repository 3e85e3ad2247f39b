"""A state that must stand before it is told: bounces make no event, a fault that stays does, and recovering has its price."""

from agent.perform.steady import RECOVERIES_FREE, RECOVERIES_S, STANDS_S, STANDS_S_MAX, Steady

OK, OUT, OPEN = ("none", "ok"), ("paper_out", "out"), ("cover_open", "ok")
READY = frozenset({"none", "unknown"})


def recovered(times: int) -> tuple[Steady, float]:
    """One that was out of order and well again so often, a second each."""
    steady, now_s = Steady(READY), 0.0
    for _ in range(times):
        steady.tell(OUT, now_s)
        steady.tell(OK, now_s + 1)
        now_s += 2
    steady.tell(OUT, now_s)
    return steady, now_s


def test_a_new_state_is_told_once_it_has_stood() -> None:
    steady = Steady(READY)
    assert not steady.saw(OK, 10.0)
    assert steady.due_s == 10.0 + STANDS_S
    assert not steady.saw(OK, 10.0 + STANDS_S / 2)
    assert steady.saw(OK, 10.0 + STANDS_S)
    assert (steady.told, steady.due_s) == (OK, None)
    assert not steady.saw(OK, 99.0)


def test_a_bounce_is_told_to_nobody() -> None:
    steady = Steady(READY)
    steady.tell(OK, 0.0)
    assert not steady.saw(OUT, 1.0)
    assert not steady.saw(OK, 1.2)
    assert steady.due_s is None
    assert not steady.saw(OUT, 2.0)
    assert not steady.saw(OPEN, 2.1), "another one begins anew"
    assert steady.saw(OPEN, 2.1 + STANDS_S)


def test_what_comes_with_the_outcome_of_a_job_is_told_at_once() -> None:
    steady = Steady(READY)
    steady.saw(OUT, 0.0)
    steady.tell(OUT, 0.1)
    assert steady.due_s is None
    assert not steady.saw(OUT, 9.0)


def test_whoever_recovers_again_and_again_must_stand_longer_and_a_fault_is_told_all_the_same() -> None:
    steady, now_s = recovered(RECOVERIES_FREE - 1)
    steady.saw(OK, now_s)
    assert steady.due_s == now_s + STANDS_S, "so often is free"
    steady, now_s = recovered(RECOVERIES_FREE + 2)
    steady.saw(OK, now_s)
    assert steady.due_s == now_s + 8 * STANDS_S
    steady.saw(OPEN, now_s)
    assert steady.due_s == now_s + STANDS_S
    steady, now_s = recovered(40)
    steady.saw(OK, now_s)
    assert steady.due_s == now_s + STANDS_S_MAX
    later_s = now_s + RECOVERIES_S
    steady.saw(OUT, later_s)
    steady.saw(OK, later_s)
    assert steady.due_s == later_s + STANDS_S, "after a quiet hour it begins anew"


def test_a_loose_plug_for_a_day_is_few_events_and_the_last_word_is_the_fault() -> None:
    steady, told = Steady(READY), 0
    for second in range(86_400):
        told += steady.saw((OK, OUT)[second // 3 % 2], float(second))
    assert told < 24 * 2 * 2 * RECOVERIES_FREE
    assert steady.told == OUT
