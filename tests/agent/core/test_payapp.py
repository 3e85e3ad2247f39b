"""Mode payapp: the app's kernel reverses, the agent asks it to, believes only what may be believed, and notices its defects."""

from typing import Any

import pytest

from agent.core import appevent as a
from agent.core import event as e
from agent.core.change import AskApp, AskSignIn, Decision, Rejected, SendEcho, SendReversal, WantLine
from agent.core.model import Disposition
from tests.agent.core.world import MINUTE, SECOND, World, with_policy


class App(World):
    """A terminal whose payment app reverses, and has a port unless it says otherwise."""

    def __init__(self, **policy: Any) -> None:
        super().__init__(**{"mode": "payapp", "asks_app": True} | policy)

    def asks(self) -> list[AskApp]:
        """Everything that was asked of the app."""
        return [effect for effect in self.effects if isinstance(effect, AskApp)]

    def ask_of(self) -> AskApp:
        """The last of them."""
        return self.asks()[-1]

    def says(self, outcome: str, code: str | None = None, key: str = "a", **more: Any) -> Decision:
        """The app on its own 0400."""
        return self.do(a.AppReported(transaction=key, outcome=outcome, response_code=code, **more))  # type: ignore[arg-type]

    def answers(self, outcome: str, code: str | None = None, **more: Any) -> Decision:
        """The app's answer to the last request."""
        asked = self.ask_of()
        return self.says(outcome, code, asked.transaction, request=asked.request, **more)

    def knows(self, outcome: str, key: str = "a", **more: Any) -> Decision:
        """What the app knows, asked by the last request."""
        request = more.pop("request", self.ask_of().request)
        return self.do(a.AppKnows(transaction=key, request=request, outcome=outcome, **more))  # type: ignore[arg-type]


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_doubt_is_asked_of_the_app_at_once_and_no_byte_of_ours_leaves() -> None:
    world = App()
    world.doubt()
    assert [(ask.what, ask.stan, ask.batch, ask.within_ms) for ask in world.asks()] == [
        ("flush_reversals", "000001", "000001", 30_000)
    ]
    assert world.states() == ("reversing", "sending")
    assert world.told("request.opened")[0].data["request"] == world.ask_of().request
    world.answers("accepted", "00")
    assert world.states() == ("reversed", "accepted")
    assert not [effect for effect in world.effects if isinstance(effect, SendReversal | SendEcho | WantLine)]
    assert (world.advice().code, world.advice().may_pay_again) == ("P4b", True)
    assert not world.incidents()


def test_with_the_network_down_the_app_is_not_asked_before_it_is_back() -> None:
    world = App()
    world.open()
    world.do(a.LinkReported(up=False))
    world.result("no_answer")
    assert not world.asks()
    assert (world.states(), world.advice().code) == (("in_doubt", "pending"), "P3")
    world.at(5 * SECOND)
    world.do(a.LinkReported(up=True))
    assert len(world.asks()) == 1
    assert world.advice().code == "P4a"


@pytest.mark.parametrize("later_s", [0, 40])
def test_two_reversals_that_the_host_puts_off_do_not_have_each_other_asked_for_without_end(later_s: int) -> None:
    """A kernel that is asked for one sends both, oldest first, reports both, and is busy meanwhile."""
    world = App()
    world.doubt("a")
    flushes = heard = 0
    keys = ["a"]
    for second in range(1, 600):
        world.go_to(second * SECOND)
        if second == 100 + later_s:
            world.open("b", stan="000002")
            world.says("refused", "96", "a")  # ahead of the sale
            world.result("no_answer", "b")
            keys = ["a", "b"]
        while heard < len(world.asks()) and flushes < 100:
            asked, heard, flushes = world.asks()[heard], heard + 1, flushes + 1
            for key in keys:
                world.says("refused", "96", key, request=asked.request if key == asked.transaction else None)
                while key != keys[-1] and heard < len(world.asks()):
                    early, heard = world.asks()[heard], heard + 1
                    world.says("busy", None, early.transaction, request=early.request)
    assert world.states("a") == world.states("b") == ("unresolved", "exhausted")
    assert flushes < 25, "opportunities after 60, 120, 240 s, of three requests at most"


