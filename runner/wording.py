"""Changes in plain words: what differs, and when a caller notices."""

from __future__ import annotations

from collections.abc import Sequence

from runner.catalog import When
from runner.effective import Change, in_fallback

_MOMENTS: dict[str, tuple[str, str]] = {
    "now": ("at once", "running calls at once"),
    "next sentence": ("from the next sentence", "running calls from their next sentence"),
    "next turn": ("from the next turn", "running calls from their next turn"),
    "next stage": ("when the call next enters the stage", "running calls when they next enter the stage"),
    "next call": ("from the next call", "from the next call"),
    "restart": ("after runner is started again", "after runner is started again"),
}
"""When a change is noticed: as it is said of one call, and of all."""

_SHORT = {
    "tts.voice": "voice",
    "stt.keyterms": "keyterms",
    "audio.in_sample_rate": "sample rate",
    "audio.out_sample_rate": "sample rate",
    "next": "the ways out",
}


def moment(path: str, when: When) -> str:
    """When a running call notices a change at `path`: `from the next turn`."""
    return _moments(path, when)[0]


def for_calls(path: str, when: When) -> str:
    """When the running calls notice a change at `path`, if they do: `running calls from their next turn`."""
    return _moments(path, when)[1]


def _moments(path: str, when: When) -> tuple[str, str]:
    """What is spoken with changes between two sentences, that of a stage too."""
    parts = path.split(".")
    part = parts[2] if parts[0] == "stages" and len(parts) > 2 else parts[0]
    return _MOMENTS["next sentence" if part == "tts" and when == "next turn" else when]


def short_name(path: str) -> str:
    """What people call the setting at `path`: `voice`, `sample rate`, otherwise its place in the agent file."""
    if at := in_fallback(path):
        part, number, name = at
        return f"{name} of {part}.fallback {number + 1}"
    return _SHORT.get(path) or ".".join(in_the_file(path))


def from_the_next_call(change: Change) -> list[str]:
    """What a save means while no call takes it, as one phrase: `prompt and voice from the next call`. Empty for nothing."""
    names = dict.fromkeys(short_name(field.path) for field in change.fields)
    return [f"{joined(list(names))} from the next call"] if names else []


def counted(number: int, what: str = "call") -> str:
    """`1 call`, `2 calls`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def joined(items: Sequence[str], last: str = "and") -> str:
    """`A`, `A and B`, `A, B and C`."""
    return f" {last} ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def in_the_file(path: str) -> tuple[str, ...]:
    """Where the agent file has what the definition calls `path`: `turns.smart_turn_stop_secs` is in turns, smart_turn."""
    part, _, name = path.partition(".")
    for group in ("smart_turn", "barge_in"):
        if part == "turns" and name.startswith(f"{group}_"):
            return (part, group, name.removeprefix(f"{group}_"))
    return tuple(path.split("."))
