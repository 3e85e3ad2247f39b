"""A terminal's story on disk: real events stepped by the real core and committed by the real store, with a fixed clock.

Ids, times and therefore hashes are the same every time, so that whole outputs can be compared.
"""

from pathlib import Path
from typing import Any

import msgspec

from agent.core import event as e
from agent.core.change import Decision, Rejected
from agent.core.model import Document, DocumentLine
from agent.core.step import step
from agent.journal.store import Stepped, Store
from device.clock import Reading
from tests.agent.core.world import MINUTE, SECOND, World

PAN = "6222021234567890128"
PAID, LOST, DECLINED = (f"3f0c9a7e-5b1d-4c55-9a51-0d2f7c1be00{number}" for number in (1, 2, 3))
RECEIPT = Document((DocumentLine("签购单", align="center"), DocumentLine("卡号 622202*********0128")))

CONFIG = """\
[terminal]
merchant_name = "测试便利店"
[hook]
socket = "agent.sock"
[acquirer]
host = "127.0.0.1"
[printer]
driver = "escpos"
port = "/dev/null"
"""


class Story(World):
    """A World whose every step is also committed to the journal `folder/reversald.db`."""

    def __init__(self, folder: Path, **policy: Any) -> None:
        self.folder = folder
        self.path = folder / "reversald.db"
        self.config = folder / "reversald.toml"
        self.config.write_text(CONFIG)
        self.store = Store.open(self.path)
        super().__init__(**{"merchant_name": "测试便利店", "terminal_id": "12345678"} | policy)

    def do(self, event: e.Event) -> Decision:
        """Step, commit, then let it count."""
        loaded = self.store.missing(self.state, event)
        self.state.absorb(loaded)
        mark = self.state.mark()
        try:
            change = step(self.state, event, self.now)
        except (Rejected, AssertionError):
            self.state.rollback(mark)
            self.state.forget(loaded)
            raise
        self.store.commit([Stepped(event, self.now, change, loaded)])
        self.store.tidy()
        self.state.settle()
        self._note(change)
        if self.host_up and self.state.line.wanted == "now" and not self.state.line.connected:
            self.do(e.HostReachable())
        return change.decision

    def close(self) -> None:
        """The daemon dies as by a kill: the WAL stays as it is."""
        self.store.close()

    def settle_wal(self) -> None:
        """The daemon dies and its WAL is gone: every frame was checkpointed before."""
        self.store.database.checkpoint("TRUNCATE")
        self.close()
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def spoil(self, table: str, was: bytes, now: bytes, key: str = LOST) -> None:
        """Bits flip in the body of one row, beside the daemon that holds it."""
        database = self.store.database
        ((body,),) = database.execute(f"SELECT body FROM {table} WHERE id = ?", (key,))
        assert was in body
        database.execute(f"UPDATE {table} SET body = ? WHERE id = ?", (body.replace(was, now), key))

    def hide(self, table: str, key: str = LOST) -> None:
        """The bit flips that calls a row open: it is not found among the open ones any more."""
        ((was,),) = self.store.database.execute(f"SELECT open FROM {table} WHERE id = ?", (key,))
        assert was == 1
        self.store.database.execute(f"UPDATE {table} SET open = 0 WHERE id = ?", (key,))

    def clock(self) -> Reading:
        """The machine's clock, as the command line reads it."""
        return Reading(*msgspec.structs.astuple(self.now))

    def pass_(self, ms: int) -> None:
        """Time passes, with its deadlines."""
        self.go_to(self.now_ms + ms)

    def print_next(self, level: str = "SENT_UNCONFIRMED") -> None:
        """The printer takes the job that was handed to it."""
        self.finish_job(self.printed()[-1].job, level)


def everyday(folder: Path, **policy: Any) -> Story:
    """The story of the documents: a paid sale, a sale whose answer is lost with the line, its reversal; paper runs out."""
    story = Story(folder, **policy)
    story.pass_(3 * SECOND)
    story.do(e.PrinterSeen(fault="none", paper="ok"))
    story.open(PAID, stan="000122", amount_fen=2350)
    story.pass_(2 * SECOND)
    story.result("approved", PAID, response_code="00", rrn="602010123456", receipt=RECEIPT, job="receipt-1")
    story.print_next()
    story.pass_(MINUTE)
    story.open(LOST, stan="000123", amount_fen=100)
    story.pass_(5 * SECOND)
    story.do(e.HostUnreachable())
    story.result("no_answer", LOST)
    return story


def recovered(folder: Path, **policy: Any) -> Story:
    """`everyday`, then a power cut, the line back, the reversal accepted, and the paper out before its notice prints."""
    story = everyday(folder, **policy)
    story.pass_(4 * MINUTE)
    story.boot(new=True)
    story.pass_(20 * SECOND)
    story.do(e.PrinterSeen(fault="paper_out", paper="out"))
    story.connect(after_failure=True)
    story.pass_(SECOND)
    story.reply("00", LOST)
    story.pass_(SECOND)
    story.do(e.EchoReply(code="00"))
    return story
