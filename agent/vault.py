"""Card secrets, sealed: PAN, expiry and chip data wait here, AES-GCM per field, only until the reversal is closed.

PCI DSS 3.3.1: track data, card verification values and PIN blocks are never stored, not even here; the hook refuses them.
Journal and rows hold `vault_ref`, the masked PAN and a keyed hash, never the PAN.
"""

import hmac
import os
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FIELDS = frozenset({"2", "14", "55"})
_NONCE_BYTES = 12


class VaultError(Exception):
    """A sealed field cannot be opened: another key, or a damaged row. Never carries content."""


class Sealed(msgspec.Struct, frozen=True):
    """What goes into the vault with an event: {field number: nonce ‖ ciphertext}."""

    ref: str
    fields: dict[str, bytes]


class Vault:
    """Seals and opens fields under one 32-byte key."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self._hash = _keyed(hmac.digest(key, b"reversald card hash", "sha256"))

    def seal(self, ref: str, fields: dict[str, str]) -> dict[str, bytes]:
        """{field number: clear text} → {field number: nonce ‖ ciphertext}, bound to `ref` and the field number."""
        assert fields.keys() <= FIELDS, "a field that must not be stored"
        sealed, random = {}, os.urandom(_NONCE_BYTES * len(fields))
        for at, (name, text) in enumerate(fields.items()):
            nonce = random[at * _NONCE_BYTES : (at + 1) * _NONCE_BYTES]
            sealed[name] = nonce + self._aead.encrypt(nonce, text.encode(), f"{ref}/{name}".encode())
        return sealed

    def open(self, ref: str, sealed: dict[str, bytes]) -> dict[str, str]:
        """The reverse of `seal`."""
        try:
            return {
                name: self._aead.decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], f"{ref}/{name}".encode()).decode()
                for name, blob in sealed.items()
            }
        except InvalidTag:
            raise VaultError("a sealed field does not open: the vault key is another one, or the row is damaged") from None

    def card_hash(self, pan: str) -> str:
        """Keyed hash by which two transactions of one card are known without the PAN; 16 hex digits."""
        return self._hash(pan)[:16]


class Tokens:
    """Keyed hashes of what names a customer or a basket: told apart, and never told back. The key is the wallet gateway's."""

    def __init__(self, key: bytes) -> None:
        self._hash = _keyed(hmac.digest(key, b"reversald token hash", "sha256"))

    def hide(self, token: str) -> str:
        """32 hex digits."""
        return self._hash(token)[:32]


def _keyed(key: bytes) -> Callable[[str], str]:
    """HMAC-SHA256 under this key, as hex digits. The key is taken in once: making the hash anew costs more than the text does."""
    begun = hmac.new(key, digestmod="sha256")

    def hashed(text: str) -> str:
        own = begun.copy()
        own.update(text.encode())
        return own.hexdigest()

    return hashed


def mask(pan: str) -> str:
    """First 6 and last 4 digits; the most that may ever be shown."""
    return pan[:6] + "*" * (len(pan) - 10) + pan[-4:]
