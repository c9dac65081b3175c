"""Rules about settings that belong together: a voice and its name, turn taking and who does it, a stage and its service."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.document.names import closest, shown
from runner.document.places import Where
from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import Agent, group_of, list_of

_ID = re.compile(r"\S{16,}")
"""What can be the id of a voice: vendors make them long and without spaces."""


def _unknown_voice(agent: Agent) -> Iterator[Hit]:
    names = list(group_of(agent.data.get("voices")))
    if not names:
        return
    voices: dict[Where, object] = {("tts", "voice"): group_of(agent.data.get("tts")).get("voice")}
    voices |= {
        ("stages", name, "tts", "voice"): group_of(stage.get("tts")).get("voice")
        for name, stage in agent.stages.items()
    }
    voices |= {
        ("languages", code, "voice"): group_of(one).get("voice")
        for code, one in group_of(agent.data.get("languages")).items()
    }
    first = group_of(agent.data.get("tts"))
    for number, item in enumerate(list_of(first.get("fallback"))):
        one = group_of(item)
        if one.get("provider", "cartesia") == first.get("provider", "cartesia"):
            voices["tts", "fallback", number, "voice"] = one.get("voice")
    for path, voice in voices.items():
        if isinstance(voice, str) and voice not in names and not _ID.fullmatch(voice):
            close = closest(voice, names)
            if not close and group_of(agent.data.get("tts")).get("provider", "cartesia") != "cartesia":
                continue  # other vendors' own names can be short
            guess = f' Did you mean "{close}"?' if close else ""
            yield Hit(path, {"voice": shown(voice), "guess": guess, "names": ", ".join(names)}, "value")


def _own_turns(agent: Agent) -> Iterator[Hit]:
    for turns in agent.turns:
        for name in ("start", "stop"):
            if name in turns.own and "pipecat" not in turns.ends and not (name == "start" and turns.of_stage):
                yield Hit((*turns.path, name), {"name": name})


RULES = (
    Rule(
        "unknown-voice",
        "error",
        "tts.voice",
        'There is no voice "{voice}" below voices:.{guess}',
        "The voices are: {names}. An id works too.",
        "the rules of the agent file (README, voices)",
        _unknown_voice,
    ),
    Rule(
        "own-turns",
        "warning",
        "turns.start and turns.stop",
        '"{name}" has no effect while turn_detection is assemblyai.',
        "Remove it, or use turn_detection: pipecat.",
        "Pipecat 1.14, ExternalUserTurnStrategies: the service's turns replace the local ones",
        _own_turns,
    ),
)
"""The table of the rules about settings that belong together."""
