"""The rules of wallets from a TOML file (`wallet.rules`): a section per wallet; what it leaves out is as the program has it.

Every mistake is named with file, key and reason.
"""

from pathlib import Path

from msgspec.structs import replace

from agent.core.wallets import DEFAULTS, WalletRule
from agent.problem import ConfigError
from agent.reading import Reading, document

_KEYS = tuple(name for name in WalletRule.__struct_fields__ if name != "name")


def load(path: Path) -> tuple[WalletRule, ...]:
    """The rules in the file, in the order of the program's own. Raises ConfigError with every mistake."""
    written = document(path, str(path), "wallet.rules")
    reading = Reading(str(path))
    names = tuple(rule.name for rule in DEFAULTS)
    for unknown in (name for name in written if name not in names):
        reading.unknown(unknown, unknown, names, ("section", "节"))
    rules = tuple(_rule(reading, rule, dict(reading.table(written, rule.name) or {})) for rule in DEFAULTS)
    if reading.problems:
        raise ConfigError(tuple(reading.problems))
    return rules


def _rule(reading: Reading, own: WalletRule, table: dict[str, object]) -> WalletRule:
    """The wallet's own rule with what its section says."""
    if "name" in table:
        reading.unknown(f"{own.name}.name", "name", _KEYS)
        del table["name"]
    said = reading.section(own.name, WalletRule, table)
    assert said is not None, "every key of a wallet has a default"
    return replace(own, **{key: getattr(said, key) for key in table if key in _KEYS})
