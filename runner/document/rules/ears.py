"""Rules about AssemblyAI's settings: which model takes what, what has no effect, and pauses that split what is dictated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from runner.catalog import U3_FAMILY
from runner.document.places import Where
from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import Agent, Group, group_of, number_of
from runner.problem import Severity

DEFAULT_MODEL = "universal-3-5-pro"
GUIDE = "AssemblyAI, Universal 3.5 Pro Realtime with Pipecat"
COMPARISON = f"{GUIDE}: Speech model comparison"
FAMILY = "It needs universal-3-5-pro, universal-3-6-pro or u3-rt-pro."

U3_ONLY: dict[str, Severity] = {
    "about": "error",
    "mode": "error",
    "interruption_delay": "warning",
    "continuous_partials": "warning",
    "language_codes": "warning",
    "voice_focus": "warning",
    "voice_focus_threshold": "warning",
    "agent_context": "warning",
    "previous_context_n_turns": "warning",
}
"""Settings of the U3 family. error: AssemblyAI or Pipecat refuses the call; warning: the setting is not sent."""

SERVER_VAD = 0.3
"""AssemblyAI's own `vad_threshold` on the U3 family, 0.2 to 0.3 by mode; the default pair with Silero's 0.7 never warns."""


def _by_family(agent: Agent, streaming: bool) -> Iterator[tuple[tuple[str | int, ...], dict[str, object], str]]:
    """The ears whose model is of the universal-streaming family, or of the U3 family."""
    for path, own, whole in agent.ears():
        model = whole.get("model", DEFAULT_MODEL)
        if not isinstance(model, str):
            continue
        if model.startswith("universal-streaming") if streaming else model in U3_FAMILY:
            yield path, own, model


def _own_turns(whole: Mapping[str, object]) -> bool:
    return whole.get("turn_detection") == "assemblyai"


def _no_turn_detection(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        model = str(whole.get("model", DEFAULT_MODEL))
        if model.startswith("universal-streaming") and _own_turns(whole):
            name = next((name for name in ("turn_detection", "model") if name in own), None)
            if name:
                yield Hit((*path, name), {"model": model}, "value")


def _model_refuses(agent: Agent) -> Iterator[Hit]:
    for path, own, model in _by_family(agent, streaming=True):
        for name, severity in U3_ONLY.items():
            if name in own and severity == "error":
                yield Hit((*path, name), {"name": name, "model": model})


def _model_ignores(agent: Agent) -> Iterator[Hit]:
    for path, own, model in _by_family(agent, streaming=True):
        for name, severity in U3_ONLY.items():
            if name in own and severity == "warning":
                yield Hit((*path, name), {"name": name, "model": model})


def _confidence_ignored(agent: Agent) -> Iterator[Hit]:
    for path, own, model in _by_family(agent, streaming=False):
        if "end_of_turn_confidence_threshold" in own:
            yield Hit((*path, "end_of_turn_confidence_threshold"), {"model": model})


def _overwritten(agent: Agent) -> Iterator[Hit]:
    for path, own, model in _by_family(agent, streaming=True):
        for name, value in (("end_of_turn_confidence_threshold", "1.0"), ("min_turn_silence", "160")):
            if name in own:
                yield Hit((*path, name), {"name": name, "value": value, "model": model})


def _format_ignored(agent: Agent) -> Iterator[Hit]:
    for path, own, model in _by_family(agent, streaming=False):
        if own.get("format_turns") is False:
            yield Hit((*path, "format_turns"), {"model": model})


def _focus_alone(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        if own.get("voice_focus_threshold") is not None and whole.get("voice_focus") is None:
            yield Hit((*path, "voice_focus_threshold"))


def _context_off(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        if "agent_context" in own and whole.get("previous_context_n_turns") == 0:
            yield Hit((*path, "agent_context"))


def _context_clipped(agent: Agent) -> Iterator[Hit]:
    for path, own, _ in agent.ears():
        text = own.get("agent_context")
        if isinstance(text, str) and 1500 < len(text) <= 1750:
            yield Hit((*path, "agent_context"), {"count": len(text)}, "value")


def _about_instructs(agent: Agent) -> Iterator[Hit]:
    instruction = re.compile(
        r"^\s*(?:please\s+)?(?:transcribe|write|use|always|never|do not|don.t|add|make sure|boost|punctuate|format|"
        r"ignore|output)\b|\b(?:make sure to|boost the words?|always transcribe|verbatim)\b",
        re.I,
    )
    for path, own, _ in agent.ears():
        text = own.get("about")
        found = instruction.search(text) if isinstance(text, str) else None
        if found:
            yield Hit((*path, "about"), {"words": found.group().strip()}, "value")


def _ears_of_moments(agent: Agent) -> Iterator[tuple[Where, Group, Group]]:
    """`Agent.ears`, and the agent's ear in every stage that says something about turn taking and nothing about the ear."""
    yield from agent.ears()
    whole = next((whole for path, _, whole in agent.ears() if path == ("stt",)), None)
    for turns in agent.turns:
        if whole is not None and turns.of_stage and not isinstance(agent.stages[turns.of_stage].get("stt"), dict):
            yield ("stages", turns.of_stage, "stt"), {}, whole


