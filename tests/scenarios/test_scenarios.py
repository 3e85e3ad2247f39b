"""Every row of the playbook, played through a real agent: `test_scenario[P4b]` is row P4b.

The facts stand in the TOML files of this folder; `README.md` explains their words.
"""

import signal
from collections.abc import Callable, Iterator

import msgspec
import pytest

from agent.core import kindtexts
from agent.core.playbook import PLAYBOOK
from tests.scenarios.play import Play
from tests.scenarios.script import Fact, scenarios, shops
from tests.scenarios.shop import Shop
from tests.support.app import until
from tests.support.host import Host

SCENARIOS = scenarios()
FIELD = frozenset({
    *(f"P{number}" for number in range(1, 26) if number != 4), "P4a", "P4b", "P4c", "P4d", "P1v", "P2v", "P3v", "P5v", "P5w",
})

# Rows that have only just come in, until their scenarios do. A row that has its scenario may not stand here.
WITHOUT: frozenset[str] = frozenset()


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Shop]]:
    """The shops and their acquirer; each starts when the first scenario enters it."""
    folder, known, built = tmp_path_factory.mktemp("street"), shops(), dict[str, Shop]()
    host = Host(folder)

    def enter(name: str) -> Shop:
        if name not in built:
            built[name] = Shop(folder / name, known[name], host)
        built[name].open()
        return built[name]

    yield enter
    for shop in built.values():
        shop.close()
    host.stop()


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, street: Callable[[str], Shop]) -> None:
    scenario = SCENARIOS[name]
    shop = street(scenario.shop)
    try:
        Play(shop, scenario).run()
    finally:
        shop.leave()


def test_a_reload_changes_the_words_for_what_is_there_already(street: Callable[[str], Shop]) -> None:
    agent = street("restaurant").agent
    _, sale = agent.app.open("000339")
    assert sale["advice"]["zh"] == PLAYBOOK["N2"].zh
    (agent.folder / "own.toml").write_text('[N2]\nzh = "已发送,请稍候"\n')
    agent.config.write_text(agent.config.read_text().replace('texts = "restaurant"', 'texts = "own.toml"'))
    assert agent.process is not None
    agent.process.send_signal(signal.SIGHUP)
    until(lambda: agent.app.get(f"/v1/transactions/{sale['id']}")["advice"]["zh"] == "已发送,请稍候")
    assert agent.app.result(sale["id"], "declined", response_code="51")[0] == 200


def test_every_row_of_the_playbook_has_a_scenario() -> None:
    played = {scenario.row for scenario in SCENARIOS.values()}
    built = {code for code in PLAYBOOK if code.startswith("P")} | set(kindtexts.TEXTS)
    assert built - played - WITHOUT == set()
    assert played & WITHOUT == set(), "these have a scenario now: strike them off the list"
    assert FIELD - played - WITHOUT == set()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_shows_its_row_with_every_word_of_the_advice(name: str) -> None:
    scenario = SCENARIOS[name]
    assert scenario.shown is not None
    assert name.split("-")[0] == scenario.row
    assert scenario.row in PLAYBOOK


def test_no_two_scenarios_share_a_stan() -> None:
    used: dict[str, str] = {}
    for name, scenario in SCENARIOS.items():
        for stan in scenario.stans:
            assert used.setdefault(stan, name) == name, f"STAN {stan} of {name} is also used by {used[stan]}"


def test_a_misspelt_word_in_a_scenario_is_refused() -> None:
    words = {"says": "x", "see": {"state": "approved", "holdgoods": True}}
    with pytest.raises(msgspec.ValidationError, match="holdgoods"):
        msgspec.convert(words, Fact)