def test_a_network_that_is_down_for_ever_does_not_silence_the_back_off() -> None:
    world = App()
    world.open()
    world.do(a.LinkReported(up=False))
    world.result("no_answer")
    world.go_to(59 * SECOND)
    assert not world.asks()
    world.go_to(60 * SECOND)
    assert len(world.asks()) == 1


@pytest.mark.parametrize("ask", [True, False])
def test_it_is_never_asked_during_a_transaction(*, ask: bool) -> None:
    world = App()
    world.open("b", stan="000002", ask=ask)
    world.doubt("a", stan="000001")
    assert not world.asks()
    world.result("declined" if ask else "not_sent", "b", response_code="51" if ask else None)
    assert [asked.transaction for asked in world.asks()] == ["a"]


def test_one_is_asked_for_at_a_time_and_the_oldest_goes_first() -> None:
    world = App()
    world.open("a")
    world.open("b", stan="000002")
    world.result("no_answer", "b")
    world.result("no_answer", "a")
    assert [asked.transaction for asked in world.asks()] == ["a"]
    world.answers("accepted", "00")
    assert [asked.transaction for asked in world.asks()] == ["a", "b"]


def test_one_flush_may_settle_several() -> None:
    world = App()
    world.open("a")
    world.open("b", stan="000002")
    world.result("no_answer", "b")
    world.result("no_answer", "a")
    world.says("accepted", "00", "b")
    world.answers("accepted", "00")
    assert (world.states("a"), world.states("b")) == (("reversed", "accepted"), ("reversed", "accepted"))
    assert len(world.asks()) == 1
    assert (world.advice("a").code, world.advice("b").code) == ("P4b", "P21")


def test_an_app_that_cannot_flush_is_at_once_asked_for_a_balance_inquiry() -> None:
    world = App()
    world.doubt()
    world.answers("unsupported")
    assert [ask.what for ask in world.asks()] == ["flush_reversals", "balance_inquiry"]
    assert world.reversal().sends == 1, "only one of them can have sent anything"
    world.answers("accepted", "00")
    assert world.states() == ("reversed", "accepted")


@pytest.mark.parametrize("why", ["no_card", "unsupported"])
def test_where_a_hand_is_needed_the_cashier_is_prompted_until_the_app_goes_on(why: str) -> None:
    world = App()
    world.doubt()
    world.answers("unsupported")
    world.answers(why)
    assert world.advice().code == "N10"
    assert (world.advice().hold_goods, world.advice().may_pay_again) == (True, False)
    incident = world.incident("hand_needed")
    assert (incident.open, incident.owner, incident.next_action) == (True, "cashier", "ask_card_balance")
    asked = len(world.asks())
    world.go_to(59 * SECOND)
    assert len(world.asks()) == asked
    world.go_to(60 * SECOND)
    assert len(world.asks()) == asked + 1
    world.answers("sent")
    assert world.advice().code == "P4a"
    assert not world.incident("hand_needed").open


def test_a_busy_app_is_asked_again_after_the_spacing() -> None:
    world = App()
    world.doubt()
    world.answers("busy")
    assert world.advice().code == "P4a"
    world.go_to(59 * SECOND)
    assert len(world.asks()) == 1
    world.go_to(60 * SECOND)
    assert len(world.asks()) == 2


def test_an_app_that_is_always_busy_uses_the_opportunity_up_and_a_person_decides() -> None:
    world = App()
    world.doubt()
    for minute in range(1, 4):
        world.answers("busy")
        world.go_to(minute * MINUTE)
    assert world.states()[0] == "unresolved"
    assert world.advice().code == "P5"
    assert world.incident("in_doubt").owner == "operator"
    world.answers("accepted", "00")
    assert world.states() == ("reversed", "accepted"), "it is asked on, and accepted however late"