def _thresholds_apart(agent: Agent) -> Iterator[Hit]:
    by_stage = {turns.of_stage: turns for turns in agent.turns}
    for path, own, whole in _ears_of_moments(agent):
        stage = str(path[1]) if path[0] == "stages" else ""
        turns = by_stage.get(stage, by_stage[""])
        says = turns.of_stage == stage and turns.says("vad", "confidence") and "fallback" not in path
        local = number_of(group_of(turns.whole.get("vad")).get("confidence", 0.7))
        server = number_of(whole.get("vad_threshold", SERVER_VAD))
        if not ("vad_threshold" in own or says) or local is None or server is None or abs(local - server) <= 0.45:
            continue
        at = (*path, "vad_threshold") if "vad_threshold" in own else (*turns.path, "vad", "confidence")
        who = "the caller's words are written down, but nothing on this machine hears that somebody speaks"
        if server > local:
            who = "this machine hears that somebody speaks, but AssemblyAI writes nothing down"
        yield Hit(at, {"server": f"{server:g}", "local": f"{local:g}", "who": who}, "value")


def _max_silence_unused(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        dictation = len(path) > 1 and agent.stages.get(str(path[1]), {}).get("listen_for")
        if not _own_turns(whole) and "max_turn_silence" in own and not dictation:
            yield Hit((*path, "max_turn_silence"))


def _mode_silence_unused(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        unset = whole.get("min_turn_silence") is None
        if not _own_turns(whole) and own.get("mode") == "max_accuracy" and unset:
            yield Hit((*path, "mode"), on="value")


def _min_over_max(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        low, high = number_of(whole.get("min_turn_silence")), number_of(whole.get("max_turn_silence"))
        name = "min_turn_silence" if "min_turn_silence" in own else "max_turn_silence"
        if low is not None and high is not None and low > high and name in own:
            yield Hit((*path, name), {"low": f"{low:g}", "high": f"{high:g}"}, "value")


def _dictation_cut(agent: Agent) -> Iterator[Hit]:
    """A stage that dictates, and pauses so short that an address falls into pieces."""
    for path, own, _ in agent.ears():
        kind = agent.stages.get(str(path[1]), {}).get("listen_for") if len(path) > 1 else None
        shortest = {"email": 300, "phone": 300, "number": 300, "address": 300}.get(str(kind))
        low = number_of(own.get("min_turn_silence"))
        if shortest and low is not None and low < shortest:
            yield Hit((*path, "min_turn_silence"), {"low": f"{low:g}", "kind": kind}, "value")


def _dictation_forced(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        kind = agent.stages.get(str(path[1]), {}).get("listen_for") if len(path) > 1 else None
        high = number_of(own.get("max_turn_silence"))
        if _own_turns(whole) and kind and high is not None and high < 1500:
            yield Hit((*path, "max_turn_silence"), {"high": f"{high:g}", "kind": kind}, "value")


def _slow_end(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        high = number_of(own.get("max_turn_silence"))
        if _own_turns(whole) and high is not None and high > 5000:
            yield Hit((*path, "max_turn_silence"), {"high": f"{high / 1000:g}"}, "value")


def _early_check(agent: Agent) -> Iterator[Hit]:
    for path, own, whole in agent.ears():
        low = number_of(own.get("min_turn_silence"))
        if _own_turns(whole) and low is not None and low < 100:
            yield Hit((*path, "min_turn_silence"), {"low": f"{low:g}"}, "value")


def _seconds_meant(agent: Agent) -> Iterator[Hit]:
    for path, own, _ in agent.ears():
        value = number_of(own.get("interruption_delay"))
        if value is not None and 0 < value < 20:
            yield Hit((*path, "interruption_delay"), {"value": f"{value:g}"}, "value")


RULES = (
    Rule(
        "model-without-turn-detection",
        "error",
        "stt.turn_detection",
        "{model} has no turn detection of its own, so turn_detection must be pipecat.",
        FAMILY,
        f"{COMPARISON}; Pipecat 1.14 raises ValueError",
        _no_turn_detection,
    ),
    Rule(
        "model-refuses",
        "error",
        "stt",
        '"{name}" does not go with this model: {model} does not take it.',
        FAMILY,
        f"{COMPARISON}; Pipecat 1.14 raises ValueError for prompt",
        _model_refuses,
    ),
    Rule(
        "model-ignores",
        "warning",
        "stt",
        '"{name}" does not go with this model: it has no effect with {model}.',
        FAMILY,
        COMPARISON,
        _model_ignores,
    ),
    Rule(
        "confidence-ignored",
        "warning",
        "stt.end_of_turn_confidence_threshold",
        '"end_of_turn_confidence_threshold" has no effect with {model}.',
        "This model looks at pauses and punctuation: use min_turn_silence, for example 300.",
        f"{GUIDE}: Turn detection",
        _confidence_ignored,
    ),
    Rule(
        "overwritten",
        "warning",
        "stt of a universal-streaming model",
        '"{name}" has no effect: with {model} and turn_detection pipecat, {value} is always sent.',
        "Use turns.vad.stop_secs to make the agent wait longer.",
        "Pipecat 1.14, AssemblyAISTTService._configure_pipecat_turn_mode",
        _overwritten,
    ),
    Rule(
        "format-ignored",
        "warning",
        "stt.format_turns",
        '"format_turns: false" has no effect: {model} always writes capitals and punctuation.',
        "Remove the line.",
        f"{GUIDE}: Migrating (formatting is on by default, format_turns does not apply)",
        _format_ignored,
    ),
    Rule(
        "focus-threshold-alone",
        "warning",
        "stt.voice_focus_threshold",
        '"voice_focus_threshold" has no effect without "voice_focus".',
        "Add voice_focus: near-field or far-field.",
        "Pipecat 1.14 warns; AssemblyAI, Voice Focus",
        _focus_alone,
    ),
    Rule(
        "context-switched-off",
        "warning",
        "stt.agent_context",
        '"agent_context" has no effect while "previous_context_n_turns" is 0.',
        "Remove previous_context_n_turns, or make it 1 or more.",
        f"{GUIDE}: Manual control (0 disables the automatic feed as well), Troubleshooting",
        _context_off,
    ),
    Rule(
        "context-clipped",
        "warning",
        "stt.agent_context",
        '"agent_context" has {count} characters; only the last 1500 are sent.',
        "Keep what the agent said last.",
        "Pipecat 1.14, MAX_AGENT_CONTEXT_CHARS",
        _context_clipped,
    ),
    Rule(
        "about-instructs",
        "warning",
        "stt.about",
        '"{words}" sounds like an instruction. "about" says what the calls are about; orders have no effect there.',
        "Describe the calls: Refund calls of a shoe shop. Words that must be heard right belong under keyterms.",
        f"{GUIDE}: Prompting (the prompt carries context, not instructions)",
        _about_instructs,
    ),
    Rule(
        "thresholds-apart",
        "warning",
        "stt.vad_threshold and turns.vad.confidence",
        "vad_threshold ({server}) and turns.vad.confidence ({local}) are far apart: with sounds in between, {who}.",
        "Bring the two closer together.",
        f"{GUIDE}: Interruption handling (keep your VAD threshold aligned with vad_threshold)",
        _thresholds_apart,
    ),
    Rule(
        "max-silence-unused",
        "warning",
        "stt.max_turn_silence",
        '"max_turn_silence" has no effect while turn_detection is pipecat.',
        "Use turn_detection: assemblyai, or set listen_for in the stage that has to wait.",
        f"{GUIDE}: Pipecat mode (max_turn_silence follows min_turn_silence)",
        _max_silence_unused,
    ),
    Rule(
        "mode-silence-unused",
        "warning",
        "stt.mode",
        "The longer pauses of max_accuracy have no effect while turn_detection is pipecat: 100 ms are sent instead.",
        "Add min_turn_silence: 500, or use turn_detection: assemblyai.",
        f"{GUIDE}: Latency (explicit values win); Pipecat 1.14 sends min=max=100",
        _mode_silence_unused,
    ),
    Rule(
        "min-over-max",
        "error",
        "stt.min_turn_silence and max_turn_silence",
        "min_turn_silence ({low} ms) is longer than max_turn_silence ({high} ms).",
        "The first must be the shorter one.",
        "AssemblyAI, Configuring turn detection",
        _min_over_max,
    ),
    Rule(
        "dictation-cut",
        "warning",
        "stages that listen for a dictation",
        "min_turn_silence {low} is short for a caller who dictates (listen_for: {kind}): the answer falls into pieces.",
        "Remove it, and listen_for waits long enough; or write 800ms or more.",
        f"{GUIDE}: Entity splitting tradeoff (min_turn_silence too low)",
        _dictation_cut,
    ),
    Rule(
        "dictation-forced-end",
        "warning",
        "stages that listen for a dictation",
        "max_turn_silence {high} cuts off a caller who dictates (listen_for: {kind}).",
        "AssemblyAI advises 1500 to 3500; without the line, 3000 is used.",
        f"{GUIDE}: Troubleshooting (entities split across turns)",
        _dictation_forced,
    ),
    Rule(
        "slow-end",
        "warning",
        "stt.max_turn_silence",
        "When a sentence sounds unfinished, the caller waits {high} s for an answer.",
        "AssemblyAI advises 1000, and up to 3500 while somebody dictates.",
        f"{GUIDE}: Troubleshooting (latency on non-terminal utterances)",
        _slow_end,
    ),
    Rule(
        "early-check",
        "warning",
        "stt.min_turn_silence",
        "min_turn_silence {low} ends turns at short breaths.",
        "AssemblyAI advises 100, and 200 to 500 where turns fall into pieces.",
        f"{GUIDE}: Troubleshooting (turn over-segmentation)",
        _early_check,
    ),
    Rule(
        "seconds-meant",
        "warning",
        "stt.interruption_delay",
        'A plain number is milliseconds here, and {value} of them are hardly anything. Did you mean "{value}00ms"?',
        "Write the unit: 300ms or 0.3s.",
        "AssemblyAI, streaming API: interruption_delay is 0 to 1000 ms",
        _seconds_meant,
    ),
)
"""The table of the rules about AssemblyAI's settings."""
