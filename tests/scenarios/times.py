"""The times that a scenario cannot know when it is written, filled into its words."""

import functools
import re
from datetime import UTC, datetime, timedelta
from typing import Any

HOST_ZONE = timedelta(hours=8)  # the acquirer's, whatever the machine's own is
AFTER_CUTOFF = timedelta(hours=1)  # its business day ends at 23:00
_DAY = re.compile(r"\{day\+([0-9]+)\}")


def filled(words: Any) -> Any:
    """The words of the file with their times, the acquirer's own: {now}, {today}, {tomorrow} as texts show them, {day+2}.

    {mmdd} is the date as messages have it (F13), before any cut-off.
    """
    if isinstance(words, dict):
        return {name: filled(value) for name, value in words.items()}
    if isinstance(words, list):
        return [filled(value) for value in words]
    if not isinstance(words, str):
        return words
    now = datetime.now(UTC) + HOST_ZONE
    today = (now + AFTER_CUTOFF).date()
    times = {"{now}": now.isoformat(" ", "seconds")[:19], "{today}": f"{today:%m-%d}", "{mmdd}": f"{now:%m%d}"}
    times["{tomorrow}"] = f"{today + timedelta(days=1):%m-%d}"
    words = _DAY.sub(lambda found: (today + timedelta(days=int(found[1]))).isoformat(), words)
    return functools.reduce(lambda text, name: text.replace(name, times[name]), times, words)


def agrees(wanted: object, seen: object) -> bool:
    """True for the same; {seconds} in a text is any number, since time passes."""
    if isinstance(wanted, str) and "{seconds}" in wanted:
        return re.fullmatch(re.escape(wanted).replace(re.escape("{seconds}"), "[0-9]+"), str(seen)) is not None
    return wanted == seen
