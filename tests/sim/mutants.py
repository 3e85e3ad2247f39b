"""Small deliberate defects of the core and the journal: a world that lets one of them live is not strict enough.

Each takes one function and changes one piece of its text, as a hasty hand would. `covers` names the shipped app's defect
(T1 … T16) or the invariant that it breaks.
"""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any, NamedTuple

from agent.core import (
    adoption,
    answers,
    batch,
    batches,
    card,
    commands,
    customer,
    fields,
    gate,
    hostdate,
    matching,
    model,
    moneyback,
    orders,
    payagain,
    people,
    playbook,
    receipt,
    refunds,
    relay,
    reversal,
    schedule,
    settlement,
    undoing,
    verdict,
    wallet,
    walletcalls,
)
from agent.core.policy import Policy
from agent.journal import indexes, needed, reindex
from agent.journal.ahead import Ahead
from agent.journal.database import Database
from agent.journal.loading import Loaded
from agent.journal.pruning import Pruner
from agent.journal.store import Store
from agent.vault import Vault
from tests.sim.report import Failure, play

SEEDS = 1_500  # every mutant is caught within so many worlds of the core,
JOURNAL_SEEDS = 900  # or of the journal
CRASHES = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


class Mutant(NamedTuple):
    """`old` stands exactly once in the function; `new` takes its place."""

    covers: str
    what: str
    function: Callable[..., Any]
    old: str
    new: str
    journal: bool = False
    only: tuple[str, ...] | None = None  # these faults in every world: for what needs a rare meeting of them

    @property
    def name(self) -> str:
        """For the test report."""
        return f"{self.covers}: {self.what}"


def _property(kind: type, name: str) -> Callable[..., Any]:
    getter = getattr(kind, name).fget
    assert getter is not None
    return getter  # type: ignore[no-any-return]


