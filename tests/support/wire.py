"""What an agent really sends to its host: a stretch of line in between, whose frames a test can read."""

from device.acquirer.message import Codec, Message
from tests.support.forwarder import Forwarder


class Wire(Forwarder):
    """A forwarder that reads."""

    def __init__(self, port: int, codec: Codec | None = None) -> None:
        self._codec = codec or Codec()
        super().__init__(port)

    def sent(self, mti: str) -> list[Message]:
        """The whole messages of this type that have left, in order."""
        stream, framing, found = b"".join(self.frames), self._codec.framing, []
        while len(stream) > framing.length_bytes:
            length = framing.length(stream[: framing.length_bytes])
            end = framing.length_bytes + (length or 0)
            if length is None or len(stream) < end:
                break
            message = self._codec.read(stream[framing.length_bytes : end])
            if message.mti == mti:
                found.append(message)
            stream = stream[end:]
        return found
