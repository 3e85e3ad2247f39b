"""The message authentication code in F64: three algorithms over software keys.

A terminal keeps its MAC key in the PIN pad. A key in software is for the simulator, and for acquirers whose profile
allows it.
"""

import hmac
import sys
from collections.abc import Callable
from functools import reduce
from operator import xor
from typing import Literal, get_args

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from device.errors import MacError

MacAlgorithm = Literal["unionpay-ecb", "x9.9", "x9.19"]
ALGORITHMS: tuple[str, ...] = get_args(MacAlgorithm)

BLOCK_BYTES = 8
KEY_BYTES = {"unionpay-ecb": (8, 16, 24), "x9.9": (8,), "x9.19": (16, 24)}


class SoftwareMac:
    """Signs and verifies with a key held in memory.

    `key` is 8 bytes (single DES), 16 or 24 (triple DES); X9.9 takes 8 only, X9.19 takes 16 or 24. Raises `MacError` for
    an unknown algorithm or a key of another length. The repr shows the algorithm and never the key.
    """

    def __init__(self, algorithm: str, key: bytes) -> None:
        if algorithm not in KEY_BYTES:
            raise MacError(f"unknown MAC algorithm {algorithm!r}: use one of {', '.join(ALGORITHMS)}")
        if len(key) not in KEY_BYTES[algorithm]:
            wanted = " or ".join(str(size) for size in KEY_BYTES[algorithm])
            raise MacError(f"the MAC key has {len(key)} bytes: {algorithm} needs {wanted}")
        self.algorithm = algorithm
        self._compute = _COMPUTE[algorithm](key)

    def __repr__(self) -> str:
        return f"SoftwareMac({self.algorithm!r})"

    def sign(self, data: bytes) -> bytes:
        """The 8 bytes as they stand in F64, for `data` = MTI … the byte before F64, not padded."""
        return self._compute(data)

    def verify(self, data: bytes, mac: bytes) -> bool:
        """True when `mac` is the MAC of `data`; takes the same time wherever the first difference is."""
        return hmac.compare_digest(self.sign(data), mac)


class _UnionPayEcb:
    """UnionPay terminals' MAC: fold the message to one block, and encrypt its hexadecimal form half by half."""

    def __init__(self, key: bytes) -> None:
        # One context for all blocks: in ECB nothing of one reaches the next, and making one takes longer than a block.
        self._encrypt = Cipher(TripleDES(_triple(key)), modes.ECB()).encryptor().update  # noqa: S305  (the rule's own cipher)

    def __call__(self, data: bytes) -> bytes:
        folded = fold(data).hex().upper().encode("ascii")
        once = self._encrypt(folded[:BLOCK_BYTES])
        return self._encrypt(_xor(once, folded[BLOCK_BYTES:])).hex().upper()[:BLOCK_BYTES].encode("ascii")


class _CbcMac:
    """ANSI X9.9: the last block of DES-CBC over the message, zero-padded, from a zero vector."""

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(TripleDES(_triple(key)), modes.CBC(bytes(BLOCK_BYTES)))

    def __call__(self, data: bytes) -> bytes:
        return self._cipher.encryptor().update(_padded(data))[-BLOCK_BYTES:]


class _RetailMac:
    """ANSI X9.19: X9.9 with the first key, then the last block decrypted with the second and encrypted again.

    The third key is the first one when the key has 16 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._chain = _CbcMac(key[:8])
        self._second = Cipher(TripleDES(_triple(key[8:16])), modes.ECB())  # noqa: S305  (the rule's own cipher)
        self._third = Cipher(TripleDES(_triple(key[16:] or key[:8])), modes.ECB())  # noqa: S305

    def __call__(self, data: bytes) -> bytes:
        return self._third.encryptor().update(self._second.decryptor().update(self._chain(data)))


_COMPUTE: dict[str, Callable[[bytes], Callable[[bytes], bytes]]] = {
    "unionpay-ecb": _UnionPayEcb,
    "x9.9": _CbcMac,
    "x9.19": _RetailMac,
}


def fold(data: bytes) -> bytes:
    """The exclusive-or of all 8-byte blocks of `data`, zero-padded: the first step of UnionPay's MAC."""
    blocks = memoryview(_padded(data)).cast("Q")  # in this machine's byte order, which the last step undoes
    return reduce(xor, blocks, 0).to_bytes(BLOCK_BYTES, sys.byteorder)


def _triple(key: bytes) -> bytes:
    """Triple DES takes 24 bytes: K K K is single DES, K1 K2 K1 the double-length key."""
    return {8: key * 3, 16: key + key[:8], 24: key}[len(key)]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK_BYTES)


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(BLOCK_BYTES, "big")
