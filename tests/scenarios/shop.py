"""A shop: a real agent with a printer and a broker of its own, and the acquirer that all shops of the street share."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.support.agent import Agent, toml
from tests.support.broker import Mosquitto, free_port
from tests.support.host import Host
from tests.support.paper import Paper
from tests.support.waiting import PATIENCE_S
from tests.support.wallet import Wallet


class Listener:
    """Hears every event that the broker hands out."""

    def __init__(self, broker: Mosquitto) -> None:
        self._heard: list[tuple[int, str]] = []
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="scenarios", protocol=mqtt.MQTTv5)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._message
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S), "the broker takes no subscription"

    def _connected(self, client: mqtt.Client, _data: object, _flags: object, _code: ReasonCode, _more: object) -> None:
        client.subscribe("rv1/+/+/ev", qos=1, properties=Properties(PacketTypes.SUBSCRIBE))

    def _message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        body = json.loads(message.payload)
        self._heard.append((body["seq"], body["type"]))

    def heard(self) -> list[tuple[int, str]]:
        """(journal sequence number, type) of each, in the order in which they came."""
        return list(self._heard)

    def forget(self) -> None:
        """A journal ended; another one begins at 1."""
        self._heard.clear()

    def stop(self) -> None:
        """End it."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()  # its wake-up sockets, which it leaves to the garbage collector


class Shop:
    """One shop of `shops.toml`. The agent starts at the first `open`; `close` ends every process of the shop."""

    def __init__(self, folder: Path, words: dict[str, Any], host: Host) -> None:
        terminal = folder / "terminal"
        terminal.mkdir(parents=True)
        self._words = words
        self.host = host
        self.broker = Mosquitto(folder / "broker") if words.get("broker") else None
        self.listener: Listener | None = None
        self.relay_port = free_port() if words.get("relay") else 0
        with ThreadPoolExecutor() as pool:  # side by side: most of their start is Python's own
            paper = pool.submit(Paper, folder, profile=words["printer"]) if "printer" in words else None
            wallet = pool.submit(Wallet, terminal) if "rules" in words else None
            if self.broker is not None:
                self.broker.start()
                self.listener = Listener(self.broker)
        self.paper = paper.result() if paper else None
        self.wallet = wallet.result() if wallet else None
        self.agent = Agent(terminal, self.host.port, **self._sections(terminal))
        self._running = False

    def _sections(self, terminal: Path) -> dict[str, dict[str, Any]]:
        sections: dict[str, dict[str, Any]] = {name: words for name, words in self._words.items() if isinstance(words, dict)}
        if self.paper is not None:
            sections["printer"] = {"driver": "escpos", "port": str(self.paper.port), "profile": self._words["printer"]}
        if self.wallet is not None:
            (terminal / "rules.toml").write_text(toml(sections.pop("rules")))
            gateway = {"url": self.wallet.url, "key_file": "wallet.key", "rules": "rules.toml"}
            sections["wallet"] = gateway | sections["wallet"]
        if self.relay_port:
            sections["relay"] = {"listen": f"127.0.0.1:{self.relay_port}"}
        if self.broker is not None:
            sections["mqtt"] = {"url": self.broker.url}
        return sections

    def open(self) -> None:
        """The shop opens: the agent runs, and the acquirer works as it should."""
        self.host.order(clear=True, refuse=False)
        if self.wallet is not None:
            self.wallet.order(clear=True)
        if not self._running:
            self.agent.start()
            self._running = True

    def leave(self) -> None:
        """The customer leaves. Where something was left open the agent ends, and begins anew with an empty journal."""
        if not self._quiet():
            self.agent.kill()
            for path in self.agent.folder.glob("reversald.db*"):
                path.unlink()
            if self.listener is not None:
                self.listener.forget()
            self._running = False

    def _quiet(self) -> bool:
        """True when nothing of an earlier customer can reach the next one."""
        status = self.agent.app.get("/v1/status")
        idle = all(status[name] == 0 for name in ("pending_reversals", "money_in_doubt_fen", "open_incidents", "jobs_waiting"))
        return idle and status["batch_state"] == "open" and status["printer"] in {"none", "unknown", "disabled"}

    def restart(self) -> None:
        """The agent dies as by a power cut, and comes back."""
        self.agent.kill()
        self.agent.start()

    def slips(self) -> list[str]:
        """Every slip that lies there, in its order."""
        return [] if self.paper is None else [path.read_text() for path in sorted(self.paper.slips.glob("*.txt"))]

    def close(self) -> None:
        """End every process."""
        self.agent.kill()
        if self.paper is not None:
            self.paper.stop()
        if self.wallet is not None:
            self.wallet.stop()
        if self.listener is not None:
            self.listener.stop()
        if self.broker is not None:
            self.broker.stop()
