"""The rules of wallets as a file: what is shipped is what runs, what is left out stays, every mistake is named."""

import tomllib
from pathlib import Path

import pytest

from agent import walletrules
from agent.config import ConfigError, file_problems, load
from agent.core.wallets import ALIPAY, DEFAULTS, WECHAT
from agent.policies import policy_of

SHIPPED = Path(__file__).parents[2] / "packaging" / "wallets.toml"
BASE = '[acquirer]\nhost = "127.0.0.1"\n'


def written(tmp_path: Path, rules: str, wallet: str = 'url = "https://gateway.example.com"') -> Path:
    (tmp_path / "rules.toml").write_text(rules)
    path = tmp_path / "reversald.toml"
    path.write_text(f'{BASE}[wallet]\n{wallet}\nrules = "rules.toml"\n')
    return path


def mistakes(path: Path) -> list[str]:
    """The keys of every mistake; each is said in both languages."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert all(problem.reason("zh") != problem.reason("en") for problem in caught.value.problems)
    return [problem.key for problem in caught.value.problems]


def test_the_shipped_file_says_every_key_as_the_program_has_it() -> None:
    assert walletrules.load(SHIPPED) == DEFAULTS
    shown = tomllib.loads(SHIPPED.read_text())
    assert all(set(shown[rule.name]) == set(rule.__struct_fields__) - {"name"} for rule in DEFAULTS)


def test_what_is_written_changes_and_the_rest_stays(tmp_path: Path) -> None:
    config = load(written(tmp_path, "[wechat]\npoll_ms = 3000\n[bestpay]\nquery = false\n"))
    policy = policy_of(config)
    wechat, bestpay = policy.wallet("wechat"), policy.wallet("bestpay")
    assert wechat is not None
    assert bestpay is not None
    assert (wechat.poll_ms, wechat.cancel_window_ms, wechat.paying_refuses) == (3_000, WECHAT.cancel_window_ms, True)
    assert not bestpay.query
    assert policy.wallet("alipay") == ALIPAY


def test_without_the_section_there_is_no_wallet(tmp_path: Path) -> None:
    path = tmp_path / "reversald.toml"
    path.write_text(BASE)
    assert policy_of(load(path)).wallets == ()


@pytest.mark.parametrize(
    ("rules", "keys"),
    [
        ("[wechat]\npoll_ms = 0", ["wechat.poll_ms"]),
        ('[wechat]\npoll_ms = "5 s"\ncancel = 1', ["wechat.cancel", "wechat.poll_ms"]),
        ("[wechat]\npol_ms = 1", ["wechat.pol_ms"]),
        ('[wechat]\nname = "x"', ["wechat.name"]),
        ("[paypal]\npoll_ms = 1", ["paypal"]),
        ("wechat = 1", ["wechat"]),
        ("[alipay]\nrecheck_ms = [0]\ncancel_window_ms = 99999999999", ["alipay.cancel_window_ms", "alipay.recheck_ms"]),
        ("[wechat", [""]),
    ],
)
def test_every_mistake_in_the_rules_is_named(tmp_path: Path, rules: str, keys: list[str]) -> None:
    assert sorted(mistakes(written(tmp_path, rules))) == keys


def test_a_gateway_without_tls_must_be_on_this_machine(tmp_path: Path) -> None:
    assert mistakes(written(tmp_path, "", 'url = "http://10.0.0.1"')) == ["wallet.url"]
    load(written(tmp_path, "", 'url = "http://127.0.0.1:8600"'))


def test_without_an_address_the_payment_app_answers(tmp_path: Path) -> None:
    path = tmp_path / "reversald.toml"
    path.write_text(f"{BASE}[wallet]\n")
    assert mistakes(path) == ["wallet.url"]
    path.write_text(f'{BASE}[wallet]\n[payapp]\nurl = "http://10.0.0.1"\n')
    assert mistakes(path) == ["payapp.url"]
    path.write_text(f'{BASE}[wallet]\n[payapp]\nurl = "http://127.0.0.1:8732"\n')
    load(path)


def test_a_missing_key_or_rules_file_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "", 'url = "https://w"\nca = "nothing.pem"')
    assert {problem.key for problem in file_problems(load(path))} >= {"wallet.key_file", "wallet.ca"}
    (tmp_path / "rules.toml").unlink()
    assert mistakes(path) == ["wallet.rules"]
