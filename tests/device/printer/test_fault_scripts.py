"""Random bad days of a printer: nothing is printed twice, nothing is lost, and nothing is said that paper denies.

The spool here keeps the rules of the real one in five lines: WAITING and UNPRINTED jobs go by themselves, nothing else ever
does. 400 days here; PRINTER_SEEDS of them where somebody asks for more.
"""

import os
import random
from collections.abc import Callable

import pytest

from device.printer import Outcome
from device.simulator.printer_model import PrinterModel
from tests.device.printer.world import Event, World, setting

SEEDS = int(os.environ.get("PRINTER_SEEDS", "400"))
BATCHES = 8
PROFILES = ("generic-58mm", "generic-80mm", "mute-58mm", "epson-tm")
BAD_MS = 40_000  # then the faults stop
HEALED_MS = BAD_MS + 30_000
JOBS = 4
SURE = frozenset({"FENCED", "CONFIRMED"})


def heal(model: PrinterModel, now_ms: int) -> None:
    model.power(now_ms, on=True)
    setting(
        cover_open=False, hot_until_ms=None, jammed=False, jam_found=False, broken=False, silent=False, garbage=False,
        stalled=False, waiting=False,
    )(model, now_ms)  # fmt: skip
    model.paper_in(now_ms)


def faults(rng: random.Random) -> list[Event]:
    """A fault and what may end it, by chance."""
    pairs: list[Callable[[], list[Event]]] = [
        lambda: [lambda m, t: m.paper_ends(t, lines, mid_line=mid), lambda m, t: m.paper_in(t)],
        lambda: [setting(cover_open=True), setting(cover_open=False)],
        lambda: [lambda m, t: setting(hot_until_ms=t + 3000)(m, t)],
        lambda: [setting(jammed=True), setting(jammed=False, jam_found=False)],
        lambda: [setting(broken=True)],
        lambda: [setting(silent=True), setting(silent=False)],
        lambda: [setting(garbage=True), setting(garbage=False)],
        lambda: [setting(stalled=True), setting(stalled=False)],
        lambda: [lambda m, t: m.power(t, on=False), lambda m, t: m.power(t, on=True)],
        lambda: [lambda m, _t: m.voice.interject(noise)],
    ]
    lines, mid, noise = rng.randrange(12), rng.random() < 0.5, rng.randbytes(rng.randrange(6, 40))
    return rng.choice(pairs)()


class Day:
    """One seed: a printer, its troubles, and the jobs that are to be printed meanwhile."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.world = World(
            rng.choice(PROFILES), baud=rng.choice((9600, 19200, 115_200)), lines=rng.choice((5, 30, 4000)),
            lines_per_s=rng.choice((3.0, 10.0, 20.0)), resumes_by_itself=rng.random() < 0.7,
        )  # fmt: skip
        self.sizes = [rng.choice((1, 4, 12, 60)) for _ in range(JOBS)]
        self.waiting = list(range(JOBS))
        self.outcomes: dict[int, Outcome] = {}
        self.sure: set[int] = set()
        for _ in range(rng.randrange(1, 6)):
            at_ms = rng.randrange(BAD_MS)
            for event in faults(rng):
                self.world.port.schedule(at_ms, event)
                at_ms += rng.choice((50, 500, 5000, 20_000))
        if rng.random() < 0.2:
            at_ms = rng.randrange(BAD_MS)
            self.world.port.schedule(at_ms, lambda _m, _t: self.world.port.unplug())
            self.world.port.schedule(at_ms + 2000, lambda _m, _t: self.world.port.plug_in())
        self.world.port.schedule(HEALED_MS, heal)

    def run(self) -> None:
        while self.waiting and self.world.port.now_ms < 600_000:
            self.turn()
            self.hear(self.rng.choice((0.1, 1.0, 5.0)))
        self.hear(60.0)

    def turn(self) -> None:
        """The spool's next job, if the printer may have it."""
        world = self.world
        if not world.printer.is_open:
            if world.port.plugged:
                world.printer.open()
            return
        job = self.waiting[0]
        outcome = world.print(job, self.sizes[job])
        if outcome.status.fault == "offline" and world.port.now_ms > HEALED_MS:
            world.printer.resume()  # a person sees its lamp and presses the key
        self.outcomes[job] = outcome
        if outcome.level != "UNPRINTED":
            self.waiting.pop(0)
            if outcome.level in SURE:
                self.believe(job)

    def hear(self, seconds: float) -> None:
        if not self.world.printer.is_open and self.world.port.plugged:
            self.world.printer.open()
        for heard in self.world.later(seconds):
            for proof in heard.proofs:
                self.believe(proof.job_id)

    def believe(self, job: int) -> None:
        """It was said to be out: then it is out now, and not only later."""
        assert self.world.came_out(job, self.sizes[job]), f"job {job} was said to be out and is not"
        self.sure.add(job)

    def check(self) -> None:
        world = self.world
        assert not self.waiting, "a job was lost"
        assert world.model.drawer_kicks == 0
        for job, outcome in self.outcomes.items():
            assert world.times_printed(job) <= 1, f"job {job} was printed twice"
            if job in self.sure:
                assert world.came_out(job, self.sizes[job]), f"job {job} was said to be out: {outcome}"
            if world.profile.mute:
                assert outcome.level in {"SENT_UNCONFIRMED", "PARTIAL"}


@pytest.mark.parametrize("batch", range(BATCHES))
def test_what_is_told_is_what_the_paper_shows(batch: int) -> None:
    for seed in range(batch, SEEDS, BATCHES):
        day = Day(seed)
        try:
            day.run()
            day.check()
        except AssertionError as error:
            pytest.fail(f"seed {seed} ({day.world.profile.name}): {error}")


def test_the_bad_days_are_bad_and_the_good_ones_good() -> None:
    """Every level is met, or the scripts would prove nothing."""
    levels: set[str] = set()
    for seed in range(150):
        day = Day(seed)
        day.run()
        levels |= {outcome.level for outcome in day.outcomes.values()}
    assert levels >= {"PARTIAL", "SENT_UNCONFIRMED", "FENCED", "CONFIRMED"}


def test_a_day_is_the_same_every_time() -> None:
    first, second = Day(7), Day(7)
    first.run()
    second.run()
    assert first.outcomes == second.outcomes
    assert first.world.rows() == second.world.rows()
    assert first.world.port.now_ms == second.world.port.now_ms
