"""One export: what all formats have in common."""

from collections.abc import Iterator

from agent.cli.base import Call
from agent.cli.progress import Progress
from agent.journal.chain import Entry
from agent.journal.reader import Reader


class Job:
    """One export: where it reads, what of it, in which language, and whom it tells how far it is."""

    def __init__(self, call: Call, reader: Reader, last: int | None, progress: Progress) -> None:
        self.call = call
        self.reader = reader
        self.state = reader.singles()
        self.offset = self.state.agent.policy.utc_offset_minutes
        self.head = reader.head()
        self.after = 0 if last is None else max(0, self.head.seq - last)
        self._progress = progress

    def entries(self) -> Iterator[tuple[Entry, bytes, str]]:
        """(entry, its stored bytes, its hash as hex), in order, telling the progress."""
        total = self.head.seq - self.after
        for done, (entry, body, hash_) in enumerate(self.reader.stored(self.after, self.head.seq), start=1):
            self._progress(done, total)
            yield entry, body, hash_.hex()
