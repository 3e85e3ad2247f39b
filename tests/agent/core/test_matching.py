"""Lines of a settlement file find their transactions, however many there are of both. What they find: test_settlement.py."""

from agent.core.accounts import Settled
from agent.core.matching import Families
from agent.core.model import Original, Stamp, Transaction

TERMINAL, BATCH = "12345678", "000001"
OPENED = Stamp(1, 0, 0, "20000")
MANY = 1_000


def transaction(number: int, **values: object) -> Transaction:
    return Transaction(
        **{  # type: ignore[arg-type]
            "id": f"t{number}", "number": number, "rail": "card", "kind": "sale", "state": "approved", "amount_fen": 100,
            "currency": "156", "stan": f"{number:06d}", "batch": BATCH, "terminal_id": TERMINAL, "merchant_id": "1",
            "opened": OPENED, **values,
        }
    )


class Counted(dict[str, Transaction]):
    """Rows that count how often one of them was looked at."""

    looks = 0

    def __getitem__(self, key: str) -> Transaction:
        self.looks += 1
        return super().__getitem__(key)


def test_a_long_file_is_not_held_against_every_transaction_for_each_line() -> None:
    rows = Counted((row.id, row) for row in map(transaction, range(MANY)))
    families = Families(rows, list(rows), TERMINAL)
    for number in range(MANY):
        row = families.match(Settled(number, 20_000, "debit", 100, BATCH, f"{number:06d}")).row
        assert row is not None
        assert row.id == f"t{number}"
    assert rows.looks <= 3 * MANY


def test_a_tip_of_another_sale_or_terminal_does_not_count() -> None:
    tip = transaction(2, kind="tip", amount_fen=15, original=Original(BATCH, "000001"))
    foreign = transaction(3, kind="tip", amount_fen=20, original=Original(BATCH, "000001"), terminal_id="87654321")
    other = transaction(4, kind="tip", amount_fen=30, original=Original(BATCH, "000009"))
    rows = {row.id: row for row in (transaction(1), tip, foreign, other)}
    families = Families(rows, rows, TERMINAL)
    assert families.amounts(rows["t1"]) == (100, 115)
    assert families.match(Settled(1, 20_000, "debit", 130, BATCH, "000001")).why == "amount"


def test_a_row_is_seen_as_it_is_now() -> None:
    rows = {"t1": transaction(1)}
    families = Families(rows, rows, TERMINAL)
    rows["t1"] = transaction(1, rrn="000000000007")
    assert families.match(Settled(1, 20_000, "debit", 100, BATCH, "000001", rrn="000000000008")).why == "rrn"
