"""The next day: what the lines of the settlement files come to is judged and turned into work for people.

The same line in a later file is not counted again, so a file may be imported any number of times.
"""

from msgspec.structs import replace

from agent.core import incidents, moneyback, refunds, reversal
from agent.core.accounts import Account, BookedLine, Ledger, Settled
from agent.core.calendar import text as day_text
from agent.core.change import Decision, Report, Unmatched
from agent.core.lifecycle import move, table_of
from agent.core.matching import Families, Match
from agent.core.model import Owner, Transaction
from agent.core.settlementevent import RefundReported, SettlementImported
from agent.core.state import State, find
from agent.core.verdict import OWN_INCIDENT, case, covered, day_of, is_overdue, net_fen, other_terminal, verdict

LINES_MAX = 16  # of one transaction; more is not a settlement but a defect of the file
DAYS_MAX = 400
STATEMENTS_MAX = 60
TERMINALS_MAX = 16  # beside the configured one
UNMATCHED_TOLD_MAX = 20
ASSIGNED: dict[str, tuple[Owner, str]] = {
    "refund": ("operator", "confirm_refund"),
    "possible": ("operator", "decide_refund"),
    "contact": ("cashier", "contact_customer"),
    "collect": ("cashier", "collect_payment"),
    "redo_void": ("cashier", "redo_void"),
    "call": ("acquirer", "call_acquirer"),
    "uneven": ("operator", "compare_by_hand"),
}


def imported(state: State, event: SettlementImported) -> Decision:
    """Take one file as one unit: its lines to their transactions, then a fresh judgement of everything that waits."""
    about = event.families if event.lines or event.absent else ()  # an empty file is about nothing
    families = Families(state.transactions, about, event.terminal_id)
    unmatched: list[Unmatched] = []
    count = new = 0
    for line in event.lines:
        match = families.match(line)
        booked = BookedLine(line.day, line.direction, line.amount_fen, line.rrn, line.nth)
        row = match.row
        if row is not None:
            account = row.account or Account(amounts_fen=families.amounts(row), lines=_agreed(state, row, line))
            if booked in account.lines:
                count += 1
                continue
            if len(account.lines) < LINES_MAX:
                count, new = count + 1, new + 1
                state.put(replace(row, account=replace(account, lines=(*account.lines, booked))))
                continue
            match = Match(None, "full")
        if match.numbered is not None:
            row = match.numbered
            account = row.account or Account(amounts_fen=families.amounts(row))
            state.put(replace(row, account=replace(account, other_day=max(line.day, account.other_day or line.day))))
        unmatched.append(Unmatched(line.number, match.why))
        if len(unmatched) <= UNMATCHED_TOLD_MAX and event.statement not in state.ledger.statements:
            state.tell(
                "settlement.unmatched", why=match.why, date=day_text(line.day), batch=line.batch, stan=line.stan,
                rrn=line.rrn, order_no=line.order_no, amount_fen=line.amount_fen, direction=line.direction,
            )
    for key in event.absent:
        row = state.transactions[key]
        if row.account is None:
            state.put(replace(row, account=Account(amounts_fen=families.amounts(row))))
    _note(state, event)
    cases = _judge_all(state, event)
    if state.touched:
        state.tell(
            "settlement.imported", statement=event.statement, days=[day_text(day) for day in event.days],
            lines=len(event.lines) + event.agreed, agreed=event.agreed, matched=count, unmatched=len(unmatched),
        )
    report = Report(
        lines=len(event.lines) + event.agreed, agreed=event.agreed, matched=count, new=new, absent=len(event.absent),
        unmatched=tuple(unmatched), cases=cases,
    )
    return Decision(report=report)


def _agreed(state: State, row: Transaction, line: Settled) -> tuple[BookedLine, ...]:
    """A credit names a paid order whose own day was imported before and left nothing to look at: so its debit stood there."""
    day = day_of(row)
    if row.state != "paid" or line.direction != "credit" or day not in covered(state, row):
        return ()
    return (BookedLine(day, "debit", row.amount_fen),)


def _note(state: State, event: SettlementImported) -> None:
    """Which settlement dates are covered now, and by which files."""
    ledger, other = state.ledger, other_terminal(state, event.terminal_id)
    after = _covering(ledger, event) if other is None else _elsewhere(ledger, event, other)
    if event.statement not in after.statements:
        after = replace(after, statements=(*after.statements, event.statement)[-STATEMENTS_MAX:])
    if after is not ledger and after != ledger:
        state.put(after)