MUTANTS: tuple[Mutant, ...] = (
    # ── the shipped apps' defects ────────────────────────────────────────────────────────────────────────────────────
    Mutant("T1", "any answer settles the reversal", answers._answered, "if _accepts(state, event):", "if event.code:"),
    Mutant("T2", "a record of another day is passed over", schedule.run, "or _yielded(row):",
           "or _yielded(row) or state.transactions[row.id].opened.day != state.business_day():"),
    Mutant("T3", "given up after the limit without an incident", answers.used_up,
           'not_undone(state, state.transactions[row.id], "operator", "decide_and_compare_settlement")',
           'incidents.close_one(state, "in_doubt", row.id, "given_up")'),
    Mutant("T4", "the save failed, the sale went out anyway", Store.commit,
           "raise self.database.undone(error) from error", "return", journal=True,
           only=("full",)),
    Mutant("T5", "a new doubt takes the only slot", reversal.begin,
           'incidents.open_one(state, "in_doubt", transaction.id, "cashier", "hold_goods_and_wait")',
           'incidents.open_one(state, "in_doubt", transaction.id, "cashier", "hold_goods_and_wait")\n'
           '    for other in state.reversals_by_age():\n'
           '        state.put(replace(other, state="fenced", vault=None, due_ms=None))'),
    Mutant("T6", "go is given before sent is on disk", card._ask,
           'state=move(table_of(transaction.rail), transaction.state, "repeat" if transaction.repeats else "go")',
           "state=transaction.state"),
    Mutant("T6", "what never got its go is reversed", card._intent_left, "if state.agent.policy.asked_first:", "if False:"),
    Mutant("T7", "an answer with another STAN is taken", answers.received, "MATCHED)) == said",
           '("3", "41", "42"))) == (event.f3, event.f41, event.f42)'),
    Mutant("T8", "nothing is synced", Database.configure, '"synchronous=FULL"', '"synchronous=OFF"', journal=True),
    Mutant("T9", "no original is asked for ever", answers._no_original, "and not row.asked_again and not row.adopted:",
           "and not row.adopted:"),
    Mutant("T10", "a new sale goes first", gate.ask, "row.blocks and", "False and"),
    Mutant("T11", "what cannot be packed is dropped", answers.not_sent, "unpackable(state, row)",
           'state.put(replace(row, state="fenced", vault=None, due_ms=None, sends_left=0))'),
    Mutant("T12", "settlement clears what is pending", reversal.expire,
           'not_undone(state, state.transactions[row.id], "operator", "compare_settlement")',
           'incidents.close_one(state, "in_doubt", row.id, "settled")'),
    Mutant("T13", "codes are compared by a part", answers._accepts, "event.code in policy.answers.accepted",
           "any(event.code and event.code[0] in good for good in policy.answers.accepted)", only=("codes", "loss")),
    Mutant("T14", "a start drops the queue", reversal.restarted, "now_ms = state.now.boottime_ms",
           'now_ms = state.now.boottime_ms\n    row = state.put(replace(row, state="fenced", vault=None, due_ms=None))'),
    Mutant("T15", "a reversal that failed blocks every sale", _property(model.Reversal, "blocks"),
           "and not self.first_used ", ""),
    Mutant("T16", "an early no original is believed", answers._no_original, "age_ms >= policy.no_original_after_ms", "True",
           only=("late", "power")),
    Mutant("T16", "no original is believed on any day", answers._no_original, "and state.is_today(sent)", "",
           only=("forgets", "loss", "down")),
    Mutant("T16", "no original is believed after settlement", answers._no_original,
           "_batch_is_open(state, row) and", ""),
    Mutant("T16", "the batch of one terminal id is that of every other", batches.of, "if batch.terminal_id == terminal_id:",
           "if True:", only=("tills", "batch", "loss", "codes")),
    Mutant("T16", "the next batch of one terminal id opens that of another", batches.opened,
           "Batch(terminal_id=terminal_id,", "Batch(terminal_id=None,", only=("tills", "batch")),
    Mutant("12", "the settlement of one terminal id is that of all", batch.changed,
           "number, whose = event.batch, event.terminal_id", "number, whose = event.batch, None",
           only=("tills", "batch", "loss", "codes")),
    Mutant("T16", "no original is believed against an approval", answers._was_approved,
           'return late or transaction.doubt == "approved_not_completed"', "return False",
           only=("tardy", "delay", "cut", "keys")),
    # ── the invariants ───────────────────────────────────────────────────────────────────────────────────────────────
    Mutant("1", "a doubt has no incident", reversal.begin,
           'incidents.open_one(state, "in_doubt", transaction.id, "cashier", "hold_goods_and_wait")', "pass"),
    Mutant("1", "the row of a doubt is not written", Ahead._write_rows,
           "for row in stepped.change.rows}",
           "for row in stepped.change.rows if getattr(row, 'state', '') != 'in_doubt'}", journal=True),
    Mutant("2", "an approval counts after the doubt", card.result,
           'if transaction.state not in {"intent", "sent"}:', 'if transaction.state in {"approved", "declined", "not_sent"}:'),
    Mutant("3", "two are in flight", schedule.run, "if not sending:", "if True:"),
    Mutant("3", "a resend takes a new STAN", schedule._send, '{**row.fields, "39": row.reason}',
           '{**row.fields, "11": f"{row.sends:06d}", "39": row.reason}'),
    Mutant("3", "a resend after a refusal says 98", schedule._send, '"39": row.reason', '"39": "98"'),
    Mutant("4", "the youngest goes first", schedule.run, "min(ready, key=age)", "max(ready, key=age)"),
    Mutant("4", "the spacing is forgotten", reversal.spaced_ms, "row.last_send_ms is None", "True"),
    Mutant("4", "a sale goes beside another", gate._another_is_sent, 'other.state == "sent"', "False"),
    Mutant("4", "sales go on while the batch is settled", batches.settles_without, 'batch.state != "settling"', "True",
           only=("batch", "slow")),
    Mutant("5", "a command that was carried out is not remembered", commands._keep, "taken=(*others, command)", "taken=others",
           only=("people", "loss")),
    Mutant("1", "a start does without the rows that are damaged", Loaded.is_whole,
           "not self.damaged and told in {None, self.roll.sum}", "True", journal=True, only=("rot", "loss")),
    Mutant("1", "a start does not miss the rows that an index hides", indexes._look, "if number is not None:", "if False:",
           journal=True, only=("rot", "kinds")),
    Mutant("1", "an index that hides rows is left as it is", reindex.make_anew, 'database.execute("REINDEX")', "pass",
           journal=True, only=("rot", "kinds")),
    Mutant("5", "an entry is tied to nothing", Ahead.append, "link(self.hash, entry.seq, body)",
           "link(body, entry.seq, body)", journal=True),
    Mutant("5", "rows are written, the story is not", Ahead._write_facts, "for fact in stepped.change.facts:",
           "for fact in stepped.change.facts[:2]:", journal=True),
    Mutant("6", "a job at the printer goes again after a start", receipt.restarted,
           'state=move(JOB, job.state, "restart")', 'state="WAITING"'),
    Mutant("6", "a copy is not marked", receipt.reprint, "original.document, marked=marked", "original.document, marked=False"),
    Mutant("6", "a job is printed again when part of it had left", receipt.finished,
           "move(JOB, job.state, event.level)", 'event.level.replace("PARTIAL", "WAITING")'),
    Mutant("6", "a receipt that is handed over again is another original", receipt.given, "printed = any(",
           "printed = False and any(",
           only=("withheld", "people")),
    Mutant("7", "goods go out in doubt", playbook._has_money,
           'row.state not in {"approved", "paid"}', 'row.state == "unresolved"'),
    Mutant("7", "pay again while unresolved", payagain.judged, "if row.state in PAYABLE and",
           'if row.state in {*PAYABLE, "unresolved"} and'),
    Mutant("8", "the line is never wanted", schedule.run, "_want(state, wanted)", '_want(state, "watch")'),
    Mutant("8", "the back-off has no end", answers.next_backoff, "return min(", "return 86_400_000 + min("),
    Mutant("8", "an answer is waited for without end", card.deadline, 'transaction.state == "sent"', "False"),
    Mutant("9", "a wrong MAC counts as a decline", card._cause, "return event.outcome",
           'return "declined" if event.outcome == "bad_mac" else event.outcome'),
    Mutant("9", "what may have left is called not sent", card.result, 'transaction.state == "intent":\n        _end',
           'transaction.state in {"intent", "sent"}:\n        _end'),
    Mutant("10", "the outbox skips an event", Store.read_after, "WHERE seq > ? AND", "WHERE seq > ? + (seq % 7 = 0) AND",
           journal=True),
    Mutant("11", "the secrets are never wiped", reversal.wipe, "state.wiped.append(vault)", "pass"),
    Mutant("11", "the vault stores clear text", Vault.seal, "self._aead.encrypt(nonce, text.encode(), ",
           "(lambda _n, clear, _a: clear)(nonce, text.encode(), ", journal=True),
    Mutant("5", "closed rows are remembered over a checkpoint", Pruner._write, "self._forget()", "pass", journal=True),
    Mutant("11", "the scrub leaves the WAL", Database.scrub, "self._spill(self.wal_bytes())", "pass", journal=True),
    Mutant("12", "a closed case is sent again", reversal.fence, "row is None or", "True or"),
    Mutant("12", "a batch that closed is sent on", reversal.batch_closed, "elif row.pending:", "elif False:"),
    Mutant("13", "another may be paid while the host may still take the first", payagain.judged,
           "if row.state in PAYABLE and", 'if row.state in {*PAYABLE, "in_doubt"} and'),
    Mutant("14", "the earlier customer's prompt does not say so", playbook.advise,
           "transaction.number < state.agent.newest", "False"),
    Mutant("14", "the prompt shows the amount of nobody", playbook.advise, "amount_fen=transaction.amount_fen, last4",
           "amount_fen=0, last4"),
    Mutant("14", "the display goes on about an earlier customer", customer.shown, "row.number == newest", "row.open",
           only=("glass", "loss", "delay", "declines")),
    Mutant("14", "the display shows another amount", customer.shown, "yuan(row.amount_fen)", "yuan(row.amount_fen + 1)",
           only=("glass",)),
    Mutant("14", "the display says reversed in mid-reversal", customer.shown, "CUSTOMER[code]", 'CUSTOMER["P4b"]',
           only=("glass", "loss", "declines")),
    # ── what the agent does not own, and windows ─────────────────────────────────────────────────────────────────────
    Mutant("3", "a reversal goes on the line that the app has", schedule._lent_away,
           "if not state.agent.policy.line_leased:", "if True:"),
    Mutant("3", "a payment may go while a reversal has the leased line", gate.line_is_ours,
           "state.agent.policy.line_leased and", "False and", only=("lease", "loss", "codes", "declines")),
    Mutant("9", "an answer that nobody could check is believed", answers._accepts, 'event.mac == "good"',
           'event.mac in ("good", "unchecked")', only=("macgone", "loss")),
    Mutant("8", "without a MAC it is never tried again", answers.no_mac, "due_ms=state.now.boottime_ms + backoff_ms",
           "due_ms=None"),
    Mutant("4", "a settlement goes ahead of reversals", gate.settlement, 'return "wait" if', 'return "go" if',
           only=("batch", "loss", "codes")),
    Mutant("T16", "no original is believed by a clock that is wrong", hostdate._time_ms,
           "if hour < 24 and minute < 60 and second < 60 else None", "if False else None", only=("clock", "forgets", "loss")),
    Mutant("T2", "the host's date is passed over", hostdate._is_day, "policy.host_day and", "policy.host_day and False and",
           only=("clock", "forgets", "loss")),
    Mutant("8", "a refusal by a person's order is lost", people.resolved, "reversal.fence(state, row.id)", "pass"),
    Mutant("5", "a closed reversal is not found again", needed.rows, "elif isinstance(event, HostReply):",
           "elif isinstance(event, HostReply):\n        wanted = ()\n    elif False:", journal=True,
           only=("double", "loss", "delay")),
    # ── STANs that begin anew ────────────────────────────────────────────────────────────────────────────────────────
    Mutant("9", "an answer that comes a batch late is that of the newest", answers._likeliest,
           'names(f60, row.fields.get("60", "")), row.state', "False, row.state", only=("anew", "gac", "codes")),
    Mutant("9", "the relay takes an answer that comes a batch late for that of the newest", relay._earlier,
           "return next((row for row in twins if _named(policy, row, f60)), None)", "return None",
           only=("anew", "relay", "delay")),
    Mutant("9", "the relay takes it for that of the newest where the earlier one is in no memory", needed.rows, "if not late:",
           "if True:", journal=True, only=("anew", "relay", "double")),
    Mutant("9", "the same number at another terminal id is the same reversal", answers.received,
           "tuple(map(row.fields.get, MATCHED)) == said",
           'tuple(map(row.fields.get, ("3", "4", "11", "42"))) == (event.f3, event.f4, event.f11, event.f42)',
           only=("anew", "tills", "loss", "codes")),
    Mutant("4", "a number is used once, whatever the batch", card._refuse_used_key,
           "state.keys.get((event.terminal_id, event.batch, event.stan), ())",
           "[key for (whose, _, stan), keys in state.keys.items() if (whose, stan) == (event.terminal_id, event.stan)\n"
           "                for key in keys]", only=("anew",)),
    Mutant("4", "a number is used once, whatever the terminal id", card._refuse_used_key,
           "state.keys.get((event.terminal_id, event.batch, event.stan), ())",
           "[key for (_, batch, stan), keys in state.keys.items() if (batch, stan) == (event.batch, event.stan)\n"
           "                for key in keys]", only=("anew", "tills")),
    Mutant("8", "a line of a file is of any batch", matching.Families.match, "self._keyed.get((line.batch, line.stan), [])",
           "[key for (_, stan), keys in self._keyed.items() if stan == line.stan for key in keys]",
           only=("anew", "loss", "codes")),
    # ── the next day ─────────────────────────────────────────────────────────────────────────────────────────────────
    Mutant("9", "a line that was imported counts again", settlement.imported, "if booked in account.lines:", "if False:"),
    Mutant("9", "credits are not netted", verdict.net_fen, 'line.direction == "debit"', "True"),
    Mutant("9", "a booking is final with its own file", verdict.verdict,
           "following(policy, newest_day(account.lines)) in days", "True"),
    Mutant("9", "a missing line is not settled at once", verdict.verdict,
           "not set(days).issuperset(needed(policy, first, last))", "False"),
    Mutant("9", "more is refunded than was booked", refunds.pay, "if refunded_fen > item.due_fen:", "if False:"),
    Mutant("12", "a refund is made beside the reversal", refunds._confirm, "reversal.fence(state, row.id)", "pass"),
    # ── the wallets' next day ────────────────────────────────────────────────────────────────────────────────────────
    Mutant("9", "a line of a wallet is anybody's", matching.Families.match,
           'self._ordered.get(line.order_no or "", [])', "[key for keys in self._ordered.values() for key in keys]",
           only=("scan", "deaf_app")),
    Mutant("9", "the card acquirer's files speak for wallets", verdict.verdict, "covered(state, row)",
           "state.ledger.days", only=("scan", "deaf_app", "mute_wallet", "lying_wallet", "late_pay")),
    Mutant("9", "one wallet's file speaks for all", settlement._covering, 'for name in event.covers if name != "card"',
           'for name in ("wechat", "alipay", "unionpay_qr", "bestpay")', only=("scan",)),
    Mutant("9", "the answer to a refund is believed", orders._called, 'call(state, row, "query")',
           'call(state, row, "query") if not order.owed_fen else moneyback.said(state, row, said)', only=("scan",)),
    Mutant("9", "a person refunds while the wallet does", moneyback.check, "if order.owed_fen:", "if False:", only=("scan",)),
    Mutant("9", "what the wallet did not refund is called done", moneyback.said, 'if word == "refunded":',
           'if word in {"refunded", "paid"}:', only=("scan",)),
    # ── wallets ──────────────────────────────────────────────────────────────────────────────────────────────────────
    Mutant("9", "paid after a cancel is a release", orders._paid, 'if order.cancels or order.late or row.state == "closed":',
           'if row.state in {"closed", "cancelling"}:', only=("scan", "deaf_app", "late_pay", "mute_wallet")),
    Mutant("9", "the answer to a cancel is believed", orders._called, 'call(state, row, "query")', "_MEANS[said](state, row)",
           only=("scan", "deaf_app", "lying_wallet", "late_pay")),
    Mutant("9", "every refund has a number of its own", walletcalls.call, 'incident_id("refund", row.id)',
           'incident_id(f"refund{order.refunds}", row.id)', only=("scan", "deaf_app", "lying_wallet", "late_pay", "mute_wallet")),
    Mutant("9", "a closed order is never looked at again", orders._recheck, "if order.rechecks >= len(rule.recheck_ms) or",
           "if True or", only=("scan", "deaf_app", "late_pay")),
    Mutant("9", "a look that saw nothing is a second look", orders._interim,
           'row.state == "closed" and order.said == "unknown" and order.looks < rule.looks_max', "False",
           only=("scan", "deaf_app", "late_pay", "mute_wallet")),
    Mutant("8", "WeChat is cancelled while the customer types a password", orders._may_cancel,
           'rule.paying_refuses and order.said == "paying"', "False", only=("scan", "deaf_app", "late_pay")),
    Mutant("8", "an order is cancelled again without asking", orders._called, 'call(state, row, "query")',
           'plan(state, row, "cancel", 5_000)', only=("scan", "deaf_app")),
    Mutant("8", "out of reach is given up on without a word", orders._not_reached, "state.now.boottime_ms + backoff_ms", "None",
           only=("scan", "deaf_app", "gateway_away")),
    Mutant("9", "accepted evidence forbids nothing", orders._may_cancel, "and not order.trusted", "",
           only=("scan", "deaf_app", "late_pay", "people", "mute_wallet")),
    Mutant("1", "an order is given up and nobody is told", orders.give_up,
           'incidents.open_one(state, "in_doubt", row.id, "operator", "compare_settlement")',
           'incidents.close_one(state, "in_doubt", row.id, "given_up")', only=("scan", "deaf_app", "lying_wallet", "late_pay")),
    Mutant("13", "a second code is taken while the first is open", wallet.open_beside, "if not _accepted(row)", "if False",
           only=("scan", "deaf_app", "late_pay", "people")),
    Mutant("7", "goods go out while the wallet is asked", playbook._has_money,
           'row.state not in {"approved", "paid"}', 'row.state not in {"approved", "paid", "querying"}',
           only=("scan", "deaf_app")),
    # ── kinds ────────────────────────────────────────────────────────────────────────────────────────────────────────
    Mutant("3", "F61 is left out", fields.reversal_fields, '"61": _original(kind.f61, transaction),', '"61": None,',
           only=("kinds", "loss")),
    Mutant("3", "F61 has today's date", fields._original, 'original.date or ""', '"0302" if original.date else ""',
           only=("kinds", "loss")),
    Mutant("3", "F25 is that of a sale", fields.reversal_fields, '"25": transaction.condition,', '"25": "00",',
           only=("kinds", "loss")),
    Mutant("3", "a refund is reversed by a 0400", Policy.kind, "return kind",
           'return msgspec.structs.replace(kind, in_doubt="reverse")', only=("kinds", "loss")),
    Mutant("3", "what is only watched is reversed", fields.is_reversible, '== "reverse"', '!= "repeat"', only=("kinds", "loss")),
    Mutant("3", "a completion is reversed by the amount of its pre-authorization", reversal.begin,
           "fields=fields.reversal_fields(policy, transaction)",
           'fields=fields.reversal_fields(policy, replace(transaction, amount_fen=500 if transaction.kind == "completion" else '
           "transaction.amount_fen))", only=("kinds", "loss")),
    Mutant("7", "goods go out for what was voided", undoing.is_undone, "bool(row.undoings) and", "False and",
           only=("kinds", "loss")),
    Mutant("7", "what is to undo a payment is not kept", card.opened, "undoing.opened(state, transaction)", "pass",
           only=("kinds", "loss")),
    Mutant("8", "a refund without an answer is given up", card.sent_asked, "if transaction.repeats and", "if False and",
           only=("kinds", "loss")),
    Mutant("9", "a partial approval counts in full", card._approve, "if event.approved_fen is None else", "if True else",
           only=("partial",)),
    Mutant("9", "a lost partial approval is not settled", verdict.verdict, "account.other_day is not None", "False",
           only=("partial", "loss", "codes")),
    Mutant("9", "a hold is judged by files that never have it", verdict.last_day, "if row.kind in MONEYLESS else",
           "if False else", only=("kinds", "loss", "codes")),
    Mutant("2", "what is never reversed is kept from the terminal", relay.answered,
           "if is_reversible(state.agent.policy, transaction.kind):", "if True:", only=("relay", "kinds", "badmac")),
    # ── the relay ────────────────────────────────────────────────────────────────────────────────────────────────────
    Mutant("2", "an answer that nobody heard counts", relay.forwarded, '"approved" if event.left else "approved_not_completed"',
           '"approved"', only=("relay", "hangup", "full", "delay")),
    Mutant("2", "an answer after the doubt is forwarded", relay._late, "return _dropped(transaction, decision.detail)",
           'return Decision(transaction=transaction.id, proceed="go")', only=("relay", "slow", "delay")),
    Mutant("2", "what the terminal may have heard is reversed by itself", card.restarted, "if transaction.answered:", "if False:",
           only=("relay", "kill")),
    Mutant("3", "the agent reverses beside the payment app", adoption.wait, "row, adopted=True,", "row,",
           only=("relay", "own", "hangup", "loss")),
    Mutant("T1", "any answer to the app's own 0400 settles it", answers._app_answered, "_accepts(state, event) and", "",
           only=("relay", "own", "keys", "hangup", "loss")),
    Mutant("T3", "the app's own 0400 is waited for without end", answers.deadline, "adoption.silent(state, row)", "pass",
           only=("relay", "own", "loss", "hangup")),
    Mutant("T7", "an answer for another amount is forwarded", relay._is_answer, "own == said and", "own == said or",
           only=("relay", "crossed")),
)


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """While inside, the function has its defect, wherever it was imported to."""
    function = mutant.function
    assert isinstance(function, FunctionType)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(mutant.old) == 1, f"{mutant.name}: {mutant.old!r} stands {source.count(mutant.old)} times in it"
    lines = source.replace(mutant.old, mutant.new).splitlines()
    while lines[0].startswith("@"):
        del lines[0]
    made: dict[str, Any] = {}
    exec("\n".join(lines), function.__globals__, made)
    sound = function.__code__
    function.__code__ = made[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = sound


def catch(mutant: Mutant, first: int = 1) -> tuple[int, str] | None:
    """(how many worlds it took, what broke), or None when the mutant survived them all."""
    limit = JOURNAL_SEEDS if mutant.journal else SEEDS
    with applied(mutant):
        for count in range(limit):
            try:
                world = play(first + count, journal=mutant.journal, only=mutant.only)
            except CRASHES as error:
                return count + 1, f"crash {error!r}"
            if isinstance(world, Failure):
                return count + 1, world.text
    return None
