"""Real processes for every end-to-end test, ended by their ids."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import PATIENT, Agent
from tests.support.broker import Mosquitto
from tests.support.host import Host
from tests.support.lender import Lender
from tests.support.wire import Wire


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A real acquirer."""
    running = Host(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def wire(host: Host) -> Iterator[Wire]:
    """The line between agent and host, read."""
    made = Wire(host.port)
    yield made
    made.refuse()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that keeps nothing on disk."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


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


@pytest.fixture
def patient(make_agent: Callable[..., Agent], host: Host) -> Agent:
    """The same, and no reversal goes again only because the machine is slow."""
    return make_agent(host.port, recovery=PATIENT).start()


@pytest.fixture
def lender() -> Iterator[Lender]:
    """The app's own port."""
    made = Lender()
    yield made
    made.stop()


@pytest.fixture
def pin_pad(make_agent: Callable[..., Agent], host: Host, lender: Lender) -> Agent:
    """An agent without a key: the app makes every MAC."""
    made = make_agent(host.port, mac={"source": "payapp"}, payapp={"url": lender.url})
    (made.folder / "mac.key").unlink()
    return made.start()
