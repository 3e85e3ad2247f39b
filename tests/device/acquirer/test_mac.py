"""The three MACs: golden values, and keys that do not fit."""

import pytest

from device.acquirer.mac import ALGORITHMS, SoftwareMac, fold
from device.errors import MacError
from tests.device.acquirer.golden import KEY, MAC_INPUT


def test_golden_xor_block() -> None:
    assert fold(MAC_INPUT).hex().upper() == "5358DF69AC3F88D4"


def test_golden_unionpay_ecb_is_the_first_eight_hex_characters() -> None:
    assert SoftwareMac("unionpay-ecb", KEY).sign(MAC_INPUT) == b"3A10134D"


def test_golden_x9_19() -> None:
    assert SoftwareMac("x9.19", KEY).sign(MAC_INPUT).hex().upper() == "FDA89A2659160449"


def test_golden_x9_9() -> None:
    assert SoftwareMac("x9.9", KEY[:8]).sign(MAC_INPUT).hex().upper() == "7F4E97D1B9FDA052"


def test_a_triple_length_key_whose_third_part_is_the_first_gives_the_same_macs() -> None:
    for algorithm in ("unionpay-ecb", "x9.19"):
        assert SoftwareMac(algorithm, KEY + KEY[:8]).sign(MAC_INPUT) == SoftwareMac(algorithm, KEY).sign(MAC_INPUT)


def test_the_third_key_of_a_triple_length_key_counts() -> None:
    for algorithm in ("unionpay-ecb", "x9.19"):
        other = SoftwareMac(algorithm, KEY + bytes.fromhex("1122334455667788"))
        assert other.sign(MAC_INPUT) != SoftwareMac(algorithm, KEY).sign(MAC_INPUT)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_verify_takes_the_right_mac_and_no_other(algorithm: str) -> None:
    mac = SoftwareMac(algorithm, KEY[:8] if algorithm == "x9.9" else KEY)
    signed = mac.sign(MAC_INPUT)
    assert len(signed) == 8
    assert mac.verify(MAC_INPUT, signed)
    assert not mac.verify(MAC_INPUT + b"\x01", signed)
    assert not mac.verify(MAC_INPUT, signed[:-1] + bytes([signed[-1] ^ 1]))
    assert not mac.verify(MAC_INPUT, b"")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_mac_does_not_depend_on_those_that_were_made_before(algorithm: str) -> None:
    key = bytes(range(8 if algorithm == "x9.9" else 16))
    used = SoftwareMac(algorithm, key)
    for size in range(1, 200):
        data = bytes(range(size))
        assert used.sign(data) == SoftwareMac(algorithm, key).sign(data), size


def test_a_message_that_fills_its_last_block_is_not_padded_further() -> None:
    assert fold(b"12345678") == b"12345678"
    assert SoftwareMac("x9.9", KEY[:8]).sign(b"1234567") == SoftwareMac("x9.9", KEY[:8]).sign(b"1234567\x00")


@pytest.mark.parametrize(("algorithm", "length"), [("x9.9", 16), ("x9.19", 8), ("unionpay-ecb", 15), ("x9.19", 0)])
def test_a_key_that_does_not_fit_the_algorithm_is_refused_and_not_shown(algorithm: str, length: int) -> None:
    key = (KEY * 2)[:length]
    with pytest.raises(MacError, match=f"has {length} bytes: {algorithm} needs") as caught:
        SoftwareMac(algorithm, key)
    assert not key or key.hex() not in str(caught.value).lower()


def test_an_unknown_algorithm_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MacError, match=r"sm4.*unionpay-ecb, x9\.9, x9\.19"):
        SoftwareMac("sm4", KEY)


def test_the_repr_does_not_show_the_key() -> None:
    assert repr(SoftwareMac("unionpay-ecb", KEY)) == "SoftwareMac('unionpay-ecb')"
