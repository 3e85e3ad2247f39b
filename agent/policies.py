"""From the configuration to the rules' values that the core judges by: the file's own, else the acquirer's profile's."""

import msgspec

from agent.config import Config
from agent.core.policy import Policy

_BUILT = ("mode", "line_leased", "has_printer", "has_display", "asks_app")  # what the performers were built for


def policy_of(config: Config) -> Policy:
    """The rules' values as this configuration and its profile have them."""
    recovery, terminal = config.recovery, config.terminal
    hours, minutes = (config.settlement.cutoff if config.settlement else "23:00").split(":")
    return Policy(
        mode=recovery.mode, sent_reporting=config.hook.sent_reporting, answer_timeout_ms=recovery.answer_timeout_ms,
        reply_timeout_ms=recovery.reply_timeout_ms, sends_per_opportunity=recovery.sends_per_opportunity,
        spacing_ms=recovery.spacing_ms, backoff_min_ms=recovery.backoff_min_ms, backoff_max_ms=recovery.backoff_max_ms,
        no_original_after_ms=recovery.no_original_after_ms, cutoff_minute=int(hours) * 60 + int(minutes),
        terminal_id=terminal.terminal_id, merchant_name=terminal.merchant_name, hotline=terminal.hotline, lang=terminal.lang,
        wallets=config.wallets if config.wallet is not None else (),
        release_on_evidence=config.wallet is not None and config.wallet.release_on_evidence,
        grace_days=config.settlement.grace_days if config.settlement else Policy().grace_days,
        **msgspec.structs.asdict(config.calendar),
        line_leased=config.acquirer.line == "lease",
        has_printer=config.printer.driver != "disabled",
        has_display=config.display is not None and config.display.driver != "disabled",
        asks_app=config.payapp is not None, **config.profile.rules(),
    )


def reloaded(running: Config, written: Config) -> Policy:
    """The values after a reload. Who reverses, on which line and in which message format stays as it was built until the next
    start: half of another acquirer's rules on this one's line would be a 0400 that nobody understands.
    """
    same = _format(running) == _format(written)
    policy = policy_of(written if same else msgspec.structs.replace(written, profile=running.profile))
    built = policy_of(running)
    return msgspec.structs.replace(policy, **{name: getattr(built, name) for name in _BUILT})


def _format(config: Config) -> object:
    """How messages are written, whatever the profile is called."""
    return msgspec.structs.replace(config.profile.line, name=""), config.profile.messages
