"""Changes in plain words: what differs, and when a caller notices."""

from __future__ import annotations

from runner.catalog import When
from runner.effective import Change

WHEN: dict[When, str] = {
    "now": "running calls at once",
    "next turn": "running calls from their next turn",
    "next stage": "running calls when they next enter the stage",
    "next call": "from the next call",
    "restart": "after runner is started again",
}


def plan(change: Change, *, reaches_calls: bool = True) -> list[str]:
    """One line for each moment at which something of the change is noticed: `prompt, tts.voice: running calls ...`.

    reaches_calls: running calls take it; otherwise all of it waits for the next call.
    """
    by_when: dict[When, list[str]] = {}
    for field in change.fields:
        when = field.when if reaches_calls or field.when == "restart" else "next call"
        by_when.setdefault(when, []).append(field.path)
    return [f"{', '.join(dict.fromkeys(by_when[when]))}: {WHEN[when]}" for when in WHEN if when in by_when]


def in_the_file(path: str) -> tuple[str, ...]:
    """Where the agent file has what the definition calls `path`: `turns.smart_turn_stop_secs` is in turns, smart_turn."""
    part, _, name = path.partition(".")
    for group in ("smart_turn", "barge_in"):
        if part == "turns" and name.startswith(f"{group}_"):
            return (part, group, name.removeprefix(f"{group}_"))
    return tuple(path.split("."))
