"""The acquirer's books: whatever is asked in whatever order, a customer pays once or not at all."""

from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.acquirer.message import Codec, Message, matches
from device.simulator import ledger as books
from device.simulator.acquirer_model import AcquirerModel, Action, Answer, Cut, Later
from device.simulator.faults import Faults
from device.simulator.hostrules import Codes, HostRules

NOW_MS = 1_795_392_000_000  # 2026-11-23 08:00 in China
SALE = {
    2: "6222021234567890128", 3: "000000", 4: "000000000100", 11: "000123", 14: "3012", 22: "051", 25: "00",
    41: "12345678", 42: "898310148160001", 49: "156", 60: "22000001000",
}
REVERSAL = {**SALE, 39: "98"}
VOID = {**SALE, 3: "200000", 11: "000124", 60: "23000001000", 61: "000001000123"}


def model(standing: Mapping[str, str] | None = None, **scripts: list[str]) -> AcquirerModel:
    faults = Faults(Random(0))
    faults.set(standing or {})
    faults.scenario({name[1:]: steps for name, steps in scripts.items()})
    return AcquirerModel(faults)


def code(actions: list[Action]) -> str:
    """The response code of the only answer."""
    (answer,) = actions
    assert isinstance(answer, Answer)
    return answer.fields[39]


def net(host: AcquirerModel, stan: str = "000123") -> int | None:
    entry = host.ledger.find("12345678", "000001", stan)
    return entry.net_debit_fen if entry else None


def test_a_sale_is_approved_and_debits_its_amount_once() -> None:
    host = model()
    (answer,) = host.handle("0200", SALE, NOW_MS)
    assert isinstance(answer, Answer)
    assert (answer.mti, answer.after_ms, answer.mac, answer.fields[39]) == ("0210", 0, "good", "00")
    assert (answer.fields[12], answer.fields[13], answer.fields[15]) == ("080000", "1123", "1123")
    assert len(answer.fields[37]) == 12
    assert len(answer.fields[38]) == 6
    assert matches("0200", SALE, Message("0210", answer.fields))
    assert net(host) == 100
    assert code(host.handle("0200", SALE, NOW_MS)) == "94"
    assert net(host) == 100


def test_every_answer_can_be_packed() -> None:
    host = model()
    for mti, fields in (("0200", SALE), ("0400", REVERSAL), ("0820", {41: SALE[41], 42: SALE[42], 60: "00000001301"}),
                        ("0800", {11: "000001", 41: SALE[41], 42: SALE[42], 60: "00000001003"}),
                        ("0200", {**SALE, 3: "310000", 60: "01000001000"}),
                        ("0500", {11: "000009", 41: SALE[41], 42: SALE[42], 48: "0" * 62, 60: "00000001201"})):
        (answer,) = host.handle(mti, fields, NOW_MS)
        assert isinstance(answer, Answer)
        frame = Codec().pack(answer.mti, answer.fields)
        assert Codec().read(frame[2:]).fields == answer.fields


def test_a_reversal_gives_the_money_back_once_however_often_it_comes() -> None:
    host = model()
    host.handle("0200", SALE, NOW_MS)
    assert [code(host.handle("0400", REVERSAL, NOW_MS)) for _ in range(3)] == ["00", "00", "00"]
    entry = host.ledger.find("12345678", "000001", "000123")
    assert entry is not None
    assert (entry.authorisations, entry.debits_fen, entry.credits_fen, entry.reversals) == (1, 100, 100, 3)


@pytest.mark.parametrize(("change", "answered"), [
    ({11: "000999"}, "25"), ({41: "87654321"}, "25"), ({42: "898310148160002"}, "25"), ({60: "22000002000"}, "25"),
    ({4: "000000000200"}, "64"), ({60: ""}, "30"),
])
def test_a_reversal_that_names_something_else_gives_nothing_back(change: dict[int, str], answered: str) -> None:
    host = model()
    host.handle("0200", SALE, NOW_MS)
    assert code(host.handle("0400", REVERSAL | change, NOW_MS)) == answered
    assert net(host) == 100


def test_an_unknown_reversal_may_be_answered_12() -> None:
    assert code(AcquirerModel(rules=HostRules(codes=Codes(no_original="12"))).handle("0400", REVERSAL, NOW_MS)) == "12"


def test_a_void_gives_back_and_its_reversal_takes_again() -> None:
    host = model()
    host.handle("0200", SALE, NOW_MS)
    assert code(host.handle("0200", VOID, NOW_MS)) == "00"
    assert net(host, "000124") == -100
    assert code(host.handle("0400", REVERSAL, NOW_MS)) == "22"
    undo = {**VOID, 39: "98"}
    assert [code(host.handle("0400", undo, NOW_MS)) for _ in range(2)] == ["00", "00"]
    assert net(host, "000124") == 0
    assert code(host.handle("0200", {**VOID, 11: "000125"}, NOW_MS)) == "00"


