"""A line that somebody types in `runner chat`, for rehearsing calls with several speakers or languages.

Comes in: `[B es] Hola`. Goes out: the text, the speaker's letter and the language's code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.definition import AgentDefinition

_MARKS = re.compile(r"^\[(?:(?P<speaker>[A-J]|UNKNOWN))?\s?(?P<language>[a-z]{2,3})?\]\s*(?P<text>\S.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TypedTurn:
    text: str
    speaker: str | None = None
    language: str | None = None


def typed_turn(line: str, agent: AgentDefinition) -> TypedTurn:
    """What a line means. Marks count only where the ear of the agent would tell the same."""
    found = _MARKS.match(line)
    settings = agent.stt.settings
    tells = {"speaker": settings.get("speaker_labels") is True, "language": settings.get("language_detection") is True}
    if (
        not found
        or not any(found[name] for name in tells)
        or any(found[name] and not told for name, told in tells.items())
    ):
        return TypedTurn(line)
    return TypedTurn(found["text"], found["speaker"], found["language"])
