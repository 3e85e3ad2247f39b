"""From a message on `cmd` to a command that may be believed: for us, whole, and signed by a key that we know.

Times, repeats and what the command may do are the core's to judge (`agent.core.commands`). What is not taken here leaves no
trace in the journal but a count, since anybody who can write to the broker can send it.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent import commandform, envelope
from agent.envelope import Command, EnvelopeError
from agent.hooks.settlementbody import Statement
from device.mqtt import Inbound

_ARGUMENTS: Final[dict[str, type[msgspec.Struct]]] = {**commandform.ARGUMENTS, "settle": Statement}

Keys = Mapping[str, bytes]


class Refused(Exception):
    """It is not taken, and why: a stable code. `command` is what it claims to be, where that could be read."""

    def __init__(self, why: str, command: Command | None = None) -> None:
        super().__init__(why)
        self.why, self.command = why, command


def believed(message: Inbound, fleet: str, sn: str, keys: Keys) -> Command:
    """The command, when all of it holds. Raises Refused; the order of the questions is cheapest first."""
    if len(message.payload) > commandform.COMMAND_BYTES_MAX:
        raise Refused("too-large")
    try:
        command = envelope.decode(message.payload, Command)
    except EnvelopeError:
        raise Refused("malformed") from None
    if not commandform.is_id(command.id):
        raise Refused("malformed")
    if message.retained:  # kept by the broker: nobody sends it now, and everybody who subscribes would hear it again
        raise Refused("retained", command)
    if (command.fleet, command.sn) != (fleet, sn):
        raise Refused("wrong-terminal", command)
    if len(message.correlation or b"") > commandform.CORRELATION_BYTES_MAX:
        raise Refused("malformed", command)
    if message.reply_to not in {None, envelope.topic(fleet, sn, envelope.Channel.RSP)}:
        raise Refused("wrong-reply-topic", command)  # we say nothing on a topic that somebody else chose
    public = keys.get(command.key)
    if public is None:
        raise Refused("unknown-key", command)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(command.sig), commandform.signed_bytes(command))
    except (InvalidSignature, ValueError):  # EnvelopeError is one: arguments with no one way to be written
        raise Refused("bad-signature", command) from None
    if command.name not in _ARGUMENTS:
        raise Refused("unknown-command", command)
    return command


def arguments(command: Command) -> msgspec.Struct:
    """Its arguments as their type. Raises Refused."""
    try:
        return msgspec.convert(command.args, _ARGUMENTS[command.name])
    except msgspec.ValidationError:
        raise Refused("bad-arguments", command) from None