@pytest.mark.parametrize(("change", "answered"), [
    ({61: "000001000999"}, "25"), ({61: ""}, "25"), ({4: "000000000099"}, "64"), ({42: "898310148160002"}, "25"),
    ({3: "000000"}, "30"), ({60: "99000001000"}, "12"),
])
def test_a_void_of_something_else_books_nothing(change: dict[int, str], answered: str) -> None:
    host = model()
    host.handle("0200", SALE, NOW_MS)
    assert code(host.handle("0200", VOID | change, NOW_MS)) == answered
    assert (net(host), net(host, "000124")) == (100, None)


def test_a_void_of_what_was_undone_already_is_22() -> None:
    host = model()
    host.handle("0200", SALE, NOW_MS)
    host.handle("0400", REVERSAL, NOW_MS)
    assert code(host.handle("0200", VOID, NOW_MS)) == "22"


def test_a_balance_inquiry_books_nothing() -> None:
    host = model()
    (answer,) = host.handle("0200", {**SALE, 3: "310000", 60: "01000001000"}, NOW_MS)
    assert isinstance(answer, Answer)
    assert (answer.fields[39], answer.fields[54]) == ("00", "1002156C000000100000")
    assert len(host.ledger) == 0


def test_echo_and_sign_in_are_answered_without_a_mac() -> None:
    for mti in ("0820", "0800"):
        (answer,) = model().handle(mti, {41: "12345678", 42: "898310148160001", 60: "00000001301"}, NOW_MS, "absent")
        assert isinstance(answer, Answer)
        assert (answer.fields[39], answer.mac) == ("00", "absent")


@pytest.mark.parametrize("mac", ["broken", "absent"])
@pytest.mark.parametrize(("mti", "fields"), [("0200", SALE), ("0400", REVERSAL)])
def test_a_request_whose_mac_is_wrong_or_missing_is_a0_and_books_nothing(mti: str, fields: dict[int, str], mac: str) -> None:
    host = model()
    if mti == "0400":
        host.handle("0200", SALE, NOW_MS)
    before = net(host)
    assert code(host.handle(mti, fields, NOW_MS, mac)) == "A0"  # type: ignore[arg-type]
    assert net(host) == before


def test_settlement_compares_totals_and_closes_the_batch() -> None:
    host = model()
    for stan in ("000123", "000130", "000131"):
        host.handle("0200", {**SALE, 11: stan}, NOW_MS)
    host.handle("0200", VOID, NOW_MS)
    host.handle("0400", {**REVERSAL, 11: "000130"}, NOW_MS)
    end = {11: "000200", 41: SALE[41], 42: SALE[42], 60: "00000001201"}
    totals = "000000000200" "002" "000000000100" "001"
    for claimed, flag in ((totals + "0", "1"), ("0" * 31, "2"), ("", "2")):
        (answer,) = host.handle("0500", {**end, 48: claimed + "0" * 31}, NOW_MS, "absent")
        assert isinstance(answer, Answer)
        assert answer.fields[48][:31] == totals + flag
    assert code(host.handle("0400", REVERSAL, NOW_MS)) == "25"
    assert code(host.handle("0200", {**SALE, 11: "000140"}, NOW_MS)) == "77"


def test_an_answer_gets_no_answer_and_an_unknown_type_gets_12() -> None:
    assert model().handle("0210", SALE, NOW_MS) == []
    assert code(model().handle("0320", SALE, NOW_MS)) == "12"


def test_the_business_day_ends_at_the_cut_off() -> None:
    evening_ms = NOW_MS + 15 * 3_600_000 + 1_800_000  # 23:30
    for hour, day in ((24, "1123"), (23, "1124")):
        (answer,) = AcquirerModel(cutoff_hour=hour).handle("0200", SALE, evening_ms)
        assert isinstance(answer, Answer)
        assert (answer.fields[13], answer.fields[15]) == ("1123", day)


def test_a_dropped_request_books_nothing_and_a_dropped_reply_books() -> None:
    host = model(_0200=["drop-request", "drop-reply"])
    assert host.handle("0200", SALE, NOW_MS) == []
    assert net(host) is None
    assert host.handle("0200", SALE, NOW_MS) == []
    assert net(host) == 100


def test_a_script_for_the_reversal_drop_96_00() -> None:
    host = model(_0400=["drop-request", "96", "00"])
    host.handle("0200", SALE, NOW_MS)
    assert host.handle("0400", REVERSAL, NOW_MS) == []
    assert code(host.handle("0400", REVERSAL, NOW_MS)) == "96"
    assert net(host) == 100
    assert code(host.handle("0400", REVERSAL, NOW_MS)) == "00"
    assert net(host) == 0


def test_a_code_is_answered_without_processing_unless_told_so() -> None:
    host = model(_0200=["68", "68+processed"])
    assert code(host.handle("0200", SALE, NOW_MS)) == "68"
    assert net(host) is None
    assert code(host.handle("0200", SALE, NOW_MS)) == "68"
    assert net(host) == 100


