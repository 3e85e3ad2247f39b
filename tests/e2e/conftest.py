"""Real processes for every end-to-end test, ended by their ids."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import Agent
from tests.support.host import Host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A real acquirer."""
    running = Host(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Makes acquirers with options of their own."""
    made: list[Host] = []

    def make(*options: str) -> Host:
        host = Host(tmp_path, *options)
        made.append(host)
        return host

    yield make
    for host in made:
        host.stop()


@pytest.fixture
def make_agent(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    """Makes agents that are killed at the end."""
    made: list[Agent] = []

    def make(port: int, **sections: dict[str, Any]) -> Agent:
        agent = Agent(tmp_path, port, **sections)
        made.append(agent)
        return agent

    yield make
    for agent in made:
        agent.kill()


@pytest.fixture
def agent(make_agent: Callable[..., Agent], host: Host) -> Agent:
    """A real agent on the real acquirer."""
    return make_agent(host.port).start()
