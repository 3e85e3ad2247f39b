"""The line over real sockets: which error means that bytes have left, frames however they are split, TLS."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.acquirer.link import Link, tls_context
from device.acquirer.profile import Framing
from device.acquirer.stream import FRAMES_WAITING_MAX
from device.errors import LinkDown, LinkError, LinkLost, LinkSilent, RemoteMessageError
from tests.device.acquirer import certificates
from tests.device.acquirer.golden import FRAME
from tests.support.waiting import until

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LONG_MS = 20_000  # a limit that only a failing test reaches


async def with_host(handle: Handler, use: Callable[[Link], Awaitable[None]], **options: object) -> None:
    """Run `use` with a link to a host whose connections `handle` serves."""
    done: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done.append(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await handle(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=options.pop("server_tls", None))  # type: ignore[arg-type]
    link = Link("127.0.0.1", server.sockets[0].getsockname()[1], **options)  # type: ignore[arg-type]
    try:
        await use(link)
    finally:
        await link.close()
        server.close()
        for task in done:
            task.cancel()
        await asyncio.gather(*done, return_exceptions=True)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST, as a host that crashed does."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def ended(link: Link) -> None:
    """Return once the event loop knows that the connection is over."""
    assert link._stream is not None
    await link._stream._over.wait()
    assert not link.is_open


async def for_ever(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await work()


async def receive_a_possible_frame(link: Link) -> None:
    assert 21 <= len(await link.receive(LONG_MS)) <= 4096


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_frame_goes_out_and_its_answer_comes_in_without_the_length() -> None:
    async def use(link: Link) -> None:
        assert not link.is_open
        await link.connect()
        await link.connect()  # already open: nothing happens
        assert link.is_open
        await link.send(FRAME)
        assert await link.receive(LONG_MS) == FRAME[2:]
        await link.close()
        assert not link.is_open

    asyncio.run(with_host(echo, use))


def test_frames_leave_at_once() -> None:
    async def use(link: Link) -> None:
        await link.connect()
        assert link._stream is not None
        connection = link._stream.transport.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    asyncio.run(with_host(echo, use))


def test_a_refused_connection_is_down_with_the_reason() -> None:
    async def scenario() -> None:
        with pytest.raises(LinkDown, match=r"Connect call failed|Connection refused"):
            await Link("127.0.0.1", unused_port()).connect()

    asyncio.run(scenario())


def test_sending_without_a_connection_is_down() -> None:
    async def scenario() -> None:
        with pytest.raises(LinkDown, match="not connected"):
            await Link("127.0.0.1", 1).send(FRAME)
        with pytest.raises(LinkLost, match="not connected"):
            await Link("127.0.0.1", 1).receive(1)

    asyncio.run(scenario())


def silent_host() -> tuple[socket.socket, list[socket.socket]]:
    """A listener whose queue is full: the kernel answers no further SYN."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    return listener, fillers


def test_a_connect_that_is_not_answered_ends_with_its_time_out() -> None:
    async def scenario() -> None:
        listener, fillers = silent_host()
        link = Link("127.0.0.1", listener.getsockname()[1], connect_timeout_ms=50)
        with pytest.raises(LinkDown, match="no connection within 50 ms"):
            await link.connect()
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1, "the attempt goes on behind our back"
        for each in (*fillers, listener):
            each.close()

    asyncio.run(scenario())


def test_a_connect_under_way_can_be_given_up_and_tried_again() -> None:
    async def scenario() -> None:
        listener, fillers = silent_host()
        link = Link("127.0.0.1", listener.getsockname()[1], connect_timeout_ms=LONG_MS)
        attempt = asyncio.ensure_future(link.connect())
        await asyncio.sleep(0.02)
        with pytest.raises(LinkDown, match="another attempt"):
            await link.connect()
        link.abort()
        with pytest.raises(LinkDown, match="given up"):
            await attempt
        for each in (*fillers, listener):
            each.close()

    asyncio.run(scenario())


def test_whoever_waits_for_a_connect_can_be_cancelled() -> None:
    async def scenario() -> None:
        listener, fillers = silent_host()
        link = Link("127.0.0.1", listener.getsockname()[1], connect_timeout_ms=LONG_MS)
        attempt = asyncio.ensure_future(link.connect())
        await asyncio.sleep(0.02)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert not link.is_open
        for each in (*fillers, listener):
            each.close()

    asyncio.run(scenario())


