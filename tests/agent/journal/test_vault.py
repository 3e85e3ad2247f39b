"""Card secrets are sealed field by field, bound to their place, and never shown."""

import pytest

from agent.vault import Vault, VaultError, mask
from tests.agent.journal.book import KEY, PAN, SECRETS


def test_what_was_sealed_opens_with_the_same_key() -> None:
    vault = Vault(KEY)
    sealed = vault.seal("ref", SECRETS)
    assert Vault(KEY).open("ref", sealed) == SECRETS
    assert all(text.encode() not in blob for text in SECRETS.values() for blob in sealed.values())


def test_two_seals_of_one_text_are_different() -> None:
    vault = Vault(KEY)
    assert vault.seal("ref", SECRETS) != vault.seal("ref", SECRETS)


@pytest.mark.parametrize("how", ["key", "ref", "field", "bit"])
def test_another_key_place_or_byte_does_not_open_and_says_nothing_of_the_content(how: str) -> None:
    sealed = Vault(KEY).seal("ref", SECRETS)
    vault, ref = Vault(bytes(32) if how == "key" else KEY), "other" if how == "ref" else "ref"
    if how == "field":
        sealed["2"], sealed["14"] = sealed["14"], sealed["2"]
    if how == "bit":
        sealed["2"] = sealed["2"][:-1] + bytes([sealed["2"][-1] ^ 1])
    with pytest.raises(VaultError) as error:
        vault.open(ref, sealed)
    assert PAN not in str(error.value)
    assert error.value.__cause__ is None


def test_fields_that_must_not_be_stored_are_refused() -> None:
    for name in ("35", "36", "45", "52"):
        with pytest.raises(AssertionError):
            Vault(KEY).seal("ref", {name: "1"})


def test_the_mask_shows_the_first_six_and_the_last_four() -> None:
    assert mask(PAN) == "622202*********0128"
    assert mask("1234567890123") == "123456***0123"


def test_the_card_hash_knows_a_card_again_and_depends_on_the_key() -> None:
    assert Vault(KEY).card_hash(PAN) == Vault(KEY).card_hash(PAN)
    assert Vault(KEY).card_hash(PAN) != Vault(bytes(32)).card_hash(PAN)
    assert len(Vault(KEY).card_hash(PAN)) == 16
