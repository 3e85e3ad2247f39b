"""Which job a proof belongs to, also when it comes late, twice, or never."""

from hypothesis import given
from hypothesis import strategies as st

from device.printer import Proof
from device.printer.proof import WAITING_MAX, Proofs, process_id, process_id_request


@given(st.integers(0, 2**63))
def test_a_process_id_is_four_printable_bytes(job_id: int) -> None:
    text = process_id(job_id)
    assert len(text) == 4
    assert all(32 < byte < 127 for byte in text)


def test_process_ids_of_neighbours_differ() -> None:
    assert len({process_id(job_id) for job_id in range(10_000)}) == 10_000


def test_the_request_is_the_one_of_the_reference() -> None:
    assert process_id_request(0) == bytes.fromhex("1d 28 48 06 00 30 30 21 21 21 21")


def test_an_id_confirms_its_own_job_once() -> None:
    proofs = Proofs()
    proofs.sent_id(7)
    proofs.sent_id(8)
    assert proofs.heard_id(process_id(8)) == [Proof(8, "CONFIRMED")]
    assert proofs.heard_id(process_id(8)) == []
    assert proofs.heard_id(b"zzzz") == []
    assert proofs.owed(7)


def test_old_ids_are_forgotten_at_the_limit() -> None:
    proofs = Proofs()
    for job_id in range(WAITING_MAX + 1):
        proofs.sent_id(job_id)
    assert not proofs.owed(0)
    assert proofs.owed(1)


def test_a_fence_proves_its_job() -> None:
    proofs = Proofs()
    proofs.sent_fence(7)
    assert proofs.heard_fence() == [Proof(7, "FENCED")]
    assert proofs.heard_fence() == []


def test_one_answer_to_two_fences_proves_neither() -> None:
    """The printer may have been switched off after the first job: then the answer is the second one's."""
    proofs = Proofs()
    proofs.sent_fence(7)
    proofs.sent_fence(8)
    assert proofs.heard_fence() == []
    assert proofs.heard_fence() == [Proof(7, "FENCED"), Proof(8, "FENCED")]


def test_a_lone_fence_proves_no_job() -> None:
    proofs = Proofs()
    proofs.sent_fence(None)
    assert proofs.heard_fence() == []


def test_a_burst_outnumbers_every_answer_that_may_still_come() -> None:
    proofs = Proofs()
    proofs.sent_fence(7)
    proofs.sent_fence(None, proofs.burst)
    assert proofs.fences_open == 4
    assert [proofs.heard_fence() for _ in range(3)] == [[], [], []]
    assert proofs.heard_fence() == [Proof(7, "FENCED")]


def test_a_cleared_printer_owes_nothing() -> None:
    proofs = Proofs()
    proofs.sent_id(7)
    proofs.sent_fence(8)
    proofs.forget()
    assert not proofs.owed(7)
    assert not proofs.owed(8)
