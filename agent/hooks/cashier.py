"""What the cashier's screen shows, put together here: the screen itself only draws it.

First comes the transaction that was opened last, then what else still runs, then what earlier days left open and nobody has
acknowledged. How long something that is over stays in view is the screen's affair; `age_ms` tells it.
"""

from agent.core import screen
from agent.core.kinds import name
from agent.core.model import CLOSED, Transaction
from agent.core.playbook import advise
from agent.core.state import State
from agent.core.verdict import OWN_INCIDENT
from agent.hooks import screenbody as b
from agent.hooks.ports import House
from agent.incident import when
from agent.journal.lookup import older
from agent.words import WORDS

NEWEST = 3  # of these also what is over is shown
RECENT = 12  # among these the payment is looked for that replaced another one
NOW_MAX = 6
YESTERDAY_MAX = 20
PAYMENTS_MAX = 5
TASKS_MAX = 4
_CASES = {*OWN_INCIDENT.values(), "settlement"}  # what is to be done about these is the advice of their cards


def till(house: House) -> b.Till:
    """The whole screen as it stands."""
    state, store = house.inbox.current(), house.inbox.store
    recent = older(store, 2**53, RECENT)
    newest = {row.id: row for row in recent[:NEWEST]}
    rows = sorted((newest | state.open_transactions).values(), key=_number)
    left = {row.id: row for row in rows if screen.of_yesterday(state, row)}
    now = [row for row in reversed(rows) if row.id not in left and (row.id in newest or row.state not in CLOSED)]
    unread = [shown for row in left.values() if (shown := card(house, row)).advice.code != row.acknowledged]
    paid = [row for row in recent if row.state in {"approved", "paid"} and row.kind == "sale" and not row.trigger]
    return b.Till(
        seq=store.seq, terminal_id=state.agent.policy.terminal_id, lang=state.agent.policy.lang,
        now=tuple(card(house, row) for row in now[:NOW_MAX]), more_now=max(0, len(now) - NOW_MAX),
        yesterday=tuple(unread[:YESTERDAY_MAX]), more_yesterday=max(0, len(unread) - YESTERDAY_MAX),
        payments=tuple(b.Payment(row.id, row.amount_fen, _whose(state, row)) for row in paid[:PAYMENTS_MAX]),
        todo=tuple(_todo(state)[:TASKS_MAX]), message=_message(state, house.boottime_ms()),
    )


def _number(row: Transaction) -> int:
    return row.number


def _todo(state: State) -> list[b.Said]:
    """The cashier's own tasks, each once, the oldest first."""
    tasks = sorted(state.open_incidents.values(), key=lambda row: row.number)
    own = dict.fromkeys(row.next_action for row in tasks if row.owner == "cashier" and row.code not in _CASES)
    return [b.Said(*WORDS["next_action"][action]) for action in own]


def _message(state: State, now_ms: int) -> b.Said | None:
    """The fleet's word, as long as it was meant to stand; a new boot ends it."""
    notice = state.commands.notice
    if notice is None or notice.boot != state.agent.boots or now_ms >= notice.until_ms:
        return None
    return b.Said(notice.zh, notice.en)


def card(house: House, row: Transaction) -> b.Card:
    """One transaction, with its advice of this moment."""
    view = house.inbox.view(row.id)
    row = view.transactions[row.id]
    advice = advise(view, row)
    meaning = screen.meaning(advice)
    return b.Card(
        id=row.id, state=row.state, advice=advice, meaning=meaning, word=b.Said(*screen.MEANINGS[meaning]),
        customer=b.Said(*screen.for_customer(row, advice)), whose=_whose(view, row),
        age_ms=house.boottime_ms() - row.opened.mono_ms if row.opened.boot == view.agent.boots else None,
        live=row.state not in CLOSED, earlier=row.number < view.agent.newest, presses=screen.presses(view, row, advice),
        noted=tuple(_noted(row)),
    )


def opened_at(state: State, row: Transaction) -> str:
    """When it was opened, local time."""
    return when(row.opened.wall_ms, row.opened.mono_ms, state.agent.policy.utc_offset_minutes)


def _whose(state: State, row: Transaction) -> b.Said:
    """What kind it is unless it is a sale, last four, STAN and time: of today only the time of day."""
    at = opened_at(state, row)
    if state.is_today(row.opened):
        at = at[-8:]
    zh, en = ("尾号", "card …") if row.order is None else ("订单尾号", "order …")
    last4 = row.last4 or "----"
    kind_zh, kind_en = ("", "") if row.kind == "sale" else (f"{part} · " for part in name(row.kind))
    return b.Said(f"{kind_zh}{zh}{last4} · 流水号{row.stan} · {at}", f"{kind_en}{en}{last4} · STAN {row.stan} · {at}")


_SHOWN = {
    "debit_sms": b.Said("顾客出示扣款短信", "Debit message shown"),
    "refund_sms": b.Said("顾客出示退款短信", "Refund message shown"),
    "wallet_record": b.Said("顾客出示钱包记录", "Wallet record shown"),
}
_ANOTHER = b.Said("另一笔付款替代", "Replaced by another payment")


def _noted(row: Transaction) -> list[b.Said]:
    said, notes = row.disposition, []
    if said is not None:
        if said.goods is not None:
            notes.append(b.Said(*WORDS["goods"][said.goods]))
        if said.replaced_by is not None:
            notes.append(b.Said(*pair) if (pair := WORDS["replaced_by"].get(said.replaced_by)) else _ANOTHER)
        if said.accepts_risk:
            notes.append(b.Said(*WORDS["accepts_risk"]["true"]))
    return notes + [_SHOWN[kind] for kind in dict.fromkeys(each.kind for each in row.evidence) if kind in _SHOWN]
