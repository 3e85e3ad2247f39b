"""The simulated host's books, kind by kind: holds, captures, debits and credits, and what a reversal puts back."""

import msgspec
import pytest

from agent.cli.hostrules import host_rules
from agent.profile import load
from device.simulator.acquirer_model import AcquirerModel, Answer
from device.simulator.hostrules import UNIONPAY_HOST, HostRules
from device.simulator.ledger import Entry
from tests.agent.test_profile import ASCII, SHIPPED

NOW_MS = 1_795_392_000_000  # 2026-11-23 08:00 in China
DAY_MS = 86_400_000
COMMON = {2: "6222021234567890128", 22: "051", 41: "12345678", 42: "898310148160001", 49: "156"}


class Counter:
    """A host, and the terminal's words for it: each kind by its name."""

    def __init__(self, rules: HostRules = UNIONPAY_HOST) -> None:
        self.rules = rules
        self.host = AcquirerModel(rules=rules)
        self.said: dict[str, dict[int, str]] = {}

    def asks(self, name: str, stan: str, amount_fen: int, of: str | None = None, *, again: bool = False) -> str:
        """The response code of a request; `of` is the STAN of its original."""
        kind = next(kind for kind in self.rules.kinds if kind.name == name)
        fields = COMMON | {
            3: kind.f3, 4: f"{amount_fen:012d}", 11: stan, 25: "06" if "preauth" in name or "completion" in name else "00",
            60: self.rules.f60.format(type=kind.type, batch="000001"),
        }
        if of and kind.f61:
            fields[61] = kind.f61.format(batch="000001", stan=of, date=self.entry(of).date)
        self.said[stan] = fields
        return self._answer(f"{kind.mti[:3]}1" if again else kind.mti, fields)

    def reverses(self, stan: str, **change: str) -> str:
        """The response code of its reversal; `change` are fields like F4."""
        own = {int(name[1:]): text for name, text in change.items()}
        return self._answer(self.rules.reversal, self.said[stan] | {39: "98"} | own)

    def _answer(self, mti: str, fields: dict[int, str]) -> str:
        (answer,) = self.host.handle(mti, fields, NOW_MS)
        assert isinstance(answer, Answer)
        self.last = answer
        return answer.fields[39]

    def entry(self, stan: str) -> Entry:
        """Its account."""
        found = self.host.ledger.find("12345678", "000001", stan)
        assert found is not None
        return found

    def books(self) -> tuple[int, int]:
        """What the customer has paid, and what is kept back, fen."""
        entries = list(self.host.ledger)
        return sum(entry.net_debit_fen for entry in entries), sum(entry.held_fen for entry in entries)


def test_a_pre_authorization_holds_and_its_reversal_lets_go() -> None:
    at = Counter()
    assert at.asks("preauth", "000001", 500) == "00"
    assert at.books() == (0, 500)
    assert (at.reverses("000001"), at.reverses("000001")) == ("00", "00")
    assert at.books() == (0, 0)


def test_a_void_of_a_pre_authorization_lets_go_and_its_reversal_holds_again() -> None:
    at = Counter()
    at.asks("preauth", "000001", 500)
    assert at.asks("preauth_void", "000002", 500, of="000001") == "00"
    assert at.books() == (0, 0)
    assert at.asks("completion", "000003", 500, of="000001") == "22"
    assert at.reverses("000002") == "00"
    assert at.books() == (0, 500)


def test_a_completion_takes_its_own_amount_and_its_reversal_holds_again() -> None:
    at = Counter()
    at.asks("preauth", "000001", 500)
    assert at.asks("completion", "000002", 576, of="000001") == "64", "115 % at most"
    assert at.asks("completion", "000003", 480, of="000001") == "00"
    assert at.books() == (480, 0)
    assert at.reverses("000003", f4="000000000500") == "64", "a completion's reversal carries the completion's amount"
    assert at.reverses("000001") == "22"
    assert at.reverses("000003") == "00"
    assert at.books() == (0, 500)


def test_a_void_of_a_completion_gives_back_and_its_reversal_takes_again() -> None:
    at = Counter()
    at.asks("preauth", "000001", 500)
    at.asks("completion", "000002", 480, of="000001")
    assert at.asks("completion_void", "000003", 480, of="000002") == "00"
    assert at.books() == (0, 0)
    assert at.reverses("000003") == "00"
    assert at.books() == (480, 0)


@pytest.mark.parametrize("change", [{"f61": ""}, {"f61": "0000010000011122"}, {"f25": "00"}, {"f3": "000000"}])
def test_a_reversal_that_does_not_name_its_original_as_the_request_did_finds_none(change: dict[str, str]) -> None:
    at = Counter()
    at.asks("preauth", "000001", 500)
    at.asks("preauth_void", "000002", 500, of="000001")
    assert at.reverses("000002", **change) == "25"
    assert at.books() == (0, 0)


