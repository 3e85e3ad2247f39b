"""`reversald status`: the terminal at a glance, from its journal, also with the daemon dead."""

from typing import Any

import click

from agent.cli.base import Call, common, emit, facts
from agent.cli.localapi import probe
from agent.core import batches
from agent.core.model import Agent
from agent.core.receipt import paper_mm
from agent.core.state import State
from agent.journal.reader import Reader, Summary
from agent.words import amount, word

_HASH_SHOWN = 12  # digits of a hash that a person compares


@click.command(
    epilog="""\b
Examples:
  reversald status
  reversald status --config /etc/reversald/reversald.toml --lang en
  reversald status --json
"""
)
@common
def status(call: Call) -> None:
    """The terminal at a glance: pending reversals, money in doubt, incidents, printer, line, batch, journal."""
    with call.journal(lenient=True) as reader:
        state, summary = reader.singles(), reader.summary()
        reader.survey()  # what a flipped bit calls closed is counted nowhere
        daemon = probe(call.config.hook.socket)
        oldest_ms = None if summary.oldest is None else call.age(summary.oldest, state.agent)
        if call.as_json:
            emit(_plain(call, reader, state, summary, daemon, oldest_ms))
        else:
            facts(_lines(call, state, summary, daemon, oldest_ms))
        call.own_up(reader)


def _line(state: State) -> str:
    return {None: "unknown", True: "up", False: "down"}[state.line.up]


def _lines(call: Call, state: State, summary: Summary, daemon: str, oldest_ms: int | None) -> list[tuple[str, str]]:
    agent, say = state.agent, call.say
    running = say("version", state=say(daemon), version=agent.version or "-", boots=agent.boots)
    pending = (
        say("pending_some", count=summary.pending_reversals, age=call.span(oldest_ms))
        if summary.pending_reversals
        else say("pending_none")
    )
    money = amount(summary.money_in_doubt_fen, call.lang)
    head = say("journal_head", seq=summary.head.seq, hash=summary.head.hash[:_HASH_SHOWN], told=summary.acknowledged_seq)
    return [
        (say("terminal"), f"{_terminal(call, state)} {call.config.terminal.merchant_name}"),
        (say("daemon"), running),
        (say("pending"), pending),
        (say("doubt"), say("doubt_some", amount=money, count=summary.doubtful) if summary.doubtful else money),
        (say("incidents"), say("incidents_open", count=summary.open_incidents)),
        (say("printer"), printer_line(call, state, summary.jobs_waiting)),
        (say("display"), display_line(call, state)),
        (say("line"), say(f"line_{_line(state)}")),
        (say("batch"), _batches(call, agent)),
        (say("journal"), head),
        (say("commands"), say(f"commands_{_commands(call)}")),
    ]


def _batches(call: Call, agent: Agent) -> str:
    """With several terminal ids each says whose it is."""
    shown = agent.batches if len(agent.batches) > 1 else (batches.at_the_till(agent),)
    said = [f"{each.number or '-'} {word('batch', each.state, call.lang)}" for each in shown]
    return ", ".join(f"{each.terminal_id}: {text}" for each, text in zip(shown, said, strict=True)) if len(shown) > 1 else said[0]


def _commands(call: Call) -> str:
    mqtt = call.config.mqtt
    return "off" if mqtt is None or mqtt.command_keys_file is None else "on"


def printer_line(call: Call, state: State, jobs: int) -> str:
    """What the printer last said, and how many jobs wait."""
    if not state.agent.policy.has_printer:
        return call.say("printer_disabled")
    fault, paper = word("fault", state.printer.fault, call.lang), word("paper", state.printer.paper, call.lang)
    return call.say("printer_jobs", fault=fault, paper=paper, jobs=jobs)


def display_line(call: Call, state: State) -> str:
    """Whether the customer display can be written to; it never says more than that."""
    return word("fault", state.display.fault, call.lang) if state.agent.policy.has_display else call.say("printer_disabled")


def _terminal(call: Call, state: State) -> str:
    return state.agent.policy.terminal_id or call.config.terminal.terminal_id


def _plain(
    call: Call, reader: Reader, state: State, summary: Summary, daemon: str, oldest_ms: int | None
) -> dict[str, Any]:
    """The names of GET /v1/status, and what only a reader of the file can say."""
    agent, batch = state.agent, batches.at_the_till(state.agent)
    return {
        "daemon": daemon,
        "version": agent.version,
        "mode": agent.policy.mode,
        "terminal_id": _terminal(call, state),
        "boots": agent.boots,
        "batch": batch.number,
        "batch_state": batch.state,
        "batches": [
            {"terminal_id": each.terminal_id, "batch": each.number, "batch_state": each.state} for each in agent.batches
        ],
        "pending_reversals": summary.pending_reversals,
        "oldest_pending_ms": oldest_ms,
        "money_in_doubt_fen": summary.money_in_doubt_fen,
        "doubtful_transactions": summary.doubtful,
        "open_incidents": summary.open_incidents,
        "line": _line(state),
        "printer": state.printer.fault if agent.policy.has_printer else "disabled",
        "paper": state.printer.paper,
        "display": state.display.fault if agent.policy.has_display else "disabled",
        "jobs_waiting": summary.jobs_waiting,
        "printed": state.printer.printed,
        "printed_lines": state.printer.printed_lines,
        "printed_mm": paper_mm(state.printer.printed_lines),
        "print_failures": state.printer.failures,
        "journal_path": str(call.config.storage.path),
        "journal_read": reader.database.how,
        "journal_epoch": reader.epoch(),
        "journal_seq": summary.head.seq,
        "journal_hash": summary.head.hash,
        "acknowledged_seq": summary.acknowledged_seq,
        "scrub_owed": summary.scrub_owed,
        "commands": _commands(call),
        "damaged": reader.damaged,
    }