def test_an_end_that_the_event_loop_has_not_seen_yet_is_down_and_no_byte_leaves() -> None:
    """The peer's FIN or RST is in the kernel; nothing has run since. The frame must not leave."""

    async def scenario(linger: bytes | None) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            link = Link("127.0.0.1", listener.getsockname()[1])
            await link.connect()
            peer, _ = listener.accept()
            if linger:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                peer.close()
            else:
                peer.shutdown(socket.SHUT_WR)
            with pytest.raises(LinkDown, match="not connected"):
                await link.send(FRAME)
            assert not link.is_open
            await link.close()
            if not linger:
                peer.settimeout(5)
                assert peer.recv(4096) == b""
                peer.close()

    asyncio.run(scenario(None))
    asyncio.run(scenario(struct.pack("ii", 1, 0)))


@pytest.mark.parametrize("how", ["politely", "by reset", "in mid-message"])
def test_an_end_after_the_bytes_left_is_lost(how: str) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(FRAME))
        if how == "by reset":
            reset(writer)
        elif how == "in mid-message":
            writer.write(FRAME[:50])

    async def use(link: Link) -> None:
        await link.connect()
        await link.send(FRAME)
        with pytest.raises(LinkLost, match="ended before an answer"):
            await link.receive(LONG_MS)
        assert not link.is_open
        with pytest.raises(LinkDown):
            await link.send(FRAME)

    asyncio.run(with_host(handle, use))


def test_an_answer_before_the_end_is_still_received() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(FRAME)))

    async def use(link: Link) -> None:
        await link.connect()
        await link.send(FRAME)
        await ended(link)
        assert await link.receive(LONG_MS) == FRAME[2:]
        with pytest.raises(LinkLost):
            await link.receive(LONG_MS)

    asyncio.run(with_host(handle, use))


def test_a_peer_that_takes_no_bytes_is_lost_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device.acquirer.stream.SEND_TIMEOUT_MS", 50)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(LONG_MS / 1000)

    async def use(link: Link) -> None:
        await link.connect()
        with pytest.raises(LinkLost, match="while a message was leaving"):
            await for_ever(lambda: link.send(FRAME * 4096))
        assert not link.is_open

    asyncio.run(with_host(handle, use))


def test_closing_while_somebody_receives_is_lost_to_them() -> None:
    async def use(link: Link) -> None:
        await link.connect()
        waiting = asyncio.ensure_future(link.receive(LONG_MS))
        await asyncio.sleep(0)
        await link.close()
        with pytest.raises(LinkLost):
            await waiting

    asyncio.run(with_host(echo, use))


def test_silence_is_silence_and_the_line_stays() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2 * len(FRAME))
        writer.write(FRAME)
        await reader.read()

    async def use(link: Link) -> None:
        await link.connect()
        await link.send(FRAME)
        with pytest.raises(LinkSilent, match="no answer within 20 ms"):
            await link.receive(20)
        assert link.is_open
        await link.send(FRAME)
        assert await link.receive(LONG_MS) == FRAME[2:]

    asyncio.run(with_host(handle, use))


@pytest.mark.parametrize("prefix", [b"\x00\x00", b"\x00\x14", b"\x10\x01", b"\xff\xff", b"GET / HTTP/1.1"])
def test_a_length_that_no_message_has_ends_the_line(prefix: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(FRAME + prefix)
        await reader.read()

    async def use(link: Link) -> None:
        await link.connect()
        assert await link.receive(LONG_MS) == FRAME[2:]
        with pytest.raises(RemoteMessageError, match="length that no message has"):
            await link.receive(LONG_MS)
        assert not link.is_open

    asyncio.run(with_host(handle, use))


def test_a_peer_that_floods_is_held_back_and_no_frame_is_lost() -> None:
    count = 10_000  # over a megabyte

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(FRAME * count)
        await writer.drain()
        await reader.read()

    async def use(link: Link) -> None:
        await link.connect()
        stream = link._stream
        assert stream is not None
        for _ in range(count):
            assert await link.receive(LONG_MS) == FRAME[2:]
            assert len(stream._frames) <= FRAMES_WAITING_MAX
            assert len(stream._buffer) <= 512 * 1024  # one read of the event loop's, and what was left before it
            await asyncio.sleep(0)

    asyncio.run(with_host(handle, use))


def test_a_peer_that_was_held_back_with_nothing_left_over_is_heard_again() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(FRAME * FRAMES_WAITING_MAX)
        await reader.readexactly(1)
        writer.write(FRAME)
        await reader.read()

    async def use(link: Link) -> None:
        await link.connect()
        stream = link._stream
        assert stream is not None
        await until(lambda: len(stream._frames) == FRAMES_WAITING_MAX)
        assert not stream.transport.is_reading()
        for number in range(FRAMES_WAITING_MAX + 1):
            assert await link.receive(LONG_MS) == FRAME[2:]
            if number == 0:
                await link.send(b"x")

    asyncio.run(with_host(handle, use))


def test_after_an_end_the_link_connects_again() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(FRAME)))

    async def use(link: Link) -> None:
        for _ in range(3):
            await link.connect()
            await link.send(FRAME)
            assert await link.receive(LONG_MS) == FRAME[2:]
            await ended(link)

    asyncio.run(with_host(handle, use))


