"""From what a caller posts about a wallet order to an event: no card data, tokens only as keyed hashes, texts masked.

An order number is kept exactly as it is, also one of 13 to 19 digits: it is the merchant's own name for the order, the gateway
is asked by it, and it is no card number. What a customer shows is kept unmasked only where it is this very number.
"""

from agent.core.event import Opened
from agent.core.model import Evidence, Transaction
from agent.hooks.body import EvidenceBody, Open
from agent.hooks.ids import new_id
from agent.hooks.masking import masked
from agent.hooks.problems import Problem
from agent.vault import Tokens


def opened(body: Open, tokens: Tokens | None) -> Opened:
    """The event of an opened order. Raises Problem 400."""
    if tokens is None:
        raise Problem(400, "rail-not-configured", f"rail {body.rail} is not configured on this terminal")
    if body.card is not None:
        raise Problem(400, "card-data-refused", f"rail {body.rail} takes no `card`: leave it out")
    if body.order_no is None:
        raise Problem(400, "invalid-body", f"rail {body.rail} needs `order_no`, the merchant's own number of the order")
    if (body.wallet is None) == (body.rail == "wallet"):
        raise Problem(400, "invalid-body", "`wallet` names the wallet on rail wallet, and stands nowhere else")
    return Opened(
        transaction=new_id(), rail=body.rail, kind=body.kind, amount_fen=body.amount_fen, currency=body.currency,
        stan=body.stan, batch=body.batch, terminal_id=body.terminal_id, merchant_id=body.merchant_id, ask=body.sent,
        basket_id=_basket(body.basket_id, tokens), last4=body.order_no[-4:], replaces=body.replaces and masked(body.replaces),
        wallet=body.wallet or body.rail, order_no=body.order_no, customer=tokens.hide(body.customer) if body.customer else None,
    )


def _basket(basket_id: str | None, tokens: Tokens) -> str | None:
    """Masked; one that loses digits by that keeps a hash of them, so that two baskets stay two."""
    shown = basket_id and masked(basket_id)
    return shown if not basket_id or shown == basket_id else f"{shown}#{tokens.hide(basket_id)[:16]}"


def evidence_of(row: Transaction, body: EvidenceBody) -> Evidence:
    """Evidence, masked, but for an order number that is this order's own."""
    own = row.order is not None and body.order_no == row.order.order_no
    return Evidence(
        kind=body.kind, amount_fen=body.amount_fen, order_no=body.order_no if own else body.order_no and masked(body.order_no),
        merchant=body.merchant and masked(body.merchant, {row.merchant_id}), at=body.at and masked(body.at),
        text=body.text and masked(body.text),
    )
