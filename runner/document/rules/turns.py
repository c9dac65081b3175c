"""Rules about turn taking and the limits of a call."""

from __future__ import annotations

from collections.abc import Iterator

from runner.document.rules.rule import Hit, Rule
from runner.document.rules.view import Agent, group_of, list_of, number_of

_IDLE = {"after", "say", "tries", "goodbye"}


def _smart_turn_unused(agent: Agent) -> Iterator[Hit]:
    for turns in agent.turns:
        if "pipecat" not in turns.ends and turns.own.get("smart_turn") not in (None, False):
            yield Hit((*turns.path, "smart_turn"))


def _smart_turn_slowed(agent: Agent) -> Iterator[Hit]:
    for turns in agent.turns:
        stop = number_of(group_of(turns.own.get("vad")).get("stop_secs"))
        if turns.by_smart_turn and "pipecat" in turns.ends and stop is not None and stop >= 0.8:
            yield Hit((*turns.path, "vad", "stop_secs"), {"stop": f"{stop:g}"}, "value")


def _idle_too_soon(agent: Agent) -> Iterator[Hit]:
    for turns in agent.turns:
        wait = number_of(group_of(turns.whole.get("smart_turn")).get("stop_secs", 3.0)) if turns.by_smart_turn else None
        after = number_of(group_of(turns.whole.get("idle")).get("after"))
        on = ("idle", "after") if turns.says("idle", "after") else ("smart_turn", "stop_secs")
        if wait is not None and after is not None and "pipecat" in turns.ends and after <= wait and turns.says(*on):
            yield Hit((*turns.path, *on), {"after": f"{after:g}", "wait": f"{wait:g}"}, "value")


def _idle_after_the_end(agent: Agent) -> Iterator[Hit]:
    longest = number_of(group_of(agent.data.get("limits")).get("max_call"))
    for turns in agent.turns:
        after = number_of(group_of(turns.own.get("idle")).get("after"))
        if after is not None and longest is not None and after >= longest:
            yield Hit((*turns.path, "idle", "after"), {"after": f"{after:g}", "longest": f"{longest:g}"}, "value")


def _half_an_idle(agent: Agent) -> Iterator[Hit]:
    for turns in agent.turns:
        own = group_of(turns.own.get("idle"))
        missing = [name for name in ("after", "say") if name not in own]
        if turns.of_stage and "idle" not in turns.agents and own and own.keys() <= _IDLE and missing:
            yield Hit((*turns.path, "idle"), {"missing": " and ".join(f'"{name}"' for name in missing)})


def _deaf(agent: Agent) -> Iterator[Hit]:
    for turns in agent.turns:
        for name in ("confidence", "min_volume"):
            value = number_of(group_of(turns.own.get("vad")).get(name))
            if value is not None and value > 0.9:
                yield Hit((*turns.path, "vad", name), {"name": name, "value": f"{value:g}"}, "value")


def _jumpy(agent: Agent) -> Iterator[Hit]:
    for turns in agent.turns:
        start = number_of(group_of(turns.own.get("vad")).get("start_secs"))
        if start is not None and start < 0.05 and turns.whole.get("barge_in", True) is not False:
            yield Hit((*turns.path, "vad", "start_secs"), {"start": f"{start:g}"}, "value")


def _muted_anyway(agent: Agent) -> Iterator[Hit]:
    for turns in agent.turns:
        if turns.own.get("barge_in") is False and "always" in list_of(turns.whole.get("mute")):
            yield Hit((*turns.path, "barge_in"))


def _mute_without_greeting(agent: Agent) -> Iterator[Hit]:
    mute = list_of(group_of(agent.data.get("turns")).get("mute"))
    first = group_of(next(iter(agent.stages.values()), None))
    if "greeting" in mute and not agent.data.get("greeting") and not first.get("say"):
        yield Hit(("turns", "mute", mute.index("greeting")), on="value")


def _pause_unused(agent: Agent) -> Iterator[Hit]:
    for turns in agent.turns:
        if "speech_timeout" in turns.own and ("pipecat" not in turns.ends or turns.by_smart_turn):
            yield Hit((*turns.path, "speech_timeout"))
        elif turns.own.get("stop") == "speech_timeout" and turns.own.get("smart_turn") not in (None, False):
            yield Hit((*turns.path, "smart_turn"))


def _stop_against_smart_turn(agent: Agent) -> Iterator[Hit]:
    for turns in agent.turns:
        if turns.own.get("stop") == "smart_turn" and turns.own.get("smart_turn") is False:
            yield Hit((*turns.path, "smart_turn"), on="value")


def _warning_never_said(agent: Agent) -> Iterator[Hit]:
    limits = group_of(agent.data.get("limits"))
    for name in ("warn_before", "warning", "goodbye"):
        if name in limits and number_of(limits.get("max_call")) is None:
            yield Hit(("limits", name), {"name": name})


