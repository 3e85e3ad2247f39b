"""The MQTT connection against a real mosquitto, and against a broker of our own for what mosquitto never does."""

import asyncio
import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from device.broker import BrokerAddressError, parse_broker
from device.mqtt import Backoff, Ending, Inbound, Message, MqttClient, Outcome, Session
from device.mqttline import INBOX
from tests.support.broker import PROGRAM_VARIABLE, Mosquitto, MosquittoMissingError, find_mosquitto, free_port
from tests.support.fakebroker import FakeBroker, Published, disconnect, packet
from tests.support.waiting import PATIENCE_S


class Ear:
    """Hears everything the client says, and lets a test wait for it."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.endings: list[Ending] = []
        self.messages: list[tuple[str, bytes]] = []
        self.refused_topics: list[str] = []
        self.outcomes: list[Outcome] = []
        self._news = asyncio.Event()

    def on_connected(self, session: Session) -> None:
        self.sessions.append(session)
        self._news.set()

    def on_disconnected(self, ending: Ending) -> None:
        self.endings.append(ending)
        self._news.set()

    def on_message(self, message: Inbound) -> None:
        self.messages.append((message.topic, message.payload))
        self._news.set()

    def on_unsubscribed(self, text: str) -> None:
        self.refused_topics.append(text)
        self._news.set()

    def done(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._news.set()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self._news.clear()
                await self._news.wait()


def quick() -> Backoff:
    return Backoff(0.01, 0.05)


@contextlib.asynccontextmanager
async def client(
    url: str,
    ear: Ear,
    *topics: str,
    name: str = "T1",
    will: Callable[[int], Message] | None = None,
    window: int = 20,
    backoff: Backoff | None = None,
) -> AsyncIterator[MqttClient]:
    mqtt = MqttClient(parse_broker(url), name, window=window, backoff=backoff or quick())
    mqtt.start(ear, will, topics)
    try:
        yield mqtt
    finally:
        await mqtt.stop()


def test_a_message_published_goes_out_at_once_and_comes_back_to_who_subscribed(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear, "a/b") as mqtt:
            await ear.until(lambda: ear.sessions)
            # Without a wake-up of its thread this would take the 15 s of paho's poll, more than `until` waits.
            assert mqtt.publish(Message("a/b", "冲正".encode()), ear.done)
            await ear.until(lambda: ear.messages and ear.outcomes)
            assert ear.messages == [("a/b", "冲正".encode())]
            assert ear.outcomes[0].kind == "taken"
            assert mqtt.connected
            assert mqtt.alive
        assert not mqtt.connected
        assert not mqtt.alive
        assert ear.endings[-1].kind == "closed"

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_many_messages_in_order_from_another_thread_than_the_one_that_writes(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear, "a/b") as mqtt:
            await ear.until(lambda: ear.sessions)
            for number in range(300):
                while not mqtt.publish(Message("a/b", b"%d " % number + bytes(2_000)), ear.done):
                    await ear.until(lambda: mqtt.room)
            await ear.until(lambda: len(ear.messages) == 300)
            assert [int(payload.split()[0]) for _, payload in ear.messages] == list(range(300))
            assert {outcome.kind for outcome in ear.outcomes} == {"taken"}

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_what_comes_while_the_loop_is_busy_waits_at_the_broker_and_none_of_it_is_lost(tmp_path: Path) -> None:
    def publish_all(broker: Mosquitto) -> None:
        other = Client(CallbackAPIVersion.VERSION2)
        other.connect("127.0.0.1", broker.port)
        other.loop_start()
        for sent in [other.publish("a/b", b"%d" % number, qos=1) for number in range(5 * INBOX)]:
            sent.wait_for_publish(30)
        other.disconnect()
        other.loop_stop()

    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear, "a/b"):
            await ear.until(lambda: ear.sessions)
            publish_all(broker)  # nobody takes anything meanwhile
            time.sleep(0.2)  # noqa: ASYNC251
            await ear.until(lambda: len(ear.messages) == 5 * INBOX)
            assert [int(payload) for _, payload in ear.messages] == list(range(5 * INBOX))

    with Mosquitto(tmp_path, "max_queued_messages 0") as broker:
        asyncio.run(play(broker))


def test_only_the_network_thread_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writers: set[str] = set()
    write = Client._sock_send

    def watched(self: Client, data: bytes) -> int:
        writers.add(threading.current_thread().name)
        return write(self, data)

    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear, "a/b") as mqtt:
            await ear.until(lambda: ear.sessions)
            for _ in range(10):
                mqtt.publish(Message("a/b", b"x"), ear.done)
            await ear.until(lambda: len(ear.messages) == 10)

    monkeypatch.setattr(Client, "_sock_send", watched)
    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))
    assert writers == {"mqtt"}


def test_a_negative_puback_is_a_refusal_although_paho_calls_it_published(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear, "good") as mqtt:
            await ear.until(lambda: ear.sessions)
            mqtt.publish(Message("forbidden", b"x"), ear.done)
            mqtt.publish(Message("good", b"x"), ear.done)
            await ear.until(lambda: len(ear.outcomes) == 2)
            assert [(outcome.kind, outcome.code) for outcome in ear.outcomes] == [("refused", 0x87), ("taken", 0)]
            assert ear.outcomes[0].text == "Not authorized (0x87)"

    rules = tmp_path / "acl"
    rules.write_text("topic readwrite good\n")
    with Mosquitto(tmp_path, f"acl_file {rules}") as broker:
        asyncio.run(play(broker))


def test_a_message_that_nobody_subscribes_to_is_reported_as_thrown_away(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear) as mqtt:
            await ear.until(lambda: ear.sessions)
            mqtt.publish(Message("a/b", b"x"), ear.done)
            await ear.until(lambda: ear.outcomes)
            assert (ear.outcomes[0].kind, ear.outcomes[0].code) == ("nobody", 0x10)

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_a_message_larger_than_the_broker_allows_is_refused_without_being_sent(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear, "a/b") as mqtt:
            await ear.until(lambda: ear.sessions)
            assert ear.sessions[0].max_packet_bytes == 1_000
            assert mqtt.publish(Message("a/b", bytes(1_000)), ear.done)
            assert not ear.outcomes, "never from within the call"
            await ear.until(lambda: ear.outcomes)
            assert (ear.outcomes[0].kind, ear.outcomes[0].code) == ("refused", 0x95)
            assert ear.endings == []

    with Mosquitto(tmp_path, "max_packet_size 1000") as broker:
        asyncio.run(play(broker))


def test_offline_nothing_is_accepted_and_nothing_is_queued_for_later(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear, "a/b") as mqtt:
            await ear.until(lambda: ear.endings)
            assert ear.endings[0].kind == "unreachable"
            assert ear.endings[0].text == "Connection refused"
            assert not mqtt.publish(Message("a/b", b"too early"), ear.done)
            broker.start()
            await ear.until(lambda: ear.sessions)
            assert mqtt.publish(Message("a/b", b"now"), ear.done)
            await ear.until(lambda: ear.messages)
            assert ear.messages == [("a/b", b"now")]

    broker = Mosquitto(tmp_path)
    try:
        asyncio.run(play(broker))
    finally:
        broker.stop()


def test_the_brokers_receive_maximum_limits_what_is_on_its_way(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear, "a/b") as mqtt:
            await ear.until(lambda: ear.sessions)
            assert ear.sessions[0].window == 3
            taken = sum(mqtt.publish(Message("a/b", b"x"), ear.done) for _ in range(10))
            assert (taken, mqtt.room) == (3, 0)
            await ear.until(lambda: len(ear.outcomes) == 3)
            assert mqtt.room == 3

    with Mosquitto(tmp_path, "max_inflight_messages 3") as broker:
        asyncio.run(play(broker))


def test_our_own_window_holds_against_a_broker_that_never_answers_and_after_it_came_back() -> None:
    async def play(broker: FakeBroker) -> None:
        ear = Ear()
        async with client(broker.url, ear, window=5) as mqtt:
            for connection in (1, 2):
                await ear.until(lambda: len(ear.sessions) == connection)  # noqa: B023
                assert sum(mqtt.publish(Message("a/ev", b"x"), ear.done) for _ in range(9)) == 5
                with broker.changed:
                    assert broker.changed.wait_for(lambda: len(broker.events()) == 5 * connection, 10)  # noqa: B023
                broker.drop()
                await ear.until(lambda: len(ear.outcomes) == 5 * connection)  # noqa: B023
            assert {outcome.kind for outcome in ear.outcomes} == {"lost"}
            # paho by itself would have sent the first five again, beyond any window, with the next connection.
            assert [published.dup for published in broker.events()] == [False] * 10

    with FakeBroker(lambda _published: None) as broker:
        asyncio.run(play(broker))


def test_what_waits_when_the_broker_dies_is_lost_and_the_connection_comes_back(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear, "a/b"):
            for round_number in (1, 2, 3):
                await ear.until(lambda: len(ear.sessions) == round_number)  # noqa: B023
                broker.restart()
            await ear.until(lambda: len(ear.sessions) == 4)
            assert [ending.kind for ending in ear.endings if ending.kind != "unreachable"] == ["lost"] * 3

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_a_broker_that_says_that_another_took_our_id_is_heard() -> None:
    async def play(broker: FakeBroker) -> None:
        ear = Ear()
        async with client(broker.url, ear):
            await ear.until(lambda: ear.sessions)
            broker.send(disconnect(0x8E))
            await ear.until(lambda: ear.endings)
            assert (ear.endings[0].kind, ear.endings[0].code) == ("taken_over", 0x8E)
            await ear.until(lambda: len(ear.sessions) == 2)
            broker.send(disconnect(0x8B))
            await ear.until(lambda: len(ear.endings) == 2)
            assert ear.endings[1] == Ending("dropped", 0x8B, "Server shutting down (0x8B)")

    with FakeBroker() as broker:
        asyncio.run(play(broker))


def test_the_will_speaks_when_the_line_breaks_and_is_silent_after_a_polite_end(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        witness, ear, other = Ear(), Ear(), Ear()
        async with client(broker.url, witness, "+/state", name="witness"):
            await witness.until(lambda: witness.sessions)
            async with client(broker.url, ear, will=lambda number: Message("t/state", b"lost %d" % number)):
                await ear.until(lambda: ear.sessions)
                never = Backoff(600.0, 600.0, draw=lambda: 1.0)  # cut in its turn, it does not come back to cut again
                async with client(broker.url, other, backoff=never):  # the broker cuts the first one
                    await ear.until(lambda: len(ear.sessions) == 2)
            await witness.until(lambda: witness.messages)
            async with client(broker.url, other, name="end") as mqtt:
                await other.until(lambda: len(other.sessions) >= 2)
                mqtt.publish(Message("t/state", b"end"))
                await witness.until(lambda: ("t/state", b"end") in witness.messages)
            assert witness.messages == [("t/state", b"lost 1"), ("t/state", b"end")]

    with Mosquitto(tmp_path) as broker:
        asyncio.run(play(broker))


def test_nothing_is_retained_where_the_broker_says_that_it_cannot(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear, "a/b") as mqtt:
            await ear.until(lambda: ear.sessions)
            assert not ear.sessions[0].retain
            mqtt.publish(Message("a/b", b"x", retain=True), ear.done)
            await ear.until(lambda: ear.messages and ear.outcomes)
            assert ear.outcomes[0].kind == "taken"
            assert ear.endings == []

    with Mosquitto(tmp_path, "retain_available false") as broker:
        asyncio.run(play(broker))


def test_a_message_expires_at_the_broker_as_asked() -> None:
    async def play(broker: FakeBroker) -> None:
        ear = Ear()
        async with client(broker.url, ear) as mqtt:
            await ear.until(lambda: ear.sessions)
            mqtt.publish(Message("a/hb", b"x", qos=0, expiry_s=600))
            with broker.changed:
                assert broker.changed.wait_for(lambda: broker.published, 10)
            assert broker.published[0].expiry_s == 600

    with FakeBroker() as broker:
        asyncio.run(play(broker))


def test_a_broker_that_refuses_us_says_why(tmp_path: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear):
            await ear.until(lambda: len(ear.endings) > 1)
            assert (ear.endings[0].kind, ear.endings[0].code) == ("refused", 0x87)
            assert ear.endings[0].text == "Not authorized (0x87)"
            assert not ear.sessions

    with Mosquitto(tmp_path, "allow_anonymous false") as broker:
        asyncio.run(play(broker))


def test_a_refused_subscription_is_told(tmp_path: Path) -> None:
    async def play(broker: FakeBroker) -> None:
        ear = Ear()
        async with client(broker.url, ear, "rv1/demo/T1/ack"):
            await ear.until(lambda: ear.refused_topics)
            assert ear.refused_topics == ["the broker refused rv1/demo/T1/ack: Not authorized (0x87)"]

    with FakeBroker(suback=0x87) as broker:
        asyncio.run(play(broker))


def test_an_exception_in_a_callback_ends_the_connection_and_not_the_thread() -> None:
    nonsense = packet(3, b"\0\1\xff\0")  # a PUBLISH to a topic that is not UTF-8: paho passes it on, and reading it raises

    def answer(published: Published) -> int | bytes:
        return nonsense if published.connection == 1 else 0

    async def play(broker: FakeBroker) -> None:
        ear = Ear()
        async with client(broker.url, ear) as mqtt:
            await ear.until(lambda: ear.sessions)
            mqtt.publish(Message("a/b", b"x"), ear.done)
            await ear.until(lambda: len(ear.sessions) == 2)
            assert ear.endings[0].kind == "broken"
            assert ear.outcomes[0].kind == "lost"
            mqtt.publish(Message("a/b", b"x"), ear.done)
            await ear.until(lambda: len(ear.outcomes) == 2)
            assert ear.outcomes[1].kind == "taken"
            assert mqtt.thread_restarts == 0

    with FakeBroker(answer) as broker:
        asyncio.run(play(broker))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_started_again(tmp_path: Path) -> None:
    class Broken(Backoff):
        """Fails once, outside everything that the thread guards itself against."""

        broken = True

        def delay_s(self, stood_s: float = 0.0) -> float:
            if self.broken:
                self.broken = False
                raise ArithmeticError
            return super().delay_s(stood_s)

    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        async with client(broker.url, ear, "a/b", backoff=Broken(0.01, 0.05)) as mqtt:
            await ear.until(lambda: ear.endings)
            broker.start()
            await ear.until(lambda: ear.sessions)
            assert mqtt.thread_restarts == 1
            assert mqtt.alive

    broker = Mosquitto(tmp_path)
    try:
        asyncio.run(play(broker))
    finally:
        broker.stop()


def test_a_broker_that_takes_connections_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(url: str) -> None:
        ear = Ear()
        async with client(url, ear):
            await ear.until(lambda: len(ear.endings) == 2)
            assert ear.endings[0] == Ending("unreachable", None, "the broker took the connection and said nothing")

    monkeypatch.setattr("device.mqttline.CONNACK_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        asyncio.run(play(f"mqtt://127.0.0.1:{server.getsockname()[1]}"))


def test_a_broker_that_says_nothing_does_not_hold_up_the_stop() -> None:
    async def play(url: str) -> bool:
        mqtt = MqttClient(parse_broker(url), "T1", backoff=quick())
        mqtt.start(Ear(), None, ())
        await asyncio.sleep(0.1)
        return await mqtt.stop(5.0)

    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections and never speaks
        assert asyncio.run(play(f"mqtt://127.0.0.1:{server.getsockname()[1]}"))
    assert "mqtt" not in {thread.name for thread in threading.enumerate()}


def test_stopping_in_the_middle_of_a_long_wait_is_quick() -> None:
    async def play() -> bool:
        ear = Ear()
        nowhere = parse_broker(f"mqtt://127.0.0.1:{free_port()}")
        mqtt = MqttClient(nowhere, "T1", backoff=Backoff(3600, 3600, draw=lambda: 1.0))
        mqtt.start(ear, None, ())
        await ear.until(lambda: ear.endings)
        return await mqtt.stop(5.0)

    assert asyncio.run(play())


def test_full_jitter_draws_under_a_ceiling_that_doubles_and_falls_back_after_a_minute() -> None:
    draws: list[float] = []

    def draw() -> float:
        draws.append(1.0)
        return 1.0

    backoff = Backoff(draw=draw)
    assert [backoff.delay_s() for _ in range(8)] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.delay_s(stood_s=59.9) == 300
    assert backoff.delay_s(stood_s=60.0) == 5
    assert len(draws) == 10, "every wait is drawn, the first one too"
    assert Backoff(draw=lambda: 0.25).delay_s() == 1.25


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("127.0.0.1:1883", {}, "must be mqtt://host:1883"),
        ("http://host", {}, "must be mqtt://host:1883"),
        ("mqtt://", {}, "must be mqtt://host:1883"),
        ("mqtt://user:secret@host", {}, "must be mqtt://host:1883"),
        ("mqtt://host:0", {}, "0 is not a port"),
        ("mqtt://host:70000", {}, "70000 is not a port"),
        ("mqtt://host", {"ca": Path("ca.pem")}, "must start with mqtts://"),
        ("mqtts://host", {"cert": Path("cert.pem")}, "cert and key belong together"),
    ],
)
def test_a_wrong_address_says_what_is_right(url: str, options: dict[str, Path], says: str) -> None:
    with pytest.raises(BrokerAddressError) as caught:
        parse_broker(url, **options)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_right_address_is_read_with_its_usual_port() -> None:
    assert str(parse_broker("mqtt://broker.example")) == "mqtt://broker.example:1883"
    assert str(parse_broker("mqtts://broker.example/")) == "mqtts://broker.example:8883"
    assert str(parse_broker("mqtt://[::1]:1884")) == "mqtt://[::1]:1884"


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a broker's certificate for 127.0.0.1, a terminal's with CN = sn, and a stranger CA."""
    folder = tmp_path_factory.mktemp("pki")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "stranger"):
        paths = ("-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem")
        openssl("req", "-x509", *curve, *paths, "-subj", f"/CN={name}", "-days", "2")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1")
    for name in ("broker", "T0000001"):
        openssl("req", *curve, "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.csr", "-subj", f"/CN={name}")
        signing = ("-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key", "-CAcreateserial", "-days", "2")
        given = ("-in", f"{folder}/{name}.csr", "-extfile", f"{folder}/san", "-out", f"{folder}/{name}.pem")
        openssl("x509", "-req", *given, *signing)
    return folder


