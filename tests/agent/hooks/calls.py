"""What bad input is made from: a good body for every call, ways to spoil it, and how a card number would show."""

import re
from collections.abc import Iterator
from typing import Any

from agent.hooks.routes import ROUTES
from tests.support.house import CHIP, PAN, RECEIPT, SALE

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
BODIES: dict[str, dict[str, Any]] = {
    "/v1/transactions": SALE | {
        "currency": "156", "condition": "00", "basket_id": "B-77", "replaces": UNKNOWN_ID,
        "original": {"batch": "000001", "stan": "000001", "date": "0302"},
    },
    "/v1/transactions/{id}/sent": {},
    "/v1/transactions/{id}/result": {
        "outcome": "approved", "response_code": "00", "approved_fen": 100, "rrn": "1", "auth_code": "A1B2C3", "chip": CHIP,
        "receipt": RECEIPT,
    },
    "/v1/transactions/{id}/receipt": RECEIPT | {"qr": "https://r.example/1", "copies": 2},
    "/v1/transactions/{id}/reprint": {"blank": False},
    "/v1/transactions/{id}/guarantee": {"contact": "138", "copies": 2},
    "/v1/transactions/{id}/evidence": {
        "kind": "debit_sms", "amount_fen": 100, "order_no": "1", "merchant": "店", "at": "10:00", "text": "扣款",
    },
    "/v1/transactions/{id}/disposition": {"goods": "held", "replaced_by": "cash", "accepts_risk": False, "contact": "138"},
    "/v1/transactions/{id}/acknowledge": {"code": "P15", "by": "07"},
    "/v1/pages/link": {"page": "cashier", "lang": "zh"},
    "/v1/pages/session": {"key": "nonsense"},
    "/v1/transactions/{id}/recover": {"by": "operator"},
    "/v1/transactions/{id}/refund": {"by": "operator", "confirmed": True, "amount_fen": 100},
    "/v1/settlements": {
        "statement": "20260302", "dates": ["2026-03-02"], "part": 1, "parts": 1, "preview": False, "terminal_id": "12345678",
        "verdicts": [
            {"date": "2026-03-02", "batch": "000001", "stan": "000001", "rrn": "1", "amount_fen": 1, "direction": "debit"},
        ],
    },
    "/v1/transactions/{id}/reversal": {"outcome": "accepted", "response_code": "00", "record": "held"},
    "/v1/requests/{id}": {
        "state": "approved", "response_code": "00", "approved_fen": 100, "rrn": "1", "auth_code": "A1B2C3", "record": "held",
        "reversal": "accepted", "reversal_code": "00",
    },
    "/v1/batch": {"batch": "000001", "event": "settling"},
    "/v1/terminal": {"event": "signed_in"},
    "/v1/link": {"state": "up"},
    "/v1/print/test": {},
    "/v1/display/test": {},
    "/v1/incidents/{id}/resolve": {"as": "no_action", "by": "王", "note": "x"},
}
POSTS = [route.path for route in ROUTES if route.method == "POST"]
PATHS = sorted({route.path for route in ROUTES})


def leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every leaf of a JSON value."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*at, key))
    else:
        yield at


def spoiled(value: Any, at: tuple[Any, ...], leaf: Any) -> Any:
    """A copy with another leaf."""
    if not at:
        return leaf
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = spoiled(copy[at[0]], at[1:], leaf)
    return copy


def shows_card(text: str) -> bool:
    """True when the card number can be read in it."""
    return PAN in text or " ".join(re.findall(".{1,4}", PAN)) in text
