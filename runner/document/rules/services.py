"""Rules about the ear, the model and the voice: settings that do not go together, or have no effect."""

from __future__ import annotations

from collections.abc import Iterator

from runner.catalog import PROVIDERS, U3_FAMILY
from runner.document.places import Where
from runner.document.rules.view import Agent, group_of, list_of
from runner.problem import Problem, Severity

DEFAULT_MODEL = "universal-3-5-pro"


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


def model_family(agent: Agent) -> Iterator[Problem]:
    for path, own, whole in agent.ears():
        model = whole.get("model", DEFAULT_MODEL)
        if not isinstance(model, str) or (len(path) > 1 and "model" in own):
            continue
        if model in U3_FAMILY:
            if "end_of_turn_confidence_threshold" in own:
                yield agent.source.on_key(
                    (*path, "end_of_turn_confidence_threshold"),
                    "no-effect",
                    f'"end_of_turn_confidence_threshold" has no effect with {model}.',
                    "Only the universal-streaming models use it.",
                    "warning",
                )
            continue
        if not model.startswith("universal-streaming"):
            continue
        family = "It needs universal-3-5-pro, universal-3-6-pro or u3-rt-pro."
        if whole.get("turn_detection") == "assemblyai" and len(path) == 1:
            yield agent.source.on_value(
                (*path, "turn_detection"),
                "model-cannot",
                f"{model} has no turn detection of its own, so turn_detection must be pipecat.",
                family,
            )
        for name, severity in U3_ONLY.items():
            if name in own:
                what = f"{model} does not take it" if severity == "error" else f"it has no effect with {model}"
                yield agent.source.on_key(
                    (*path, name), "model-cannot", f'"{name}" does not go with this model: {what}.', family, severity
                )


def session_only(agent: Agent) -> Iterator[Problem]:
    """Settings that a session opens with. A stage that sets one would need another session, which is not built yet."""
    fields = PROVIDERS["stt", "assemblyai"].fields
    for path, own, _ in agent.ears():
        if len(path) == 1:
            continue
        for name in own:
            if name in fields and fields[name].when == "next call":
                yield agent.source.on_key(
                    (*path, name),
                    "not-in-a-stage-yet",
                    f'"{name}" cannot change from stage to stage yet: AssemblyAI takes it only when a call begins.',
                    "Set it under stt at the top of the file, for the whole call.",
                )


def silences(agent: Agent) -> Iterator[Problem]:
    for path, own, whole in agent.ears():
        low, high = whole.get("min_turn_silence"), whole.get("max_turn_silence")
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            name = "min_turn_silence" if "min_turn_silence" in own else "max_turn_silence"
            if name in own:
                yield agent.source.on_value(
                    (*path, name),
                    "min-over-max",
                    f"min_turn_silence ({low} ms) is longer than max_turn_silence ({high} ms).",
                    "The first must be the shorter one.",
                )
        by_pipecat = whole.get("turn_detection", "pipecat") == "pipecat"
        dictation = len(path) > 1 and agent.stages[str(path[1])].get("listen_for")
        if by_pipecat and "max_turn_silence" in own and not dictation:
            yield agent.source.on_key(
                (*path, "max_turn_silence"),
                "no-effect",
                '"max_turn_silence" has no effect while turn_detection is pipecat.',
                "Use turn_detection: assemblyai, or set listen_for in the stage that has to wait.",
                "warning",
            )


def keyterms(agent: Agent) -> Iterator[Problem]:
    own = list_of(agent.stt().get("keyterms"))
    for name, stage in agent.stages.items():
        added = list_of(group_of(stage.get("stt")).get("keyterms"))
        total = len({*map(str, own), *map(str, added)})
        if added and len(own) <= 100 and len(added) <= 100 and total > 100:
            yield agent.source.on_key(
                ("stages", name, "stt", "keyterms"),
                "too-many",
                f"Together with the agent's {len(own)}, these are {total} keyterms. The most is 100.",
                "Remove some, or write only: before the list to use just these.",
            )


def languages(agent: Agent) -> Iterator[Problem]:
    for path, own, whole in agent.ears():
        codes = list_of(own.get("language_codes"))
        if "multi" in codes and len(codes) > 1:
            yield agent.source.on_value(
                (*path, "language_codes", codes.index("multi")),
                "not-alone",
                '"multi" must stand alone.',
                "Remove the others.",
            )
        if own.get("voice_focus_threshold") is not None and whole.get("voice_focus") is None:
            yield agent.source.on_key(
                (*path, "voice_focus_threshold"),
                "no-effect",
                '"voice_focus_threshold" has no effect without "voice_focus".',
                "Add voice_focus: near-field or far-field.",
                "warning",
            )


def answer_length(agent: Agent) -> Iterator[Problem]:
    places: list[Where] = [("llm",), *(("stages", name, "llm") for name in agent.stages)]
    for path in places:
        group = group_of(agent.data.get("llm")) if len(path) == 1 else group_of(agent.stages[str(path[1])].get("llm"))
        if "max_tokens" in group and "max_completion_tokens" in group:
            yield agent.source.on_key(
                (*path, "max_completion_tokens"),
                "either-or",
                '"max_tokens" and "max_completion_tokens" cannot stand together.',
                "Newer models use max_completion_tokens; keep that one.",
            )