def test_an_app_that_never_answers_is_asked_three_times_then_by_the_back_off() -> None:
    world = App()
    world.doubt()
    world.go_to(90 * SECOND)
    assert world.states() == ("unresolved", "exhausted")
    assert [ask.request for ask in world.asks()] == ["a.1", "a.2", "a.3"]
    assert {"payapp", "in_doubt", "hand_needed"} <= world.incidents()
    world.go_to(120 * SECOND)
    assert len(world.asks()) == 4, "60 s after the last one"
    world.go_to(20 * MINUTE)
    sends = [ask.request for ask in world.asks()]
    assert len(sends) == len(set(sends)) < 20


def test_sent_gives_the_answer_its_time_once() -> None:
    world = App()
    world.doubt()
    world.at(20 * SECOND)
    world.answers("sent")
    world.at(80 * SECOND)
    world.answers("sent")
    world.go_to(94 * SECOND)
    assert len(world.asks()) == 1
    world.go_to(96 * SECOND)
    assert len(world.asks()) == 2, "30 s for the request and 65 s for the answer, no more"


def test_an_app_that_is_out_of_reach_uses_nothing_up_and_a_person_is_prompted() -> None:
    world = App()
    world.doubt()
    world.do(a.RequestFailed(transaction="a", request=world.ask_of().request))
    assert (world.states(), world.reversal().sends) == (("reversing", "pending"), 0)
    assert world.advice().code == "N10"
    assert {"hand_needed", "payapp"} <= world.incidents()
    world.go_to(60 * SECOND)
    assert len(world.asks()) == 2
    world.answers("accepted", "00")
    assert not world.incidents()


def test_where_nobody_listens_the_request_waits_for_one_who_does() -> None:
    world = App(asks_app=False)
    world.doubt()
    world.go_to(30 * SECOND)
    assert (world.states(), world.reversal().sends) == (("reversing", "pending"), 0)
    assert world.advice().code == "N10"
    world.go_to(40 * SECOND)
    world.do(a.PullChanged(attached=True))
    assert len(world.asks()) == 2, "nothing was used up, so nothing need be waited for"
    world.do(a.PullChanged(attached=False))
    assert [fact.type for fact in world.facts if fact.type.startswith("payapp.")] == ["payapp.attached", "payapp.detached"]


def test_a_host_that_was_heard_is_an_opportunity() -> None:
    world = App()
    world.doubt()
    world.go_to(90 * SECOND)
    world.at(100 * SECOND)
    world.do(a.LinkReported(up=False))
    world.at(5 * MINUTE)
    world.open("b", stan="000002")
    asked = len(world.asks())
    world.result("approved", "b", response_code="00")
    assert len(world.asks()) == asked + 1


# ── what is believed ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", ["A0", "0A", "51", "25", "12"])
def test_accepted_without_an_accepted_code_reverses_nothing_and_is_a_defect_of_the_app(code: str) -> None:
    world = App()
    world.doubt()
    world.answers("accepted", code)
    assert world.transaction().state != "reversed"
    assert not world.advice().may_pay_again
    incident = world.incident("false_accept")
    assert (incident.open, incident.owner, incident.next_action) == (True, "technician", "check_payment_app")


def test_a_key_refusal_asks_for_a_sign_in_then_for_the_same_again() -> None:
    world = App()
    world.doubt()
    world.answers("refused", "A0")
    assert any(isinstance(effect, AskSignIn) for effect in world.effects)
    assert "sign_in_needed" in world.incidents()
    asked = len(world.asks())
    world.do(e.TerminalChanged(what="signed_in"))
    assert len(world.asks()) == asked + 1
    world.answers("accepted", "00")
    assert not world.incidents()


@pytest.mark.parametrize(("code", "owner"), [("94", "operator"), ("64", "acquirer")])
def test_a_refusal_for_good_is_kept_for_a_person(code: str, owner: str) -> None:
    world = App()
    world.doubt()
    world.answers("refused", code)
    assert world.states() == ("unresolved", "refused")
    assert world.incident("in_doubt").owner == owner


