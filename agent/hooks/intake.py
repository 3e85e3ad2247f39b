"""From what a caller posts to an event: secrets are sealed, card numbers masked, forbidden data refused at the door.

PCI DSS 3.3.1: track data, verification values and PIN blocks are never taken. They have no field here, so they are refused
as unknown; inside chip data their tags are looked for, nested ones too.
"""

from uuid import uuid4

from agent.core import asking
from agent.core.appevent import AppKnows, AppReported
from agent.core.event import Opened, ResultReported
from agent.core.model import Document, DocumentLine, Original, Transaction
from agent.core.policy import Policy
from agent.hooks.body import Card, Open, Receipt, RequestAnswer, Result, ReversalBody
from agent.hooks.ids import new_id
from agent.hooks.masking import masked
from agent.hooks.problems import Problem
from agent.vault import Sealed, Vault, mask
from device.acquirer import chip
from device.errors import LocalMessageError
from device.printer.encoder import LINES_MAX, QR_BYTES_MAX
from device.printer.layout import sayable, wrap

COLUMNS_MIN = 32  # the narrowest paper
ROWS_MAX = LINES_MAX - 2  # a copy says so at its head and its foot


def opened(body: Open, vault: Vault | None, policy: Policy, *, line_down: bool) -> tuple[Opened, Sealed | None]:
    """The event of an opened transaction, and what goes into the vault with it."""
    _check_original(body, policy)
    card = body.card or Card()
    reversible = policy.kind(body.kind).in_doubt == "reverse"
    if body.rail == "card":
        _check_card(card, vault, reversible=reversible)
    ref = new_id() if card.pan is not None and reversible else None  # what is never reversed needs no secrets kept
    event = Opened(
        transaction=new_id(), rail=body.rail, kind=body.kind, amount_fen=body.amount_fen, currency=body.currency,
        stan=body.stan, batch=body.batch, terminal_id=body.terminal_id, merchant_id=body.merchant_id, ask=body.sent,
        line_down=line_down, basket_id=body.basket_id and masked(body.basket_id),
        condition=body.condition or policy.kind(body.kind).condition, entry_mode=card.entry_mode, sequence=card.sequence,
        masked_pan=mask(card.pan) if card.pan else None,
        last4=card.pan[-4:] if card.pan else card.last4, vault=ref,
        card_hmac=vault.card_hash(card.pan) if card.pan and vault else None,
        original=Original(body.original.batch, body.original.stan, body.original.date) if body.original else None,
        replaces=body.replaces and masked(body.replaces),
    )
    chip_data = chip_for_reversal(card.chip, policy)  # forbidden tags are refused whatever becomes of the rest
    if ref is None or vault is None or card.pan is None:
        return event, None
    secrets = {2: card.pan, 14: card.expiry, 55: chip_data}
    kept = {str(number): text for number, text in secrets.items() if text and number in policy.reversal.fields}
    return event, Sealed(ref, vault.seal(ref, kept))


def _check_original(body: Open, policy: Policy) -> None:
    """What undoes or completes another transaction must name it: by that the host finds it (F61), and goods follow it."""
    named = policy.kind(body.kind).f61
    if body.original is None and (named or body.kind.endswith("void")):
        raise Problem(400, "invalid-body", f"a {body.kind} needs `original` with batch and stan of what it refers to")
    if body.original is not None and body.original.date is None and "{date}" in named:
        raise Problem(400, "invalid-body", f"a {body.kind} needs `original.date`, the MMDD of what it refers to")


def _check_card(card: Card, vault: Vault | None, *, reversible: bool) -> None:
    if card.token is not None and masked(card.token, longer_too=True) != card.token:
        raise Problem(400, "card-data-refused", "`card.token` holds what may be a card number: send a token that is none")
    if vault is None:
        if card.pan is not None or card.expiry is not None or card.chip is not None:
            raise Problem(400, "card-data-refused", "this terminal keeps no card data: send `token` and `last4`")
        if card.last4 is None:
            raise Problem(400, "invalid-body", "a card transaction needs `card` with `last4`")
        return
    if not reversible:
        if card.pan is None and card.last4 is None:
            raise Problem(400, "invalid-body", "a card transaction needs `card` with `pan` or `last4`")
        return
    if card.pan is None:
        raise Problem(400, "invalid-body", "this terminal reverses by itself: `card.pan` is needed for the reversal (F2)")
    if card.entry_mode is None:
        raise Problem(400, "invalid-body", "`card.entry_mode` is needed for the reversal (F22)")


