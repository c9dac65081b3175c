"""How settings are called in sentences, and what a misspelled name was meant to be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from runner.document.check import Schema, is_taken, resolved, schema, settings_of


def title_of(node: Schema) -> str:
    """How a group is called in a sentence: an agent, a stage, stt."""
    return str(resolved(node).get("x-title", "this group"))


def shown(text: str) -> str:
    """A text for a sentence: short, and with what cannot be seen made visible."""
    text = "".join(c if c.isprintable() or c == " " else f"<U+{ord(c):04X}>" for c in " ".join(text.split(" ")))
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True, slots=True)
class Home:
    """A group that has a setting.

    path:  where the group stands, None below a name that people choose (a stage).
    older: what the setting was called in older guides, or is called by vendors.
    """

    title: str
    path: tuple[str, ...] | None
    name: str
    older: tuple[str, ...] = ()


@cache
def _homes() -> tuple[Home, ...]:
    found: dict[Home, None] = {}

    def walk(node: Schema, path: tuple[str, ...] | None) -> None:
        node = resolved(node)
        if "x-again" in node:  # a part's settings once more
            return
        title = str(node.get("x-title", ""))
        for name, part in settings_of(node, {}).items():
            if title and is_taken(part):
                found[Home(title, path, name, tuple(resolved(part).get("x-was", [])))] = None
            walk(part, None if path is None else (*path, name))
        for more in ("additionalProperties", "items"):
            if isinstance(node.get(more), dict):
                walk(node[more], None)

    walk(schema(), ())
    return tuple(found)


@cache
def everywhere() -> dict[str, tuple[str, ...]]:
    """Every setting with the groups that have it."""
    found: dict[str, dict[str, None]] = {}
    for home in _homes():
        found.setdefault(home.name, {})[home.title] = None
    return {name: tuple(titles) for name, titles in found.items()}


def places_of(name: str) -> tuple[str, ...]:
    """The groups that have a setting of exactly this name."""
    return everywhere().get(name, ())


@cache
def kept_for_later() -> dict[str, Schema]:
    """The names that nothing takes yet, and no other group takes today, with their part of the schema."""
    found: dict[str, Schema] = {}

    def walk(node: Schema) -> None:
        node = resolved(node)
        for name, part in settings_of(node, {}).items():
            if "x-not-yet" in resolved(part) and not homes_of(name):
                found.setdefault(name, resolved(part))
            walk(part)
        for more in ("additionalProperties", "items"):
            if isinstance(node.get(more), dict):
                walk(node[more])

    walk(schema())
    return found


def homes_of(key: str) -> list[Home]:
    """The groups that have a setting of this name, or of which this is an older or a vendor's name."""
    folded = _folded(key)
    return [home for home in _homes() if folded in map(_folded, (home.name, *home.older))]


GONE: dict[str, str] = {
    "vad_enabled": "The caller's voice is always detected on this machine; turns.vad holds the settings.",
    "vad_analyzer": "The caller's voice is always detected on this machine; turns.vad holds the settings.",
    "vad_audio_passthrough": "All sound always reaches the recogniser.",
    "turn_analyzer": "Smart Turn always listens; turns.smart_turn holds the settings.",
    "transcription_enabled": "What is said is always written down, by stt.",
    "audio_out_enabled": "The agent can always be heard.",
    "audio_in_enabled": "The caller can always be heard.",
    "formatted_finals": "The recogniser always writes capitals and punctuation.",
    "word_finalization_max_wait_time": "AssemblyAI has taken it away; min_turn_silence does the same.",
    "connection_params": "Write its settings right below stt.",
    "enable_metrics": "Latency is always measured.",
    "enable_usage_metrics": "Usage is always measured.",
    "cartesia_version": "Pipecat chooses it.",
    "audio_passthrough": "All sound always reaches the recogniser.",
    "params": "Write its settings right below stt, llm or tts.",
    "settings": "Write its settings right below stt, llm or tts.",
    "generation_config": "Write speed, volume and emotion right below tts.",
    "aggregate_sentences": "text_aggregation_mode under tts says it now: sentence, which is the default.",
    "camera_out_enabled": "Agents have no picture.",
    "room_url": "The room is named on the command line: runner AGENT --room URL.",
    "daily_room_url": "The room is named on the command line: runner AGENT --room URL.",
    "enable_dialin": "Calls from telephones always come in; dial_in under daily names the numbers.",
    "enable_dialout": "dial_out under daily names whom the agent may be asked to call.",
    "noise_filter": "The recogniser does it: voice_focus under stt.",
    "audio_in_filter": "The recogniser does it: voice_focus under stt.",
    "interruption_strategies": "turns.barge_in does it, with after_words below it.",
    "user_turn_strategies": "turns.start and turns.stop say it now.",
    "top_k": "OpenAI has no such setting; top_p does something alike.",
    "stream": "Answers always arrive piece by piece.",
}
"""Names from older guides that nothing took the place of, with what happens now."""

OLD_VALUES: dict[str, dict[str, str]] = {
    "vad_force_turn_endpoint": {"true": "pipecat", "false": "assemblyai"},
}
"""Older names whose values have other words now."""


def same_name(key: str, allowed: dict[str, Schema]) -> str | None:
    """A name that differs in case, `-` or spaces only, or an older or vendor's name for it."""
    folded = _folded(key)
    for name, part in allowed.items():
        if _folded(name) == folded or folded in [_folded(old) for old in resolved(part).get("x-was", [])]:
            return name
    return None


def same_value(value: str, choices: list[str]) -> str | None:
    return next((choice for choice in choices if _folded(choice) == _folded(value)), None)


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).lower()


def nearest(name: str, choices: list[str], cutoff: float) -> str | None:
    """The choice that differs by one slip of the finger, else the most alike above `cutoff` (0 to 1)."""
    by_low = {choice.lower(): choice for choice in choices}
    low = name.lower()
    slips = [choice for choice in by_low if one_slip(low, choice)]
    found = difflib.get_close_matches(low, slips, 1, 0.0) or difflib.get_close_matches(low, list(by_low), 1, cutoff)
    return by_low[found[0]] if found else None


def one_slip(typed: str, meant: str) -> bool:
    """Whether one letter too many, too few, wrong, or two in the wrong order make the one of the other."""
    if len(meant) < 2 or abs(len(typed) - len(meant)) > 1:
        return False
    start = next((n for n, (a, b) in enumerate(zip(typed, meant, strict=False)) if a != b), min(len(typed), len(meant)))
    left, right = typed[start:], meant[start:]
    return (
        left[1:] == right
        or left == right[1:]
        or left[1:] == right[1:]
        or (left[2:] == right[2:] and left[:2] == right[1::-1])
    )


def closest(name: str, choices: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The choice a person most likely meant; case, `-` and `_` do not count."""
    known = list(choices)
    return same_value(name, known) or nearest(name, known, cutoff)


def is_key_name(key: str) -> bool:
    folded = _folded(key)
    return folded in _KEY_NAMES or folded.endswith("apikey")


_KEY_NAMES = ("apikey", "key", "secret", "authorization", "password", "accesstoken", "token")


def either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}" if words else "something else"


def upper(title: str) -> str:
    return title[:1].upper() + title[1:] if " " in title else f'"{title}"'