def test_no_original_is_believed_only_late_enough_and_in_its_window() -> None:
    world = App()
    world.doubt()
    world.answers("refused", "25")
    assert world.transaction().state == "reversing", "the 0400 may have overtaken its 0200: asked once more"
    world.go_to(60 * SECOND)
    world.answers("refused", "25")
    assert world.states() == ("no_original", "no_original")
    assert world.advice().code == "P4c"


def test_no_original_counts_from_the_doubt_because_the_kernel_may_have_reversed_others_before_it_sent() -> None:
    world = App()
    world.open()
    world.at(60 * SECOND)
    world.result("no_answer")
    world.answers("refused", "25")
    assert world.transaction().state == "reversing", "60 s after the go, and at once after the request"
    world.go_to(120 * SECOND)
    world.answers("refused", "25")
    assert world.states() == ("no_original", "no_original")


def test_no_original_in_another_batch_is_not_believed() -> None:
    world = App()
    world.doubt()
    world.go_to(60 * SECOND)
    world.do(e.BatchChanged(batch="000002", what="changed"))
    world.says("refused", "25")
    assert world.transaction().state == "unresolved"


def test_a_later_class_refusal_goes_again_and_a_refusal_without_a_code_too() -> None:
    world = App()
    world.doubt()
    world.answers("refused", "91")
    world.answers("refused")
    assert len(world.asks()) == 3
    assert world.reversal().reason == "06"


def test_the_folk_procedure_is_adopted() -> None:
    world = App()
    world.doubt()
    world.answers("no_card")
    world.says("sent")
    assert world.states() == ("reversing", "sending")
    world.says("accepted", "00")
    assert (world.states(), world.advice().code) == (("reversed", "accepted"), "P21")
    assert len(world.asks()) == 1


def test_a_kernel_that_reverses_before_the_app_gives_its_result_is_adopted() -> None:
    world = App()
    world.open()
    world.says("accepted", "00")
    assert (world.states(), world.advice().code) == (("reversed", "accepted"), "P21")
    assert world.result("no_answer").conflict is None
    assert world.result("approved", response_code="00").conflict == "in-doubt"


def test_a_late_answer_is_evidence_unless_it_says_accepted() -> None:
    world = App()
    world.doubt()
    first = world.ask_of().request
    world.go_to(30 * SECOND)
    assert world.says("no_card", request=first).conflict == "request-closed"
    assert world.told("request.late")[0].data == {"request": first, "outcome": "no_card"}
    assert world.reversal().request == "a.2"
    assert world.says("accepted", "00", request=first).conflict is None
    assert world.states() == ("reversed", "accepted")
    assert world.says("busy", request="a.2").conflict == "request-closed"


@pytest.mark.parametrize("name", ["a.0", "a.2", "a.x", "b.1", "a.", "a.01", "a.1111"])
def test_a_request_that_was_never_made_cannot_be_answered(name: str) -> None:
    world = App()
    world.doubt()
    with pytest.raises(Rejected) as refused:
        world.says("accepted", "00", request=name)
    assert (refused.value.status, refused.value.code) == (404, "no-such-request")


@pytest.mark.parametrize("outcome", ["approved", "declined"])
def test_a_kernel_that_reverses_what_was_decided_is_told(outcome: str) -> None:
    world = App()
    world.open()
    world.result(outcome, response_code="00" if outcome == "approved" else "51")
    assert world.says("accepted", "00").conflict == "nothing-to-reverse"
    assert world.transaction().state == outcome
    assert world.incident("contradicting_result").owner == "operator"


def test_an_acceptance_after_a_person_closed_the_case_is_told() -> None:
    world = App()
    world.doubt()
    world.answers("refused", "94")
    case = world.incident("in_doubt").id
    world.do(e.IncidentResolved(incident=case, transaction="a", resolution="refunded", by="Li"))
    world.says("accepted", "00")
    assert world.states() == ("resolved", "fenced")
    assert "contradicting_result" in world.incidents()


