"""What the payment app lends, over real HTTP: what is asked, what is taken as an answer, and every way in which it can fail."""

import asyncio
from collections.abc import Iterator

import pytest

from device.lent import LEASE_MS, LEASE_MS_MAX, LEASE_MS_MIN, Lent
from device.payapp import PayappError
from tests.device.acquirer.golden import MAC_INPUT
from tests.support.lender import Lender


@pytest.fixture
def app() -> Iterator[Lender]:
    """A payment app that lends."""
    made = Lender()
    yield made
    made.stop()


def test_a_mac_is_asked_with_its_algorithm_and_the_bytes_it_covers(app: Lender) -> None:
    assert asyncio.run(Lent(app.url).mac("unionpay-ecb", MAC_INPUT)) == b"3A10134D"
    assert app.calls == [("/mac", {"algorithm": "unionpay-ecb", "data": MAC_INPUT.hex().upper()})]


@pytest.mark.parametrize("mac", ["gone", "short", "garbage", "huge", "slow"])
def test_anything_but_eight_bytes_in_time_is_no_mac(mac: str, app: Lender) -> None:
    app.mac = mac  # type: ignore[assignment]
    with pytest.raises(PayappError) as caught:
        asyncio.run(Lent(app.url, timeout_s=0.2).mac("unionpay-ecb", MAC_INPUT))
    assert "6222021234567890128" not in str(caught.value).upper()
    assert MAC_INPUT.hex().upper()[:20] not in str(caught.value)


@pytest.mark.parametrize(
    ("lease_ms", "ours_ms"), [(None, LEASE_MS), (5_000, 5_000), (1, LEASE_MS_MIN), (10**12, LEASE_MS_MAX), (-5, LEASE_MS_MIN)]
)
def test_a_line_is_lent_for_as_long_as_the_app_says_within_limits(lease_ms: int | None, ours_ms: int, app: Lender) -> None:
    app.lease_ms = lease_ms
    assert asyncio.run(Lent(app.url).acquire_line()) == ours_ms
    asyncio.run(Lent(app.url).release_line())
    assert app.actions() == ["acquire", "release"]


@pytest.mark.parametrize("line", ["refused", "slow"])
def test_a_line_that_is_refused_or_not_answered_is_not_lent(line: str, app: Lender) -> None:
    app.line = line  # type: ignore[assignment]
    with pytest.raises(PayappError):
        asyncio.run(Lent(app.url, timeout_s=0.2).acquire_line())


def test_a_sign_in_is_only_asked_for(app: Lender) -> None:
    asyncio.run(Lent(app.url).sign_in())
    assert app.calls == [("/sign-in", {})]


def test_an_app_that_is_not_there_lends_nothing() -> None:
    with pytest.raises(PayappError, match="cannot be reached"):
        asyncio.run(Lent("http://127.0.0.1:1").mac("x9.9", b"\0"))
