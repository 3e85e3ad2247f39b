"""The OpenAPI description: whole, valid, in the tree as the code says it, and in agreement with what the calls take and give."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from agent.hooks.routes import ROUTES, openapi
from tests.support.house import CHIP, RECEIPT, SALE, VERSION, OpenHouse, housed

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = openapi(VERSION)
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
REGISTRY: Registry[Any] = Registry().with_resource("api", DRAFT202012.create_resource(DOCUMENT))

# The calls of the card rail as they were agreed with integrators.
AGREED = {
    ("post", "/v1/transactions"), ("post", "/v1/transactions/{id}/sent"), ("post", "/v1/transactions/{id}/result"),
    ("post", "/v1/transactions/{id}/receipt"), ("post", "/v1/transactions/{id}/reprint"),
    ("post", "/v1/transactions/{id}/evidence"), ("post", "/v1/transactions/{id}/disposition"), ("post", "/v1/batch"),
    ("post", "/v1/incidents/{id}/resolve"), ("post", "/v1/terminal"), ("post", "/v1/link"), ("get", "/v1/transactions/{id}"),
    ("get", "/v1/status"), ("get", "/v1/incidents"), ("get", "/v1/incidents/{id}"), ("get", "/v1/ready"), ("get", "/v1/events"),
    ("get", "/v1/openapi.json"), ("get", "/metrics"), ("get", "/healthz"),
}


def validator(name: str) -> jsonschema.Draft202012Validator:
    """Of one component."""
    return jsonschema.Draft202012Validator({"$ref": f"api#/components/schemas/{name}"}, registry=REGISTRY)


def described() -> set[tuple[str, str]]:
    """(method, path) of everything that is described."""
    return {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}


def test_every_agreed_call_is_there_and_every_route_is_described() -> None:
    assert described() >= AGREED
    assert described() == {(route.method.lower(), route.path) for route in ROUTES}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_component_is_a_valid_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(_references(item) for item in value.values()))
    return set().union(*(_references(item) for item in value)) if isinstance(value, list) else set()


def test_every_reference_leads_somewhere_and_no_component_is_idle() -> None:
    assert _references(DOCUMENT) == {f"#/components/schemas/{name}" for name in SCHEMAS}


def test_every_operation_has_its_parts() -> None:
    names = set()
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            names.add(operation["operationId"])
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            placed = [item for item in operation.get("parameters", ()) if item["in"] == "path"]
            assert [item["name"] for item in placed] == re.findall(r"{(\w+)}", path)
            assert all(item["required"] for item in placed)
            assert ("requestBody" in operation) == (method == "post")
    assert len(names) == len(ROUTES)
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_patterns_are_those_of_other_languages_too() -> None:
    text = json.dumps(DOCUMENT)
    assert r"\\Z" not in text
    assert r"\\A" not in text


def test_the_copy_in_the_tree_is_what_the_code_says() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False)
    assert "openapi.json" not in done.stderr, done.stderr
    kept = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert kept["paths"] == DOCUMENT["paths"]


EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("Open", SALE),
    ("Open", {name: value for name, value in SALE.items() if name != "sent"} | {"card": {"token": "t", "last4": "0128"}}),
    ("Open", SALE | {"kind": "void", "original": {"batch": "000001", "stan": "000122", "date": "0302"}}),
    ("Result", {"outcome": "no_answer"}),
    ("Result", {"outcome": "approved", "response_code": "00", "approved_fen": 100, "rrn": "261122000123", "receipt": RECEIPT}),
    ("Result", {"outcome": "approved_not_completed", "auth_code": "A1B2C3", "chip": CHIP}),
    ("Receipt", RECEIPT | {"qr": "https://r.example/1", "copies": 2}),
    ("EvidenceBody", {"kind": "debit_sms", "amount_fen": 100, "order_no": "1", "merchant": "m", "at": "10:00", "text": "t"}),
    ("DispositionBody", {"goods": "held", "replaced_by": "cash", "accepts_risk": True, "contact": "138"}),
    ("Batch", {"batch": "000001", "event": "settling"}),
    ("Resolve", {"as": "refunded", "by": "w", "note": ""}),
    ("TerminalBody", {"event": "signed_in"}),
    ("Link", {"state": "up"}),
    ("Empty", {}),
]


@pytest.mark.parametrize(("name", "body"), EXAMPLES)
def test_what_the_contract_shows_is_what_the_schema_takes(name: str, body: dict[str, Any]) -> None:
    validator(name).validate(body)
    with pytest.raises(jsonschema.ValidationError):
        validator(name).validate(body | {"unknown": 1})


@housed()
async def test_every_answer_is_as_it_is_described(house: OpenHouse) -> None:
    key = await house.approved(receipt=RECEIPT)
    other = await house.doubt("000124")
    (item, *_) = (await house.get("/v1/incidents"))["items"]
    told = [
        ("Answer", await house.open("000125")),
        ("ProblemBody", await house.open("000123")),
        ("ProblemBody", await house.result(other, "approved")),
        ("JobAnswer", await house.post(f"/v1/transactions/{key}/reprint")),
        ("JobAnswer", await house.post("/v1/print/test")),
        ("Detail", await house.call("GET", f"/v1/transactions/{other}")),
        ("Page", await house.call("GET", "/v1/incidents")),
        ("IncidentItem", await house.call("GET", f"/v1/incidents/{item['id']}")),
        ("Status", await house.call("GET", "/v1/status")),
        ("Ready", await house.call("GET", "/v1/ready")),
        ("Health", await house.call("GET", "/healthz")),
        ("Done", await house.post("/v1/terminal", {"event": "rebooted"})),
        ("ProblemBody", await house.post("/v1/display/test")),
    ]
    for name, answer in told:
        validator(name).validate(answer.body)
        assert set(answer.body) <= set(SCHEMAS[name]["properties"]), name


@housed()
async def test_a_running_agent_describes_itself(house: OpenHouse) -> None:
    assert await house.get("/v1/openapi.json") == json.loads(json.dumps(DOCUMENT))