@settings(max_examples=40)
@given(st.lists(st.integers(0, 6), max_size=6), st.lists(st.integers(1, 200), max_size=12))
def test_frames_arrive_whole_wherever_the_stream_is_split(sizes: list[int], cuts: list[int]) -> None:
    frames = [bytes([size]) * (21 + size * 300) for size in sizes]
    stream = b"".join(Framing(frame_bytes_min=21).framed(frame) for frame in frames)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rest = stream
        for cut in cuts:
            writer.write(rest[:cut])
            await asyncio.sleep(0)
            rest = rest[cut:]
        writer.write(rest)

    async def use(link: Link) -> None:
        await link.connect()
        assert [await link.receive(LONG_MS) for _ in frames] == frames
        with pytest.raises(LinkLost):
            await link.receive(LONG_MS)

    asyncio.run(with_host(handle, use))


@settings(max_examples=60)
@given(st.binary(max_size=300), st.booleans())
def test_random_streams_give_frames_or_one_of_our_errors(stream: bytes, begins_well: bool) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(FRAME * begins_well + stream)

    async def use(link: Link) -> None:
        await link.connect()
        with pytest.raises((LinkLost, RemoteMessageError)):
            await for_ever(lambda: receive_a_possible_frame(link))

    asyncio.run(with_host(handle, use))


def test_tls_with_both_certificates_carries_frames(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.ca)
    server_tls.load_cert_chain(files.cert, files.key)
    server_tls.verify_mode = ssl.CERT_REQUIRED

    async def use(link: Link) -> None:
        await link.connect()
        await link.send(FRAME)
        assert await link.receive(LONG_MS) == FRAME[2:]

    asyncio.run(with_host(echo, use, server_tls=server_tls, tls=tls_context(*files)))


def test_a_host_that_another_authority_signed_is_down_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    files, others = certificates.make(tmp_path), certificates.make(tmp_path / "other")
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(files.cert, files.key)

    async def use(link: Link) -> None:
        with pytest.raises(LinkDown, match="certificate is not accepted"):
            await link.connect()

    asyncio.run(with_host(echo, use, server_tls=server_tls, tls=tls_context(others.ca)))


def test_a_host_that_refuses_our_certificate_after_the_handshake_says_so(tmp_path: Path) -> None:
    """By TLS 1.3 the client is through before the host has looked at what it shows; asyncio's own servers do not say why."""
    files = certificates.make(tmp_path)
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.ca)
    server_tls.load_cert_chain(files.cert, files.key)
    server_tls.verify_mode = ssl.CERT_REQUIRED

    def refuse(listener: socket.socket) -> None:
        connection = listener.accept()[0]
        with connection, contextlib.suppress(ssl.SSLError), server_tls.wrap_socket(connection, server_side=True):
            pass

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            link = Link("127.0.0.1", listener.getsockname()[1], tls=tls_context(files.ca))
            refusing = asyncio.create_task(asyncio.to_thread(refuse, listener))
            await link.connect()
            with pytest.raises(LinkLost, match=r"before an answer: .*certificate required"):
                await link.receive(LONG_MS)
            await refusing
            await link.close()

    asyncio.run(story())


def test_a_host_that_never_answers_the_handshake_is_down() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await asyncio.sleep(LONG_MS / 1000)

    async def use(link: Link) -> None:
        with pytest.raises(LinkDown, match="no connection within 100 ms"):
            await link.connect()

    asyncio.run(with_host(handle, use, tls=tls_context(None), connect_timeout_ms=100))


def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)
    with pytest.raises(LinkError, match=r"authority file .*absent\.pem"):
        tls_context(tmp_path / "absent.pem")
    with pytest.raises(LinkError, match=r"certificate .*cert\.pem with key .*ca\.pem"):
        tls_context(files.ca, files.cert, files.ca)
