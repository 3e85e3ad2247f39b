"""The agent's own slips: what stands on them, how many there are, and that they promise nothing."""

import pytest

from agent.core.model import Stamp
from agent.core.policy import Policy
from agent.core.slips import local_time, yuan
from tests.agent.core.world import MORNING_MS, SECOND, World


def texts(world: World) -> str:
    return "\n".join(f"{line.text} {line.right or ''}" for job in world.state.jobs.values() for line in job.document.lines)


def test_the_reversal_notice_says_what_happened() -> None:
    world = World(merchant_name="测试便利店", hotline="400-000-0000")
    world.doubt()
    world.connect()
    world.reply("00")
    text = texts(world)
    for expected in (
        "冲正通知", "非交易凭证", "测试便利店", "12345678", "898310148160001", "622202*********0128", "凭证号 STAN 000001",
        "RMB 1.00", "冲正已受理", "应答码 CODE 00", "冲正次数 SENT 1",
        "以发卡行 T+1 对账结果为准", "400-000-0000", "2026-03-02 10:00:00",
    ):
        assert expected in text
    job = next(iter(world.state.jobs.values()))
    assert job.document.qr is not None
    assert job.document.qr.startswith("RV1:")


def test_the_fault_note_after_three_silences() -> None:
    world = World()
    world.doubt()
    world.connect()
    world.go_to(90 * SECOND)
    assert "故障单" in texts(world)
    assert "冲正不成功" in texts(world)


def test_one_slip_per_transaction_by_default_and_more_by_policy() -> None:
    for limit, kinds in ((1, ["fault_note"]), (2, ["fault_note", "notice"]), (0, [])):
        world = World(slips_per_transaction=limit)
        world.doubt()
        world.connect()
        world.go_to(120 * SECOND)
        world.reply("00")
        assert [job.what for job in world.state.jobs.values()] == kinds


@pytest.mark.parametrize("policy", [{"slips": False}, {"has_printer": False}])
def test_no_slips_where_they_are_switched_off(policy: dict[str, bool]) -> None:
    world = World(**policy)
    world.doubt()
    world.connect()
    world.reply("00")
    assert not world.state.jobs


@pytest.mark.parametrize(("fen", "text"), [(1, "0.01"), (100, "1.00"), (999_999_999_999, "9999999999.99")])
def test_money_is_written_without_floats(fen: int, text: str) -> None:
    assert yuan(fen) == text


def test_an_unknown_time_is_said_to_be_unknown() -> None:
    assert "UNKNOWN" in local_time(Policy(), Stamp(1, 0, None, None))
    assert local_time(Policy(), Stamp(1, 0, MORNING_MS, None)) == "2026-03-02 10:00:00"


def test_no_slip_promises_a_refund_in_our_name() -> None:
    world = World(slips_per_transaction=2)
    world.doubt()
    world.connect()
    world.go_to(120 * SECOND)
    world.reply("00")
    assert "退款" not in texts(world)
    assert "承诺" not in texts(world)
