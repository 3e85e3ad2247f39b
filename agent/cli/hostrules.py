"""An acquirer's profile as the rules of a simulated host: what the agent takes for an answer, the host gives."""

from agent.profile import AcquirerProfile
from device.simulator.hostrules import UNIONPAY_HOST, WATCHED, Codes, HostKind, HostRules

_NONE = ("25",)  # to an unknown reversal, where the profile has no code for it
_UNDONE, _AMOUNT, _REFUSED = ("22", "94"), ("64", "13"), ("58", "12", "14")  # the first one that has its class is answered


def host_rules(profile: AcquirerProfile, no_original: str | None = None) -> HostRules:
    """The host of this acquirer. `no_original` is what an unknown reversal is answered; else the profile's last such code."""
    answers, listed = profile.answers, {kind.name for kind in profile.kinds}
    kinds = [HostKind(kind.name, kind.mti, kind.f3, kind.type, kind.f61, kind.in_doubt) for kind in profile.kinds]
    kinds += [kind for kind in WATCHED if kind.name not in listed]
    usual, messages = Codes(), profile.messages
    return HostRules(
        kinds=tuple(kinds), reversal=messages.reversal,
        reversal_fields=UNIONPAY_HOST.reversal_fields & set(profile.reversal.fields), reversal_amount=profile.reversal.amount,
        echo=messages.echo, sign_in=messages.sign_in, settlement=messages.settlement, f60=profile.reversal.f60,
        tpdu=bool(profile.line.tpdu), approvals=frozenset(answers.approval) | frozenset(answers.accepted),
        codes=Codes(
            key=_of(answers.key, usual.key), no_original=no_original or (*_NONE, *answers.no_original)[-1],
            undone=_one_of(_UNDONE, answers.done_elsewhere), amount=_one_of(_AMOUNT, answers.permanent),
            refused=_one_of(_REFUSED, answers.permanent), partial=_of(answers.partial, usual.partial),
        ),
    )


def _of(codes: tuple[str, ...], usual: str) -> str:
    return usual if usual in codes or not codes else codes[0]


def _one_of(usual: tuple[str, ...], codes: tuple[str, ...]) -> str:
    return next((code for code in (*usual, *codes) if code in codes), usual[0])
