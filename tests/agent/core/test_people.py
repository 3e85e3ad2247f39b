"""What people add: evidence, dispositions, closing a case. None of it turns doubt into success."""

import pytest

from agent.core import event as e
from agent.core.change import Rejected
from agent.core.evidence import EVIDENCE_MAX
from agent.core.model import Disposition
from tests.agent.core.world import HOUR, SECOND, World, evidence


def resolve(world: World, code: str = "in_doubt") -> None:
    incident = world.incident(code)
    world.do(e.IncidentResolved(incident=incident.id, transaction="a", resolution="refunded", by="Li", note="by hand"))


def unresolved() -> World:
    world = World()
    world.doubt()
    world.connect()
    world.go_to(90 * SECOND)
    return world


def test_evidence_is_kept_and_decides_nothing() -> None:
    world = World()
    world.doubt()
    world.do(evidence(amount_fen=100))
    assert world.states() == ("in_doubt", "pending")
    assert world.advice().hold_goods


def test_evidence_has_a_limit() -> None:
    world = World()
    world.doubt()
    for _ in range(EVIDENCE_MAX):
        world.do(evidence())
    with pytest.raises(Rejected) as refused:
        world.do(evidence())
    assert refused.value.code == "too-much-evidence"


def test_the_manager_accepts_the_risk_and_the_customer_may_pay_again() -> None:
    world = unresolved()
    assert not world.advice().may_pay_again
    world.do(e.DispositionGiven(transaction="a", disposition=Disposition(accepts_risk=True)))
    assert world.advice().may_pay_again
    world.do(e.DispositionGiven(transaction="a", disposition=Disposition(goods="released")))
    assert world.transaction().disposition == Disposition(goods="released", accepts_risk=True)


def test_a_case_that_the_agent_works_on_cannot_be_closed() -> None:
    world = World()
    world.doubt()
    with pytest.raises(Rejected) as refused:
        resolve(world)
    assert refused.value.code == "still-reversing"
    world = unresolved()
    world.go_to(120 * SECOND)
    assert world.reversal().state == "sending"
    with pytest.raises(Rejected):
        resolve(world)


@pytest.mark.parametrize("ending", ["exhausted", "refused", "expired", "ordered"])
def test_closing_a_case_fences_its_reversal_for_ever(ending: str) -> None:
    world = World()
    world.doubt()
    world.connect()
    if ending == "exhausted":
        world.go_to(90 * SECOND)
    elif ending == "expired":
        world.go_to(90 * SECOND)
        world.do(e.BatchChanged(batch="000001", what="settled"))
    else:
        world.reply("94")
    if ending == "ordered":
        world.lose_line()
        world.do(e.ReversalOrdered(transaction="a", by="ops"))
        assert world.reversal().state == "pending"
    resolve(world)
    assert world.states() == ("resolved", "fenced")
    assert (world.transaction().vault, world.reversal().vault) == (None, None)
    count = len(world.sends())
    world.connect(after_failure=True)
    world.go_to(HOUR)
    assert len(world.sends()) == count
    world.reply("00")
    assert world.states() == ("resolved", "fenced")


def test_closing_a_case_after_a_late_approval_fences_it_too() -> None:
    world = World()
    world.doubt()
    world.at(60 * SECOND)
    world.connect()
    world.reply("25")
    world.go_to(HOUR)
    world.result("approved")
    assert world.transaction().state == "unresolved"
    resolve(world)
    assert world.states() == ("resolved", "fenced")
    world.reply("00")
    assert world.states() == ("resolved", "fenced")


def test_an_uncertain_decline_is_closed_by_a_person() -> None:
    world = World()
    world.open()
    world.result("declined", response_code="91")
    resolve(world, "declined_uncertain")
    assert world.states() == ("resolved", "-")
    incident = world.incident("declined_uncertain")
    assert (incident.open, incident.resolution) == (False, "refunded")


def test_a_case_that_was_only_watched_loses_its_secrets_when_closed() -> None:
    world = World()
    world.open(kind="instalment")
    world.result("no_answer")
    resolve(world)
    assert (world.transaction().state, world.transaction().vault) == ("resolved", None)


def test_closing_what_is_closed_or_unknown() -> None:
    world = unresolved()
    resolve(world)
    with pytest.raises(Rejected) as refused:
        resolve(world)
    assert refused.value.code == "already-closed"
    with pytest.raises(Rejected) as refused:
        world.do(e.IncidentResolved(incident="nothing", transaction=None, resolution="no_action", by="Li"))
    assert refused.value.status == 404


def test_an_incident_without_a_transaction_is_closed_alone() -> None:
    world = World()
    world.do(e.NoiseReceived(what="unasked"))
    row = world.incident("host_noise", None)
    world.do(e.IncidentResolved(incident=row.id, transaction=None, resolution="no_action", by="Li"))
    assert world.incidents() == set()
    world.do(e.NoiseReceived(what="unasked"))
    assert world.incidents() == {"host_noise"}