def _covering(before: Ledger, event: SettlementImported) -> Ledger:
    days = _joined(before.days, event.days) if "card" in event.covers else before.days
    wallets: dict[str, tuple[int, ...]] = {
        name: _joined(before.covered(name), event.days) for name in event.covers if name != "card"
    }
    if not wallets:
        return before if days is before.days else replace(before, days=days)
    return replace(before, days=days, wallet_days=dict(sorted((before.wallet_days | wallets).items())))


def _elsewhere(before: Ledger, event: SettlementImported, other: str) -> Ledger:
    """The same for a terminal that is not the configured one; those that were heard of last are kept."""
    known = before.elsewhere.get(other, {})
    days = known | {name: _joined(known.get(name, ()), event.days) for name in event.covers}
    kept = [(name, value) for name, value in before.elsewhere.items() if name != other][1 - TERMINALS_MAX :]
    return replace(before, elsewhere=dict([*kept, (other, days)]))


def _joined(known: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
    return known if set(new).issubset(known) else tuple(sorted({*known, *new})[-DAYS_MAX:])


def _judge_all(state: State, event: SettlementImported) -> dict[str, int]:
    """A fresh look at everything that waits, and at what this file is about; how many cases of each sort there are now."""
    keys = dict.fromkeys([row.id for row in state.transactions_by_age()] + list(event.families))
    cases: dict[str, int] = {}
    for key in keys:
        row = state.transactions.get(key)
        if row is None or (row.account is None and row.state not in OWN_INCIDENT):
            continue
        found = judge(state, row)
        if found not in {"wait", "even"}:
            cases[found] = cases.get(found, 0) + 1
    return dict(sorted(cases.items()))


def judge(state: State, row: Transaction) -> str:
    """Judge one transaction anew, and give the work that follows from it to somebody; the case it has now."""
    before = row.account or Account()
    undone = state.transactions.get(row.undone_by or "")
    lines = undone.account.lines if undone is not None and undone.account is not None else ()
    account = replace(before, undone_fen=net_fen(lines)) if lines else before
    said, final = verdict(state, row, account)
    unchanged = (said, final) == (before.verdict, before.final)
    if not unchanged:
        account = replace(account, verdict=said, final=final)
    if row.resolution is None or not unchanged:  # what a person closed stays closed until the files say something else
        owed = case(state, row, account)
        account = account if owed == account.case else replace(account, case=owed)
    if account is before or account == before:
        return account.case
    row = state.put(replace(row, account=account))
    if not unchanged:
        state.tell(
            "settlement.verdict", row.id, verdict=said, final=final, booked_fen=net_fen(account.lines) + account.undone_fen
        )
    _assign(state, row, account, before.case)
    return account.case


def _assign(state: State, row: Transaction, account: Account, before: str) -> None:
    """Who has to do what now."""
    code = OWN_INCIDENT.get(row.state, "settlement")
    refunds.follow(state, row, account)
    row = state.transactions[row.id]
    if account.case == "even":
        close_even(state, row)
    elif account.case == "wait":
        if before != "wait":
            incidents.open_one(state, code, row.id, "operator", "compare_settlement")
    else:
        owner, following = ASSIGNED[account.case]
        incidents.open_one(state, code, row.id, owner, following)


def close_even(state: State, row: Transaction) -> None:
    """Nothing is owed any more. While a 0400 or a question to the wallet is under way the case stays open for the moment."""
    code = OWN_INCIDENT.get(row.state, "settlement")
    resolution = "refunded" if row.refund is not None and row.refund.state == "done" else "even"
    sending = state.reversals.get(row.id)
    if row.state in OWN_INCIDENT:
        if (sending is not None and sending.state == "sending") or (row.order is not None and row.order.busy):
            return
        reversal.fence(state, row.id)
        state.put(replace(state.transactions[row.id], state=move(table_of(row.rail), row.state, "even"), vault=None, due_ms=None))
        state.tell("transaction.resolved", row.id, resolution=resolution, by="settlement")
        if sending is None:
            reversal.wipe(state, row.vault)
    incidents.close_one(state, code, row.id, resolution)


def run(state: State) -> None:
    """At the end of every step: what waited for an answer is done, and on a new day people are reminded."""
    if state.touched:  # what is looked for comes about only by a change of rows
        for touched in list(state.touched):
            if type(touched) is Transaction and touched.order is not None and touched.account is not None:
                _heard(state, touched)
        if state.open_reversals:
            _catch_up(state)
    for row in state.open_transactions.values():
        # Seldom: what day it is, and what the calendar says of it, is asked only then.
        if row.state in OWN_INCIDENT or row.account is not None or row.refund is not None:
            today = state.whole_day()
            if today is not None and today != state.ledger.reminded:
                _remind(state, today)
            return


def _catch_up(state: State) -> None:
    for row in list(state.open_reversals.values()):
        if row.state == "sending":
            continue
        transaction = state.transactions[row.id]
        if transaction.by_hand is not None and row.pending:
            _fence_undone(state, transaction)
        elif transaction.state == "unresolved" and transaction.account is not None and transaction.account.case == "even":
            close_even(state, transaction)


def _heard(state: State, row: Transaction) -> None:
    """The wallet said something of an order that the files speak of too: the case follows."""
    judge(state, row)
    row = state.transactions[row.id]
    if row.state == "unresolved" and row.account is not None and row.account.case == "even":
        close_even(state, row)


def _remind(state: State, today: int) -> None:
    """Once a business day: what waits for settlement files that should have come, and what waits for a person."""
    for row in state.transactions_by_age():
        if row.state not in OWN_INCIDENT and not row.owes:
            continue
        account = row.account
        if account is not None and account.case not in {"wait", "even"}:
            state.tell("settlement.reminder", row.id, case=account.case, amount_fen=row.amount_fen)
        elif (account is None or not account.final) and is_overdue(state, row, today):
            state.tell("settlement.reminder", row.id, case="import", amount_fen=row.amount_fen)
            incidents.open_one(state, OWN_INCIDENT.get(row.state, "settlement"), row.id, "operator", "import_settlement")
        else:
            continue
        if state.ledger.reminded != today:
            state.put(replace(state.ledger, reminded=today))


def refund_reported(state: State, event: RefundReported) -> Decision:
    """A person speaks of the refund work item; when all of it was refunded, the case is even."""
    moneyback.check(find(state, event.transaction))
    decision = refunds.reported(state, find(state, event.transaction), event)
    moneyback.begin(state, state.transactions[event.transaction], event)
    judge(state, state.transactions[event.transaction])
    return decision


# ── what the till itself shows ───────────────────────────────────────────────────────────────────────────────────────

DOUBTFUL = frozenset({"in_doubt", "reversing", "approved_not_completed", "unresolved", "declined_uncertain"})
# What undoes another transaction past the agent, and what that one is then.
UNDO_BY_HAND = {"void": "voided", "preauth_void": "voided", "completion_void": "voided", "refund": "refunded"}


def repeated(state: State, new: Transaction) -> None:
    """A payment was opened: is it the repeat of one in doubt? Said outright or by the basket it is one; else perhaps."""
    if new.kind != "sale":
        return
    said = state.transactions.get(new.replaces or "")
    if said is not None and said.id != new.id and said.repeated_by is None and _same_money(said, new):
        _note_repeat(state, said, new)
    for row in state.transactions_by_age():
        if row.state not in DOUBTFUL or row.kind != "sale" or row.id == new.id or row is said:
            continue
        if row.amount_fen != new.amount_fen or row.repeated_by is not None:
            continue
        if row.basket_id is not None and row.basket_id == new.basket_id:
            _note_repeat(state, row, new)
        elif row.perhaps_repeated_by is None and row.card_hmac is not None and row.card_hmac == new.card_hmac:
            state.put(replace(row, perhaps_repeated_by=new.id))


def _same_money(row: Transaction, new: Transaction) -> bool:
    """A sale of one fen that is only to trigger the reversal is no repeat."""
    return new.amount_fen > 1 or row.amount_fen == 1


def _note_repeat(state: State, row: Transaction, new: Transaction) -> None:
    state.put(replace(row, repeated_by=new.id))
    state.tell("transaction.repeated", row.id, by=new.id)


def undone_by(state: State, approved: Transaction) -> None:
    """A void or refund was approved: when what it undoes is in doubt, the customer must get one credit only."""
    if approved.original is None or approved.kind not in UNDO_BY_HAND:
        return
    key = (approved.terminal_id, approved.original.batch, approved.original.stan)
    for name in state.keys.get(key, ()):
        row = state.open_transactions.get(name)
        if row is not None and row.state in DOUBTFUL and row.by_hand is None:
            undone_by_hand(state, row, UNDO_BY_HAND[approved.kind], approved.id)


def undone_by_hand(state: State, row: Transaction, how: str, by: str | None = None) -> None:
    """Refunded or voided past the agent while in doubt: the reversal is fenced, and the settlement files are watched."""
    state.put(replace(row, by_hand=how, undone_by=by))
    state.tell("transaction.undone_by_hand", row.id, how=how, by=by)


def _fence_undone(state: State, row: Transaction) -> None:
    reversal.fence(state, row.id)
    reversal.not_undone(state, state.transactions[row.id], "operator", "compare_settlement")