def _warning_at_once(agent: Agent) -> Iterator[Hit]:
    limits = group_of(agent.data.get("limits"))
    longest, before = number_of(limits.get("max_call")), number_of(limits.get("warn_before", 60))
    if limits.get("warning") and longest is not None and before is not None and before >= longest:
        on = "warn_before" if "warn_before" in limits else "warning"
        yield Hit(("limits", on), {"before": f"{before:g}", "longest": f"{longest:g}"})


RULES = (
    Rule(
        "smart-turn-unused",
        "warning",
        "turns.smart_turn",
        '"smart_turn" has no effect while turn_detection is assemblyai.',
        "Remove it, or use turn_detection: pipecat.",
        "Pipecat 1.14, ExternalUserTurnStrategies: the service's turns replace the local ones",
        _smart_turn_unused,
    ),
    Rule(
        "smart-turn-slowed",
        "warning",
        "turns.vad.stop_secs",
        "stop_secs {stop} makes every answer come that much later: Smart Turn listens only when it has passed.",
        "Keep 0.2; for callers who pause, raise smart_turn.stop_secs.",
        "Pipecat, Smart Turn overview: use it with a VAD stop_secs of 0.2",
        _smart_turn_slowed,
    ),
    Rule(
        "idle-too-soon",
        "warning",
        "turns.idle.after",
        "After {after} s of silence the agent asks, but an unfinished sentence may take {wait} s to end (smart_turn).",
        "Write 8s or more for idle: after, so that callers can think.",
        "Pipecat 1.14, SmartTurnParams: stop_secs 3",
        _idle_too_soon,
    ),
    Rule(
        "idle-after-the-end",
        "warning",
        "turns.idle.after",
        '"idle" never happens: it waits {after} s, and a call ends after {longest} s (limits.max_call).',
        "Write a shorter time.",
        "the rules of the agent file (README, limits)",
        _idle_after_the_end,
    ),
    Rule(
        "half-an-idle",
        "error",
        "turns.idle in a stage",
        '"idle" needs {missing} here: the agent itself has no "idle" that this could change.',
        "Write both after: and say: below it, or give the agent an idle under its own turns.",
        "the rules of the agent file (README, turns)",
        _half_an_idle,
    ),
    Rule(
        "hard-of-hearing",
        "warning",
        "turns.vad",
        "With {name} {value} quiet callers are not heard at all.",
        "The default suits most lines: confidence 0.7, min_volume 0.6.",
        "Pipecat 1.14, VADParams: confidence 0.7, min_volume 0.6",
        _deaf,
    ),
    Rule(
        "jumpy",
        "warning",
        "turns.vad.start_secs",
        "With start_secs {start} every click on the line interrupts the agent.",
        "Write 0.1 or more, or barge_in: false.",
        "Pipecat 1.14, VADParams: start_secs is how long speech must last to count",
        _jumpy,
    ),
    Rule(
        "muted-anyway",
        "warning",
        "turns.barge_in and turns.mute",
        '"barge_in: false" has no effect beside "mute: [always]": the caller is not even heard.',
        "Keep barge_in: false alone, and what callers say meanwhile is kept.",
        "Pipecat 1.14, AlwaysUserMuteStrategy drops what is said while the agent speaks",
        _muted_anyway,
    ),
    Rule(
        "mute-without-greeting",
        "warning",
        "turns.mute",
        '"greeting" has no effect here: the agent has no greeting, the caller speaks first.',
        "Add a greeting, or remove it.",
        "Pipecat 1.14, FirstSpeechUserMuteStrategy mutes the agent's first words",
        _mute_without_greeting,
    ),
    Rule(
        "other-stop",
        "warning",
        "turns.speech_timeout and turns.smart_turn",
        "This has no effect: something else decides that the caller has finished.",
        "With turn_detection pipecat, stop: smart_turn uses smart_turn, and stop: speech_timeout uses speech_timeout.",
        "Pipecat 1.14, user_turn_strategies.stop: one of the two",
        _pause_unused,
    ),
    Rule(
        "stop-against-smart-turn",
        "error",
        "turns.stop and turns.smart_turn",
        '"stop: smart_turn" and "smart_turn: false" contradict each other.',
        "Remove one of the two.",
        "the rules of the agent file (README, turns)",
        _stop_against_smart_turn,
    ),
    Rule(
        "limit-without-end",
        "warning",
        "limits",
        '"{name}" is never said: the call has no longest time.',
        "Add max_call: 15m, or remove the line.",
        "the rules of the agent file (README, limits)",
        _warning_never_said,
    ),
    Rule(
        "warning-at-once",
        "warning",
        "limits.warn_before",
        "The warning is said as soon as the call begins: {before} s before the end of a call of {longest} s.",
        "Write a shorter time.",
        "the rules of the agent file (README, limits)",
        _warning_at_once,
    ),
)
"""The table of the rules about turn taking and limits."""
