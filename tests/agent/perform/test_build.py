"""From the configuration to the performers."""

from agent.config import Config
from agent.perform import build
from agent.settings import Mqtt


def test_entries_are_published_where_there_is_a_broker_and_nowhere_else() -> None:
    with_broker, without = Config(mqtt=Mqtt(url="mqtts://broker")), Config()
    assert build.published(with_broker)("reversal.confirmed")
    assert not build.published(with_broker)("agent.started")
    assert not build.published(without)("reversal.confirmed")
