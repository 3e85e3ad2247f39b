"""The swarm: every seed switches a random subset of the faults on, so that rare combinations are met as often as common ones."""

from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING

NAMES = (
    # the network between host, app and agent
    "loss",
    "delay",
    "double",
    "crossed",
    "cut",
    "down",
    # the host
    "late",
    "tardy",
    "codes",
    "keys",
    "badmac",
    "forgets",
    "declines",
    "backup",
    # the payment app
    "crash",
    "slow",
    "eager",
    "twice",
    "gac",
    "mute_app",
    "macgone",
    "lease",
    "relay",
    "hangup",
    "own",
    # the machine and its disk
    "kill",
    "power",
    "suspend",
    "clock",
    "drift",
    "full",
    "broken",
    "rot",
    "unpackable",
    # the wallets
    "scan",
    "deaf_app",
    "late_pay",
    "mute_wallet",
    "lying_wallet",
    "gateway_away",
    # the printer, the fleet, the batch, people
    "paper",
    "withheld",
    "fleet",
    "batch",
    "people",
    "glass",
    "tills",
    "anew",
    # what is bought
    "kinds",
    "partial",
)
MEANING = {
    "loss": "messages between host and terminal are lost",
    "delay": "messages take long, so that they overtake each other",
    "double": "answers come twice",
    "crossed": "an answer to somebody else's reversal comes first",
    "cut": "connections end in mid-flight",
    "down": "the line is down for a while, up to more than a day",
    "late": "the host takes a request after its reversal, which it answered with no original",
    "tardy": "the host takes a request more than a minute late",
    "codes": "the host answers reversals with refusals of every class",
    "keys": "the keys change, and only a sign-in brings the new ones",
    "badmac": "answers carry a wrong MAC or none",
    "forgets": "the host's day ends, and it knows yesterday's transactions no more",
    "declines": "the host declines sales, sometimes with an uncertain code",
    "backup": "the primary host is gone now and then, and its backup stands in",
    "macgone": "nobody makes or checks MACs for a while",
    "lease": "the line is the app's, which does not always lend it, or takes it back",
    "crash": "the payment app dies and forgets",
    "slow": "the payment app is slow to send after its go",
    "eager": "the payment app sends without permission",
    "twice": "the payment app reports twice, sometimes another outcome",
    "gac": "the chip declines what the host approved",
    "mute_app": "the payment app never reports what it heard",
    "relay": "the terminal's own traffic goes through the agent",
    "hangup": "the terminal hangs up before its answer, in the relay",
    "own": "the payment app sends its own reversals, in the relay",
    "kill": "the agent is killed, also between commit and answer",
    "power": "the power goes, also in the middle of a write",
    "suspend": "the machine sleeps",
    "clock": "the wall clock is unknown or is stepped",
    "drift": "the boot clock runs fast or slow",
    "full": "the disk is full for a while",
    "broken": "a commit fails with an unknown outcome",
    "rot": "bits flip on the disk",
    "unpackable": "a reversal cannot be packed",
    "scan": "customers pay by wallet too",
    "deaf_app": "the payment app does not hear what the wallet says",
    "late_pay": "the wallet books late, also after a cancel, or asks the customer for a password",
    "mute_wallet": "the gateway is silent, answers rubbish or that it does not know",
    "lying_wallet": "the gateway says that a cancel was done and it was not, or refuses it",
    "gateway_away": "the gateway cannot be reached for a while",
    "paper": "the printer runs out of paper, is switched off, or does not say how far it came",
    "withheld": "the payment app reports without the receipt, and hands it over when asked, later or never",
    "fleet": "the broker loses, doubles and reorders",
    "batch": "the batch is settled in the middle",
    "kinds": "customers bring every kind: pre-authorizations, completions, their voids, refunds, advice, instalments",
    "partial": "the host approves less than was asked for",
    "people": "people reprint, show messages, order reversals, take risks, close cases",
    "glass": "there is a customer display, slow or unplugged now and then",
    "tills": "two terminal ids settle for themselves on one agent",
    "anew": "STANs begin anew with each batch and at each terminal id, and answers come a batch late",
}
assert set(MEANING) == set(NAMES)
# In worlds of mode payapp: these of the above, where the app is the one that sends, and three of their own.
OWN = {
    "deaf": "the payment app's port does not answer",
    "busy": "the payment app says busy",
    "hand": "nobody puts in a card, or the payment app knows no flush",
}
PAYAPP = (
    "loss", "late", "codes", "down", "kill", "power", "crash", "slow", "batch", "full", "broken", "rot", "paper", "fleet", *OWN,
)
MEANING |= OWN
JOURNAL_ONLY = frozenset({"rot", "fleet"})
AWAKE = frozenset({"kill", "power", "rot", "crash"})  # in its sleep a machine does nothing: what ends it comes as it wakes
_ALL = (*NAMES, *OWN)
_OFF = dict.fromkeys(_ALL, False)
_DRAWN = tuple(name for name in NAMES if name not in {"glass", "tills", "anew"})  # properties of the seed: see `pole`, `tills`


class Faults:
    """Which faults may happen; one attribute per name."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> bool:
            """Each name is a bool."""

        names: tuple[str, ...]

    def __init__(self, on: Iterable[str] = ()) -> None:
        names = frozenset(on)
        self.__dict__ = _OFF | dict.fromkeys(names, True)
        self.names = tuple(filter(names.__contains__, _ALL))  # those that are on, in their order


NONE = Faults()


def draw(random: Random) -> Faults:
    """The faults of one seed: few, some, or many."""
    density = (0.0, 0.06, 0.12, 0.2, 0.35)[int(random.random() * 5)]
    chance = random.random
    return Faults([name for name in _DRAWN if chance() < density])