def chip_for_reversal(data: str | None, policy: Policy) -> str | None:
    """Chip data cut to what a reversal carries. Raises Problem when it holds track or card number tags."""
    if not data:
        return None
    try:
        found = chip.FORBIDDEN_TAGS.intersection(chip.tags(data))
        if found:
            raise Problem(
                400, "forbidden-card-data", f"chip data must not hold tag {min(found)}: leave track and card number out"
            )
        return (chip.cut(data, policy.reversal.chip_tags) or None) if 55 in policy.reversal.fields else None
    except LocalMessageError as error:
        raise Problem(400, "invalid-body", f"`chip` is not well-formed TLV: {error}") from None


def result(row: Transaction, body: Result) -> ResultReported:
    """The event of a result for this transaction."""
    document = document_of(body.receipt, row) if body.receipt else None
    return ResultReported(
        transaction=row.id, outcome=body.outcome, response_code=body.response_code, approved_fen=body.approved_fen,
        rrn=body.rrn, auth_code=body.auth_code, receipt=document, job=str(uuid4()) if document else None,
        abnormal=body.reason is not None,
    )


def reversal(key: str, body: ReversalBody) -> AppReported:
    """The event of the app's word on its own 0400. Raises Problem 400 for an acceptance without the host's code."""
    _need_code(body.outcome, body.response_code)
    return AppReported(transaction=key, outcome=body.outcome, response_code=body.response_code, record=body.record)


def request_answer(request: str, body: RequestAnswer) -> AppKnows | AppReported:
    """The event of an answer to a request. Raises Problem 400 when it answers neither or both of the two kinds."""
    key = asking.transaction_of(request)
    if (body.outcome is None) == (body.state is None):
        raise Problem(400, "invalid-body", "`outcome` answers a flush or an inquiry, `state` a question: send one of them")
    if body.outcome is not None:
        _need_code(body.outcome, body.response_code)
        return AppReported(
            transaction=key, outcome=body.outcome, response_code=body.response_code, record=body.record, request=request
        )
    _need_code(body.reversal, body.reversal_code)
    assert body.state is not None, "one of the two is there"
    return AppKnows(
        transaction=key, request=request, outcome=body.state, response_code=body.response_code, approved_fen=body.approved_fen,
        rrn=body.rrn, auth_code=body.auth_code, record=body.record, reversal=body.reversal, reversal_code=body.reversal_code,
    )


def _need_code(outcome: str | None, code: str | None) -> None:
    if outcome == "accepted" and code is None:
        raise Problem(400, "invalid-body", "`accepted` needs the host's response code (F39): without it nothing is settled")


def document_of(receipt: Receipt, row: Transaction) -> Document:
    """The receipt as it is printed: card numbers masked, whatever the app put there; the merchant's number stays.

    Raises Problem 400 for what no printer could take: a job that cannot be printed would stand in the way of all others.
    """
    lines = tuple(
        DocumentLine(masked(line.text, {row.merchant_id}), line.align, line.size, line.bold) for line in receipt.lines
    )
    rows = sum(len(wrap(sayable(line.text), COLUMNS_MIN // line.size)) for line in lines)
    if rows > ROWS_MAX:
        raise Problem(400, "receipt-too-long", f"the receipt fills {rows} rows of {COLUMNS_MIN} columns; {ROWS_MAX} are the most")
    if receipt.qr and len(receipt.qr.encode()) > QR_BYTES_MAX:
        raise Problem(400, "receipt-too-long", f"`qr` takes at most {QR_BYTES_MAX} bytes in UTF-8")
    return Document(lines, masked(receipt.qr) if receipt.qr else None)
