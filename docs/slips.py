"""Every slip as it leaves the printer: the core makes the document, the encoder the bytes, a decoder written apart reads them.

`docs/receipts/` holds for each slip at 32 and 48 columns the bytes (.hex), the paper as text (.txt) and as a picture (.png).
Bytes and text are compared exactly; pictures depend on the font of the machine, so of them only the size is.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from agent.core import event as e
from agent.core.change import PrintJob
from agent.core.model import Document, DocumentLine, Evidence, Now
from agent.core.policy import Policy
from agent.core.state import State
from agent.core.step import step
from agent.perform.printer import paper_of
from device.printer.encoder import encode
from device.printer.profile import load_profile
from device.simulator.paper import as_text
from device.simulator.paper_picture import MARGIN_DOTS, Painter
from device.simulator.printer import traits_of
from device.simulator.printer_model import PrinterModel
from device.simulator.printer_traits import Slip

PROFILES = {32: "generic-58mm", 48: "generic-80mm"}
MORNING_MS = 1_772_416_800_000  # 2026-03-02 10:00 in China
LINE_BYTES = 32  # of the hex files
TITLES = {
    "receipt": "签购单 · the genuine receipt, as a payment app handed it over",
    "reprint": "重打印凭证 · a copy that a person ordered",
    "notice": "冲正通知 · reversal notice",
    "fault_note": "故障单 · fault note",
    "guarantee": "情况说明 · guarantee note, the customer's copy",
    "guarantee-provider": "情况说明(服务商) · guarantee note in the provider's version, the merchant's copy",
}


class Terminal:
    """One terminal's core with a printer that prints everything; `documents` are those that went to it, marks and all."""

    def __init__(self) -> None:
        self._state = State()
        self._clock_ms = 0
        self.documents: list[Document] = []
        policy = Policy(terminal_id="12345678", merchant_name="测试便利店", hotline="400-000-0000")
        self.tell(e.Booted(version="0.1.0", policy=policy))

    def tell(self, event: e.Event) -> None:
        """One event, a second later; what it sends to the printer comes out at once."""
        self._clock_ms += 1000
        now = Now("boot", self._clock_ms, MORNING_MS + self._clock_ms, "ntp")
        change = step(self._state, event, now)
        self._state.settle()
        for effect in change.effects:
            if isinstance(effect, PrintJob):
                self.documents.append(effect.document)
                self.tell(
                    e.JobFinished(
                        job=effect.job, transaction=effect.transaction, level="CONFIRMED", accepted_bytes=1, total_bytes=1,
                        fault="none", paper="ok",
                    )
                )

    def sale(self) -> None:
        """A sale of 128.00 that was sent."""
        self.tell(
            e.Opened(
                transaction="sale", rail="card", kind="sale", amount_fen=12800, currency="156", stan="000123", batch="000007",
                terminal_id="12345678", merchant_id="898310148160001", ask=True, entry_mode="051", sequence="001",
                masked_pan="622202*********0128", last4="0128", card_hmac="00" * 8, vault="vault",
            )
        )

    def reversal_answered(self, code: str) -> None:
        """The sale's answer did not come; the host answers its reversal."""
        self.sale()
        self.tell(e.ResultReported(transaction="sale", outcome="no_answer"))
        self.tell(e.HostReachable())
        own = self._state.reversals["sale"].fields
        self.tell(e.HostReply(f3=own["3"], f4=own["4"], f11=own["11"], f41=own["41"], f42=own["42"], code=code, mac="good"))


def app_receipt(columns: int) -> Document:
    """What a payment app hands over for this paper, in the order that UnionPay receipts have."""
    rule = DocumentLine("-" * columns)
    return Document(
        (
            DocumentLine("签购单", align="center", size=2, bold=True),
            DocumentLine("POS SALES SLIP", align="center"),
            rule,
            DocumentLine("商户名称:测试便利店"),
            DocumentLine("商户编号:898310148160001"),
            DocumentLine("终端编号:12345678  操作员号:01"),
            rule,
            DocumentLine("卡号:622202*********0128 /I"),
            DocumentLine("交易类型:消费/SALE", bold=True),
            DocumentLine("批次号:000007  凭证号:000123"),
            DocumentLine("授权码:A1B2C3"),
            DocumentLine("参考号:261122000123"),
            DocumentLine("日期时间:2026/03/02 10:00:05"),
            DocumentLine("金额:RMB 128.00", size=2, bold=True),
            rule,
            DocumentLine("持卡人签名:"),
            DocumentLine(""),
            DocumentLine(""),
            DocumentLine("本人确认以上交易,同意将其计入本卡账户"),
            DocumentLine("商户存根 MERCHANT COPY", align="center"),
        ),
        qr="https://receipt.example/261122000123",
    )