def test_in_mode_direct_the_app_has_nothing_to_report() -> None:
    world = World()
    world.doubt()
    with pytest.raises(Rejected) as refused:
        world.do(a.AppReported(transaction="a", outcome="accepted", response_code="00"))
    assert refused.value.code == "not-in-this-mode"


# ── restarts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_open_request_survives_a_restart_under_the_same_name_and_limit() -> None:
    world = App()
    world.doubt()
    world.at(10 * SECOND)
    world.boot()
    assert [(ask.request, ask.within_ms) for ask in world.asks()] == [("a.1", 30_000), ("a.1", 20_000)]
    assert world.reversal().sends == 1
    world.says("accepted", "00", request="a.1")
    assert world.states() == ("reversed", "accepted")


def test_after_a_new_boot_it_gets_its_time_anew() -> None:
    world = App()
    world.doubt()
    world.at(10 * SECOND)
    world.boot(new=True)
    assert (world.ask_of().request, world.ask_of().within_ms) == ("a.1", 30_000)
    world.go_to(29 * SECOND)
    assert len(world.asks()) == 2
    world.go_to(31 * SECOND)
    assert world.ask_of().request == "a.2"


def test_a_request_that_is_open_when_the_mode_changes_ends_with_its_time() -> None:
    world = App()
    world.doubt()
    with_policy(world, mode="direct", asks_app=False)
    world.go_to(30 * SECOND)
    assert world.reversal().request is None
    world.connect()
    assert world.sends()


# ── before the doubt ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["direct", "payapp"])
def test_before_the_doubt_the_app_is_asked_once_and_the_limit_stays(mode: str) -> None:
    world = App(mode=mode)
    world.open()
    world.go_to(60 * SECOND)
    assert [(ask.what, ask.within_ms) for ask in world.asks()] == [("transaction", 5_000)]
    assert world.transaction().state == "sent"
    world.go_to(65 * SECOND - 1)
    assert world.transaction().state == "sent"
    world.go_to(65 * SECOND)
    assert world.transaction().doubt == "timeout"


def test_an_app_that_cannot_be_asked_is_not() -> None:
    world = App(asks_app=False)
    world.open()
    world.go_to(65 * SECOND - 1)
    assert not world.asks()
    world.go_to(65 * SECOND)
    assert world.transaction().doubt == "timeout"


def test_an_app_that_pulls_is_asked_too() -> None:
    world = World()
    world.do(a.PullChanged(attached=True))
    world.open()
    world.go_to(60 * SECOND)
    assert [effect.what for effect in world.effects if isinstance(effect, AskApp)] == ["transaction"]


@pytest.mark.parametrize(
    ("knows", "code", "state"),
    [
        ("approved", "00", "approved"), ("declined", "51", "declined"), ("no_answer", None, "reversing"),
        ("not_sent", None, "reversing"), ("bad_mac", None, "reversing"), ("waiting", None, "sent"), ("unknown", None, "sent"),
    ],
)
def test_what_the_app_knows_counts_as_its_result(knows: str, code: str | None, state: str) -> None:
    world = App()
    world.open()
    world.go_to(60 * SECOND)
    world.knows(knows, response_code=code)
    assert world.transaction().state == state
    assert ("record_lost" in world.incidents()) == (knows == "unknown")


def test_what_it_knows_after_the_doubt_is_evidence() -> None:
    world = App()
    world.open()
    world.go_to(65 * SECOND)
    assert world.knows("approved", request="a.1", response_code="00").conflict == "in-doubt"
    assert world.transaction().state == "reversing"
    assert world.transaction().evidence[0].kind == "late_response"
    assert world.knows("waiting", request="a.1").conflict == "request-closed"


def test_knowledge_that_contradicts_itself_is_none() -> None:
    world = App()
    world.open()
    world.go_to(60 * SECOND)
    world.knows("approved", response_code="0A")
    assert world.transaction().state == "sent"
    assert "payapp" in world.incidents()


def test_a_new_boot_doubts_at_once_and_asks_nothing_before() -> None:
    world = App()
    world.open()
    world.go_to(60 * SECOND)
    world.boot(new=True)
    assert world.transaction().doubt == "restart"


