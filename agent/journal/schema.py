"""Versions of the database and how to come from one to the next. sqlite-utils is loaded only when one is pending.

Rows are the state of record: one table a kind, the columns people search by, and the whole row as JSON in `body`.
"""

from typing import TYPE_CHECKING
from uuid import uuid4

from agent.journal.database import Database, StorageFailed
from agent.journal.secrets import pack

if TYPE_CHECKING:
    from sqlite_utils import Database as Utils

VERSION = 3
SUMMED = 2  # from this version on rows have check sums
# A job by its transaction, which has an index: one on the id would cost a page in the commit of every receipt.
JOB_BY_ID = '"transaction" IS ? AND id = ?'


def migrate(database: Database) -> None:
    """Bring the database to VERSION, each step in its own transaction. A newer file than the program is refused."""
    version = next(iter(database.execute("PRAGMA user_version")))[0]
    if version > VERSION:
        raise StorageFailed(f"the database is of version {version}, this program knows {VERSION}: install the newer program")
    if version == VERSION:
        return
    from sqlite_utils import Database as Utils

    utils = Utils(database.connection)
    for number, step in enumerate(_STEPS[version:], start=version + 1):
        with database.transaction():
            step(utils)
            database.execute(f"PRAGMA user_version={number}")


def _first(utils: "Utils") -> None:
    """Rows, journal, vault, idempotency, outbox."""
    # `number` is the rowid: rows are appended in the order of their age, so a commit touches few pages.
    row = {"number": int, "id": str, "open": int, "state": str, "transaction": str}
    utils.table("transactions").create(
        {"number": int, "id": str, "open": int, "state": str, "terminal_id": str, "batch": str, "stan": str,
         "amount_fen": int, "body": bytes},
        pk="number",
    )
    utils.table("reversals").create({**row, "body": bytes}, pk="number")
    utils.table("incidents").create({**row, "code": str, "body": bytes}, pk="number")
    utils.table("jobs").create({**row, "body": bytes}, pk="number")
    utils.table("singles").create({"id": str, "body": bytes}, pk="id")
    utils.table("journal").create(
        {"seq": int, "type": str, "transaction": str, "incident": str, "body": bytes, "hash": bytes}, pk="seq"
    )
    utils.table("vault").create({"ref": str, "field": str, "sealed": bytes}, pk=("ref", "field"))
    utils.table("idempotency").create(
        {"uid": int, "key": str, "digest": bytes, "at_ms": int, "boot": int, "decision": bytes}, pk=("uid", "key")
    )
    utils.table("poison").create({"seq": int, "reason": str}, pk="seq")
    utils.table("meta").create({"key": str, "value": str}, pk="key")
    utils.table("spill").create({"filler": bytes})
    for sql in (
        "CREATE UNIQUE INDEX transactions_id ON transactions(id)",
        "CREATE UNIQUE INDEX incidents_id ON incidents(id)",
        "CREATE INDEX transactions_key ON transactions(stan, batch, terminal_id)",
        "CREATE INDEX reversals_open ON reversals(number) WHERE open",
        "CREATE INDEX transactions_open ON transactions(number) WHERE open",
        "CREATE UNIQUE INDEX reversals_id ON reversals(id)",
        "CREATE INDEX incidents_open ON incidents(number) WHERE open",
        "CREATE INDEX jobs_open ON jobs(number) WHERE open",
        'CREATE INDEX incidents_transaction ON incidents("transaction")',
        'CREATE INDEX jobs_transaction ON jobs("transaction")',
    ):
        utils.execute(sql)
    utils.execute("INSERT INTO meta VALUES ('epoch', ?), ('cursor', '0'), ('scrub_owed', '0')", [str(uuid4())])


def _second(utils: "Utils") -> None:
    """Check sums of rows, which get them when they change; the roll of what is open; a place for rows no sum bears out."""
    for table in ("transactions", "reversals", "incidents", "jobs", "singles"):
        utils.table(table).add_column("crc", int)
    utils.table("journal").add_column("roll", int)
    utils.table("damaged").create({"number": int, "table": str, "row": int, "body": bytes}, pk="number")


def _third(utils: "Utils") -> None:
    """The vault: one row for all that one transaction sealed, without an index beside it. A sale touches two pages less."""
    utils.execute("ALTER TABLE vault RENAME TO vault_by_field")
    utils.execute("CREATE TABLE vault (ref TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID")
    sealed: dict[str, dict[str, bytes]] = {}
    for ref, field, blob in utils.execute("SELECT ref, field, sealed FROM vault_by_field ORDER BY ref, field"):
        sealed.setdefault(ref, {})[field] = blob
    for ref, fields in sealed.items():
        utils.execute("INSERT INTO vault VALUES (?, ?)", [ref, pack(fields)])
    utils.execute("DROP TABLE vault_by_field")


_STEPS = (_first, _second, _third)
assert len(_STEPS) == VERSION, "every version has its step"