def test_an_approval_code_is_answered_only_where_the_host_approves() -> None:
    host = model({"*": "10"})
    assert code(host.handle("0200", SALE, NOW_MS)) == "10"
    assert code(host.handle("0200", SALE, NOW_MS)) == "94"


def test_a_late_request_is_unknown_until_it_arrives_and_is_booked_then() -> None:
    host = model(_0200=["late:5000"])
    (later,) = host.handle("0200", SALE, NOW_MS)
    assert isinstance(later, Later)
    assert later.after_ms == 5000
    assert code(host.handle("0400", REVERSAL, NOW_MS + 1000)) == "25"
    assert code(host.arrive(later, NOW_MS + 5000)) == "00"
    assert net(host) == 100
    assert code(host.handle("0400", REVERSAL, NOW_MS + 61_000)) == "00"
    assert net(host) == 0


def test_a_delayed_and_doubled_answer() -> None:
    actions = model({"*": "delay:250+duplicate"}).handle("0200", SALE, NOW_MS)
    assert [action.after_ms for action in actions] == [250, 250]
    assert actions[0] == actions[1]


def test_a_crossed_answer_belongs_to_another_transaction() -> None:
    for word, right in (("cross", [False]), ("stray", [False, True]), ("cross+duplicate", [False, False])):
        actions = model({"*": word}).handle("0200", SALE, NOW_MS)
        answers = [Message(each.mti, each.fields) for each in actions if isinstance(each, Answer)]
        assert [matches("0200", SALE, answer) for answer in answers] == right
    (answer,) = model({"*": "cross"}).handle("0820", {41: "12345678"}, NOW_MS, "absent")
    assert isinstance(answer, Answer)
    assert answer.fields[41] == "87654321"


def test_macs_and_the_line_can_break() -> None:
    host = model(_0400=["bad-mac", "no-mac", "half", "close", "reset", "drop-request+reset+delay:9"])
    host.handle("0200", SALE, NOW_MS)
    met = [host.handle("0400", REVERSAL, NOW_MS)[0] for _ in range(6)]
    assert [each.mac for each in met if isinstance(each, Answer)] == ["broken", "absent", "good"]
    assert [each.half for each in met if isinstance(each, Answer)] == [False, False, True]
    assert met[3:] == [Cut(0, "close"), Cut(0, "reset"), Cut(9, "reset")]
    entry = host.ledger.find("12345678", "000001", "000123")
    assert entry is not None
    assert entry.reversals == 5


def test_full_books_take_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "ENTRIES_MAX", 1)
    host = model()
    host.handle("0200", SALE, NOW_MS)
    assert code(host.handle("0200", {**SALE, 11: "000124"}, NOW_MS)) == "96"
    assert len(host.ledger) == 1


def test_the_rows_are_plain_data() -> None:
    host = model()
    host.handle("0200", SALE, NOW_MS)
    assert host.ledger.rows() == [{
        "terminal_id": "12345678", "merchant_id": "898310148160001", "batch": "000001", "stan": "000123", "kind": "sale",
        "date": "1123", "amount_fen": 100, "authorisations": 1, "debits_fen": 100, "credits_fen": 0, "reversals": 0,
        "repeats": 0, "net_debit_fen": 100, "held_fen": 0,
    }]


REQUESTS = [("0200", {**SALE, 11: stan}) for stan in ("000123", "000124")] + [
    ("0400", {**REVERSAL, 11: stan}) for stan in ("000123", "000124")] + [
    ("0200", {**VOID, 11: stan, 61: f"000001{of}"}) for stan, of in (("000125", "000123"), ("000126", "000124"))] + [
    ("0400", {**VOID, 11: "000125", 39: "98"}), ("0820", {41: "12345678"})]
FAULT_WORDS = st.sampled_from([
    "ok", "drop", "drop-request", "duplicate", "cross", "stray", "96", "25", "68+processed", "bad-mac", "late:10", "half",
    "close", "reset+drop-request", "late:10+drop"])


@given(st.lists(st.tuples(st.sampled_from(REQUESTS), FAULT_WORDS), max_size=25), st.randoms(use_true_random=False))
def test_however_it_goes_wrong_each_account_holds_its_amount_or_nothing(
    steps: list[tuple[tuple[str, dict[int, str]], str]], order: Random
) -> None:
    host = AcquirerModel()
    late: list[Later] = []
    for (mti, fields), words in steps:
        host.faults.scenario({mti: [words]})
        late += [each for each in host.handle(mti, fields, NOW_MS) if isinstance(each, Later)]
        while late and order.random() < 0.4:
            host.arrive(late.pop(order.randrange(len(late))), NOW_MS)
    paid = 0
    for entry in host.ledger:
        assert entry.net_debit_fen in (0, entry.amount_fen * entry.direction)
        assert entry.authorisations == 1
        assert not (entry.reversed and entry.voided)
        paid += entry.net_debit_fen
    assert 0 <= paid <= 200