def test_a_question_that_came_to_nothing_leaves_the_deadline_alone() -> None:
    world = App()
    world.open()
    world.go_to(60 * SECOND)
    world.do(a.RequestFailed(transaction="a", request="a.1"))
    world.boot()
    world.go_to(65 * SECOND)
    assert world.transaction().doubt == "timeout"


def test_a_suspend_over_the_deadline_leaves_no_time_to_ask() -> None:
    world = App()
    world.open()
    world.at(70 * SECOND)
    world.do(e.DeadlinePassed())
    assert world.transaction().doubt == "timeout"
    assert [ask.what for ask in world.asks()] == ["flush_reversals"]


# ── defects of apps ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["knows", "says"])
def test_a_lost_record_is_told_and_a_person_compares(how: str) -> None:
    world = App()
    world.doubt()
    if how == "knows":
        world.knows("no_answer", record="gone")
    else:
        world.answers("refused", record="gone")
    assert world.states() == ("unresolved", "refused")
    assert {"record_lost", "in_doubt"} <= world.incidents()
    assert world.incident("in_doubt").next_action == "compare_settlement"


def test_a_record_found_reversed_is_believed() -> None:
    world = App()
    world.doubt()
    world.knows("no_answer", record="gone", reversal="accepted", reversal_code="00")
    assert world.states() == ("reversed", "accepted")
    assert not world.incidents()


def test_a_sale_ahead_of_a_waiting_reversal_is_told() -> None:
    world = App()
    world.doubt()
    world.answers("busy")
    world.at(SECOND)
    world.open("b", stan="000002")
    world.at(2 * SECOND)
    world.result("approved", "b", response_code="00")
    assert world.incident("not_reversed_first").transaction == "a"


def test_a_sale_that_carried_the_reversal_ahead_of_it_is_right() -> None:
    world = App()
    world.doubt()
    world.answers("busy")
    world.at(SECOND)
    world.open("b", stan="000002")
    world.at(2 * SECOND)
    world.says("refused", "91")
    world.result("approved", "b", response_code="00")
    assert "not_reversed_first" not in world.incidents()


def test_a_doubt_that_came_while_the_sale_ran_is_no_defect() -> None:
    world = App()
    world.open("a")
    world.at(SECOND)
    world.open("b", stan="000002")
    world.at(2 * SECOND)
    world.result("no_answer", "a")
    world.result("approved", "b", response_code="00")
    assert "not_reversed_first" not in world.incidents()


@pytest.mark.parametrize("what", ["settled", "changed", "seen in a sale"])
def test_a_settlement_over_a_waiting_reversal_is_told(what: str) -> None:
    world = App()
    world.doubt()
    world.answers("busy")
    if what == "seen in a sale":
        world.open("b", stan="000002", batch="000002")
    else:
        world.do(e.BatchChanged(batch="000001" if what == "settled" else "000002", what=what))  # type: ignore[arg-type]
    assert {"settled_unreversed", "in_doubt"} <= world.incidents()
    assert world.states() == ("unresolved", "expired")


def test_a_settlement_is_never_held_up_by_the_agent() -> None:
    world = App()
    world.doubt()
    assert world.do(e.BatchChanged(batch="000001", what="settling")).proceed == "go"


def test_a_kernel_that_reverses_without_end_is_told() -> None:
    world = App()
    world.doubt()
    world.answers("accepted", "00")
    for _ in range(2):
        world.says("refused", "25")
    assert "reversal_loops" not in world.incidents()
    world.says("refused", "25")
    assert "reversal_loops" in world.incidents()


def test_an_app_that_sells_nothing_while_a_reversal_waits_is_told() -> None:
    world = App()
    world.doubt()
    world.answers("busy")
    for number in range(3):
        assert "sales_blocked" not in world.incidents()
        world.open(f"n{number}", stan=f"00010{number}", ask=False)
        world.result("not_sent", f"n{number}")
    found = world.incident("sales_blocked", None)
    assert (found.owner, found.next_action) == ("technician", "check_payment_app")