def documents(columns: int) -> dict[str, Document]:
    """Every kind of slip, as the core sends it to the printer. Only what an app makes depends on the width already here."""
    approved, refused, reversed_, doubtful = Terminal(), Terminal(), Terminal(), Terminal()
    approved.sale()
    approved.tell(
        e.ResultReported(
            transaction="sale", outcome="approved", response_code="00", approved_fen=12800, rrn="261122000123",
            auth_code="A1B2C3", receipt=app_receipt(columns), job="original",
        )
    )
    approved.tell(e.ReprintAsked(transaction="sale", job="copy"))
    reversed_.reversal_answered("00")
    refused.reversal_answered("30")
    doubtful.reversal_answered("30")
    doubtful.tell(e.EvidenceGiven(transaction="sale", evidence=Evidence(kind="debit_sms", amount_fen=12800)))
    doubtful.tell(e.GuaranteeAsked(transaction="sale", jobs=("customer", "merchant")))
    receipt, reprint = approved.documents
    (notice,) = reversed_.documents
    (fault_note,) = refused.documents
    doubtful.tell(e.GuaranteeAsked(transaction="sale", jobs=("held", "given"), version="provider", contact="13800000000"))
    _, guarantee, _, provider, _ = doubtful.documents
    return {
        "receipt": receipt, "reprint": reprint, "notice": notice, "fault_note": fault_note, "guarantee": guarantee,
        "guarantee-provider": provider,
    }


class Golden(NamedTuple):
    """One slip on one paper."""

    name: str
    columns: int
    data: bytes
    slip: Slip

    @property
    def stem(self) -> str:
        """The name of its files."""
        return f"{self.name}-{self.columns}"


def goldens() -> list[Golden]:
    """All slips at both widths."""
    made = []
    for columns, profile_name in PROFILES.items():
        profile = load_profile(profile_name)
        for name, document in documents(columns).items():
            data = encode(paper_of(document), profile)
            made.append(Golden(name, columns, data, printed(data, PrinterModel(traits_of(profile, lines_per_s=1000)))))
    return made


def printed(data: bytes, model: PrinterModel) -> Slip:
    """The slip that comes out of a printer that gets these bytes."""
    now_ms = 0
    while data or (model.next_ms() is not None and not model.slips):
        data = data[model.receive(data, now_ms) :]
        now_ms = model.next_ms() or now_ms + 1
        model.advance(now_ms)
    (slip,) = model.slips
    return slip


def texts() -> dict[str, Callable[[], str]]:
    """The text files of docs/receipts, by their path under docs."""
    pages: dict[str, Callable[[], str]] = {}
    for golden in goldens():
        pages[f"receipts/{golden.stem}.hex"] = lambda golden=golden: hexadecimal(golden.data)
        pages[f"receipts/{golden.stem}.txt"] = lambda golden=golden: as_text(golden.slip.rows, golden.columns)
    pages["receipts/README.md"] = readme
    return pages


def hexadecimal(data: bytes) -> str:
    """The bytes as lines of hexadecimal digits."""
    return "".join(f"{data[start : start + LINE_BYTES].hex()}\n" for start in range(0, len(data), LINE_BYTES))


def readme() -> str:
    """The page that shows them."""
    lines = [
        "# Slips as they come out",
        "",
        "Made by `./dev docs`; do not edit it here. The core makes each document from its own rules, `device/printer/encoder.py`",
        "the bytes for `generic-58mm` (32 columns) and `generic-80mm` (48), and the simulated printer, whose decoder is written",
        "apart from the encoder, the paper. `tests/docs/test_slips.py` compares bytes and text exactly. The amount, the card and",
        "the merchant are made up.",
    ]
    for name, title in TITLES.items():
        lines += ["", f"## {title}", ""]
        shown = [
            f"{columns} columns: [bytes]({name}-{columns}.hex), [text]({name}-{columns}.txt)\n\n"
            f"![{title}, {columns} columns]({name}-{columns}.png)"
            for columns in PROFILES
        ]
        lines.append("\n\n".join(shown))
    return "\n".join(lines) + "\n"


def pictures(folder: Path) -> None:
    """Write every picture. Raises PictureError when this machine has no font with Chinese characters."""
    for golden in goldens():
        painter = Painter(load_profile(PROFILES[golden.columns]).dots)
        painter.paint(golden.slip.rows, cut=golden.slip.cut).save(folder / f"{golden.stem}.png", optimize=True)


def picture_size(golden: Golden) -> tuple[int, int]:
    """Width and height of its picture, in dots."""
    wide = load_profile(PROFILES[golden.columns]).dots
    return wide + 2 * MARGIN_DOTS, sum(row.dots for row in golden.slip.rows) + 2 * MARGIN_DOTS