def test_an_original_of_another_day_is_none() -> None:
    at = Counter()
    at.asks("preauth", "000001", 500)
    at.host.clock_ms = DAY_MS
    at.asks("preauth", "000002", 500)
    at.entry("000001").date, before = "1231", at.entry("000001").date
    assert before == "1123"
    assert at.entry("000002").date == "1124"
    assert at.asks("completion", "000003", 500, of="000001") == "00", "its own day, whatever day it is now"
    assert at.said["000003"][61] == "0000010000011231"
    at.entry("000002").date = "1125"
    at.said.clear()
    fields = COMMON | {3: "000000", 4: "000000000500", 11: "000004", 25: "06", 60: "20000001000", 61: "0000010000021124"}
    (answer,) = at.host.handle("0200", fields, NOW_MS)
    assert isinstance(answer, Answer)
    assert answer.fields[39] == "25"


@pytest.mark.parametrize("again", [True, False])
def test_a_refund_is_taken_once_however_often_it_comes_and_never_reversed(*, again: bool) -> None:
    at = Counter()
    at.asks("sale", "000001", 500)
    assert at.asks("refund", "000002", 200, of="000001") == "00"
    assert at.asks("refund", "000002", 200, of="000001", again=again) == "00"
    assert at.last.mti == "0230"
    assert at.books() == (300, 0)
    assert at.entry("000002").repeats == 1
    assert at.reverses("000002") == "58"
    assert at.asks("refund", "000003", 301, of="000001") == "64", "never more than was paid"
    assert at.asks("refund", "000002", 100, of="000001") == "94", "another message under the same number"
    assert at.books() == (300, 0)


def test_an_advice_books_and_a_tip_adds() -> None:
    at = Counter()
    assert at.asks("offline", "000001", 300) == "00"
    assert at.asks("sale", "000002", 100) == "00"
    assert at.asks("tip", "000003", 10, of="000002") == "00"
    assert at.asks("tip", "000004", 10, of="000001") == "25"
    assert at.books() == (410, 0)


def test_a_kind_that_is_only_watched_books_and_takes_no_reversal() -> None:
    at = Counter()
    assert at.asks("instalment", "000001", 900) == "00"
    assert at.reverses("000001") == "58"
    assert at.books() == (900, 0)


@pytest.mark.parametrize(("amount", "good"), [("requested", "000000000500"), ("approved", "000000000300")])
def test_a_partial_approval_books_its_own_amount_and_is_reversed_by_the_one_of_the_profile(amount: str, good: str) -> None:
    at = Counter(HostRules(reversal_amount=amount))  # type: ignore[arg-type]
    at.host.faults.scenario({"0200": ["partial:300"]})
    assert at.asks("sale", "000001", 500) == "10"
    assert at.last.fields[4] == "000000000300"
    assert at.books() == (300, 0)
    assert {at.reverses("000001", f4=other) for other in ("000000000500", "000000000300") if other != good} == {"64"}
    assert at.reverses("000001", f4=good) == "00"
    assert at.books() == (0, 0)


def test_the_plain_ascii_host_has_its_own_kinds_types_and_codes() -> None:
    rules = host_rules(ASCII)
    assert (rules.reversal, rules.codes.key, rules.codes.undone, rules.codes.amount) == ("0420", "63", "94", "13")
    at = Counter(rules)
    assert at.asks("sale", "000001", 100) == "00"
    assert at.asks("void", "000002", 100, of="000001") == "00"
    assert at.reverses("000001") == "94"
    assert at.reverses("000002") == "00"
    assert at.reverses("000001") == "00"
    assert at.last.mti == "0430"
    assert at.asks("preauth", "000003", 500) == "00"
    assert (at.asks("completion", "000004", 500, of="000003"), at.asks("completion", "000004", 500, of="000003")) == ("00", "00")
    assert at.books() == (500, 0)
    assert at.host.handle("0200", at.said["000001"], NOW_MS, "absent")[0].fields[39] == "63"  # type: ignore[union-attr]


def test_unionpays_profile_and_the_hosts_defaults_are_one() -> None:
    assert host_rules(load("unionpay", SHIPPED, "")) == UNIONPAY_HOST


def test_a_profile_without_a_code_for_no_original_gives_the_usual_one() -> None:
    bare = msgspec.structs.replace(ASCII, answers=msgspec.structs.replace(ASCII.answers, no_original=()))
    assert host_rules(bare).codes.no_original == "25"
    assert host_rules(ASCII, "12").codes.no_original == "12"