def test_the_same_result_again_counts_once() -> None:
    world = App()
    world.doubt()
    world.answers("busy")
    world.open("b", stan="000002", ask=False)
    for _ in range(4):
        world.result("not_sent", "b")
    assert "sales_blocked" not in world.incidents()


def test_an_early_no_original_that_is_said_twice_is_believed_no_sooner() -> None:
    world = App()
    world.doubt()
    world.answers("refused", "25")
    world.says("refused", "25")
    assert world.states() == ("reversing", "pending")
    world.go_to(60 * SECOND)
    world.answers("refused", "25")
    assert world.states() == ("no_original", "no_original")


def test_an_old_no_original_of_a_record_that_is_gone_is_not_believed() -> None:
    world = App()
    world.doubt()
    world.at(90 * SECOND)
    world.knows("no_answer", record="gone", reversal="refused", reversal_code="25")
    assert world.states() == ("unresolved", "refused")
    assert "record_lost" not in world.incidents()


def test_a_decline_that_comes_after_the_doubt_is_no_lost_record() -> None:
    world = App()
    world.doubt()
    world.knows("declined", response_code="51", record="gone")
    assert world.states() == ("unresolved", "refused")
    assert "record_lost" not in world.incidents()


def test_a_stan_that_comes_twice_is_told_and_refused() -> None:
    world = App()
    world.doubt()
    decision = world.open("b", amount_fen=200)
    assert (decision.conflict, decision.transaction) == ("duplicate-stan", "a")
    assert "stan_reused" in world.incidents()
    assert "b" not in world.state.transactions


def test_the_same_call_again_is_refused_but_no_defect() -> None:
    world = App()
    world.open()
    with pytest.raises(Rejected) as refused:
        world.open("b")
    assert refused.value.code == "duplicate-stan"
    assert not world.incidents()


# ── one fen ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_sale_of_one_fen_while_a_reversal_waits_only_sets_it_off() -> None:
    world = App()
    world.doubt()
    world.answers("no_card")
    world.at(SECOND)
    world.open("b", stan="000002", amount_fen=1, replaces="a")
    world.says("accepted", "00", "a")
    world.result("approved", "b", response_code="00")
    assert world.transaction("b").replaces is None
    told = world.advice("b")
    assert (told.code, told.hold_goods, told.may_pay_again) == ("P22", True, False)
    assert world.advice("a").code == "P21"
    with pytest.raises(Rejected) as refused:
        world.do(e.DispositionGiven(transaction="a", disposition=Disposition(replaced_by="b")))
    assert refused.value.code == "trigger-sale"


@pytest.mark.parametrize("outcome", ["approved", "declined", "not_sent", "reversed"])
def test_however_a_trigger_ends_nobody_pays_again_for_it_while_the_payment_is_in_doubt(outcome: str) -> None:
    world = App()
    world.doubt()
    world.open("b", stan="000002", amount_fen=1, ask=outcome != "not_sent")
    if outcome == "reversed":
        world.result("no_answer", "b")
        world.says("accepted", "00", "b")
    else:
        world.result(outcome, "b", response_code={"approved": "00", "declined": "51"}.get(outcome))
    assert (world.transaction("b").state, world.transaction().state) == (outcome, "reversing")
    advice = world.advice("b")
    assert (advice.code, advice.hold_goods, advice.may_pay_again, advice.reason) == ("P22", True, False, "not_a_payment")
    assert "原交易冲正成功后" in advice.zh_long
    assert "once that is done" in advice.en_long


@pytest.mark.parametrize("amount_fen", [1, 100])
def test_a_sale_of_one_fen_is_one_where_nothing_waits_or_where_one_fen_is_in_doubt(amount_fen: int) -> None:
    world = App()
    world.doubt(amount_fen=1)
    world.open("b", stan="000002", amount_fen=amount_fen)
    assert not world.transaction("b").trigger
    world.says("accepted", "00", "a")
    world.result("approved", "b", response_code="00")
    world.open("c", stan="000003", amount_fen=1)
    assert not world.transaction("c").trigger