def tls_settings(pki: Path, *more: str) -> list[str]:
    return [f"cafile {pki}/ca.pem", f"certfile {pki}/broker.pem", f"keyfile {pki}/broker.key", *more]


def test_with_mutual_tls_the_broker_pins_a_terminal_to_its_own_topics(tmp_path: Path, pki: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        url = broker.url.replace("mqtt:", "mqtts:")
        address = parse_broker(url, ca=pki / "ca.pem", cert=pki / "T0000001.pem", key=pki / "T0000001.key")
        mqtt = MqttClient(address, "T0000001", backoff=quick())
        mqtt.start(ear, None, ["rv1/demo/T0000001/ev"])
        await ear.until(lambda: ear.sessions)
        for sn in ("T0000001", "T0000002"):
            mqtt.publish(Message(f"rv1/demo/{sn}/ev", b"x"), ear.done)
        await ear.until(lambda: len(ear.outcomes) == 2)
        assert [outcome.kind for outcome in ear.outcomes] == ["taken", "refused"]
        assert await mqtt.stop()

    rules = tmp_path / "acl"
    rules.write_text("pattern readwrite rv1/+/%u/#\n")
    more = ("require_certificate true", "use_identity_as_username true", f"acl_file {rules}")
    with Mosquitto(tmp_path, *tls_settings(pki, *more)) as broker:
        asyncio.run(play(broker))


def test_a_broker_with_a_certificate_of_another_authority_is_not_spoken_to(tmp_path: Path, pki: Path) -> None:
    async def play(broker: Mosquitto) -> None:
        ear = Ear()
        url = broker.url.replace("mqtt:", "mqtts:")
        mqtt = MqttClient(parse_broker(url, ca=pki / "stranger.pem"), "T1", backoff=quick())
        mqtt.start(ear, None, ())
        await ear.until(lambda: ear.endings)
        assert ear.endings[0].kind == "unreachable"
        assert ear.endings[0].text.startswith("the broker's certificate is not trusted: ")
        assert await mqtt.stop()

    with Mosquitto(tmp_path, *tls_settings(pki)) as broker:
        asyncio.run(play(broker))


@pytest.mark.parametrize(
    ("ca", "cert", "key", "says"),
    [
        ("none.pem", "T0000001.pem", "T0000001.key", "none.pem cannot be used: No such file or directory"),
        ("ca.pem", "none.pem", "T0000001.key", "none.pem cannot be read: No such file or directory"),
        ("ca.pem", "T0000001.pem", "none.key", "none.key cannot be read: No such file or directory"),
        ("ca.pem", "T0000001.pem", "broker.key", "cannot be used together: key values mismatch"),
        ("san", "T0000001.pem", "T0000001.key", "san cannot be used: "),
    ],
)
def test_certificates_that_cannot_be_used_are_named_at_the_start(pki: Path, ca: str, cert: str, key: str, says: str) -> None:
    broker = parse_broker("mqtts://host", ca=pki / ca, cert=pki / cert, key=pki / key)
    with pytest.raises(BrokerAddressError, match=says):
        MqttClient(broker, "T1")


def test_without_mosquitto_the_tests_fail_and_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = find_mosquitto()
    (tmp_path / "mosquitto").symlink_to(found)
    monkeypatch.setenv(PROGRAM_VARIABLE, str(tmp_path / "mosquitto"))
    assert find_mosquitto() == str(tmp_path / "mosquitto")
    monkeypatch.setenv(PROGRAM_VARIABLE, "")
    monkeypatch.setattr("os.access", lambda *_arguments: False)
    with pytest.raises(MosquittoMissingError, match="apt-get install mosquitto"):
        find_mosquitto()
