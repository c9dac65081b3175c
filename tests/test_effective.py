"""The one idea: what a call is set to, and what has to be told to get it from one moment to another."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from openai import NOT_GIVEN
from pipecat.services.cartesia.tts import GenerationConfig
from pipecat.transcriptions.language import Language

from runner.catalog import PARTS, PROVIDERS, STILL_MEANT_HERE, Part
from runner.compiler import services
from runner.definition import AgentDefinition, Idle, Only, Service, Setting, Stage, Transition
from runner.document.load import load
from runner.effective import Change, Dictation, Effective, change, effective, file_changes, held_after
from tests.running import PROJECT

AGENTS = [
    *sorted((PROJECT / "agents").glob("*.yaml")),
    *sorted((PROJECT / "tests" / "cloud" / "agents").glob("*.yaml")),
    *sorted((PROJECT / "tests" / "examples" / "good").glob("*.yaml")),
]


def read(text: str, folder: Path) -> AgentDefinition:
    file = folder / "agent.yaml"
    file.write_text(text)
    loaded = load(file, env={})
    assert loaded.definition, [problem.message for problem in loaded.problems]
    return loaded.definition


def opened(file: Path) -> AgentDefinition:
    found = load(file, env={"REGION": "eu", "HOST": "example.com"}).definition
    assert found, file
    return found


def moments(agent: AgentDefinition) -> list[Effective]:
    """What the agent is set to in each of its stages."""
    return [effective(agent, stage) for stage in agent.stages or [None]]


def everything(moment: Effective) -> dict[str, object]:
    """All that is set in a moment, by its path."""
    return {field.path: field.after for field in change(None, moment).fields if field.after is not None}


def told(settings: dict[str, object], changed: Change) -> dict[str, object]:
    """`settings` after a call was told a change."""
    new = {**settings, **{field.path: field.after for field in changed.fields}}
    return {path: value for path, value in new.items() if value is not None}


def agent_with(part: Part = "stt", settings: dict[str, Setting] | None = None, **stages: Stage) -> AgentDefinition:
    services = {
        "stt": Service("assemblyai", {"model": "universal-3-5-pro", "turn_detection": "pipecat"}),
        "llm": Service("openai", {"model": "gpt-4o"}),
        "tts": Service("cartesia", {"model": "sonic-3.6", "voice": "v"}),
    }
    services[part] = replace(services[part], settings={**services[part].settings, **(settings or {})})
    return AgentDefinition(name="a", file=Path("a.yaml"), prompt="Be kind.", stages=stages, **services)


@pytest.mark.parametrize("file", AGENTS, ids=lambda file: file.stem)
def test_nothing_changes_between_a_moment_and_itself(file: Path) -> None:
    agent, again = opened(file), opened(file)
    for moment, same in zip(moments(agent), moments(again), strict=True):
        assert not change(moment, same)
    assert not file_changes(agent, again)


@pytest.mark.parametrize("file", AGENTS, ids=lambda file: file.stem)
def test_what_is_told_leads_from_every_stage_to_every_other(file: Path) -> None:
    for before, after in product(moments(opened(file)), repeat=2):
        changed = change(before, after)
        settings = everything(before)
        assert all(settings.get(field.path) == field.before for field in changed.fields)
        assert told(settings, changed) == everything(after)
        assert (before.prompt == after.prompt) == (not changed.touches("prompt"))


@pytest.mark.parametrize("file", AGENTS, ids=lambda file: file.stem)
def test_a_stage_changes_nothing_of_a_service_that_a_running_call_cannot_take(file: Path) -> None:
    for before, after in product(moments(opened(file)), repeat=2):
        services = [f for f in change(before, after).fields if f.path.partition(".")[0] in PARTS]
        assert {field.when for field in services} <= {"now", "next turn"}


@pytest.mark.parametrize("file", AGENTS, ids=lambda file: file.stem)
def test_way_there_and_back_leaves_nothing_behind(file: Path) -> None:
    for before, after in product(moments(opened(file)), repeat=2):
        settings = everything(before)
        assert told(told(settings, change(before, after)), change(after, before)) == settings


def test_setting_that_only_a_stage_has_rests_elsewhere() -> None:
    for name, field in PROVIDERS["stt", "assemblyai"].fields.items():
        if field.rest is not None:
            value: Setting = ("x",) if isinstance(field.rest, tuple) else "x" if isinstance(field.rest, str) else 0.7
            agent = agent_with(a=Stage("a"), b=Stage("b", stt={name: value}))
            leaving = change(effective(agent, "b"), effective(agent, "a"))
            assert leaving.of("stt") == {name: field.rest}


def test_keyterms_of_a_stage_are_added_and_only_replaces() -> None:
    agent = agent_with(
        settings={"keyterms": ("Northwind", "RMA")},
        plain=Stage("plain"),
        more=Stage("more", stt={"keyterms": ("RMA", "order number")}),
        only=Stage("only", stt={"keyterms": Only(("yes", "no"))}),
        none=Stage("none", stt={"keyterms": Only(())}),
    )
    assert {stage: effective(agent, stage).stt.settings["keyterms"] for stage in agent.stages} == {
        "plain": ("Northwind", "RMA"),
        "more": ("Northwind", "RMA", "order number"),
        "only": ("yes", "no"),
        "none": (),
    }


IN_STAGES = """
prompt: Be kind.
variables: {who: Jo}
turns:
  barge_in: {after_words: 2, ignore: [mhm]}
  mute: [tools]
  smart_turn: {stop_secs: 2}
  vad: {confidence: 0.8}
  idle: {after: 8s, say: "Are you there, {{ who }}?", tries: 2}
limits: {max_call: 9m, warning: "One minute, {{ who }}."}
stages:
  plain: {prompt: x, next: [{otherwise: notice}]}
  notice:
    prompt: x
    turns: {barge_in: false, mute: [always], idle: {after: 30s}}
    next: [{otherwise: free}]
  free:
    prompt: x
    turns: {barge_in: true, mute: {only: []}, idle: false, stop: speech_timeout, speech_timeout: 1s}
    next: [{otherwise: words}]
  words:
    prompt: x
    turns: {barge_in: {ignore: [yeah]}, vad: {stop_secs: 0.4}, smart_turn: {stop_secs: 5}, look_ahead: off}
    next: [{otherwise: plain}]
"""


def test_turns_of_a_stage_are_over_those_of_the_agent_and_end_with_it(tmp_path: Path) -> None:
    agent = read(IN_STAGES, tmp_path)
    plain, notice, free, words = (effective(agent, stage).turns for stage in agent.stages)
    assert plain == effective(replace(agent, stages={}), None).turns
    assert plain.idle == Idle(8, "Are you there, Jo?", 2)
    assert notice == replace(plain, barge_in=False, mute=("tools", "always"), idle=Idle(30, "Are you there, Jo?", 2)), (
        "groups over groups, lists behind lists"
    )
    assert free == replace(
        plain,
        barge_in_after_words=0,
        barge_in_ignore=(),
        mute=(),
        idle=None,
        smart_turn=False,
        speech_timeout=1,
    ), "true is the first sound of speech; only replaces"
    assert words == replace(
        plain,
        barge_in_ignore=("mhm", "yeah"),
        vad=replace(plain.vad, stop_secs=0.4),
        smart_turn_stop_secs=5,
        look_ahead="off",
    )
    assert effective(agent, "words").limits.warning == "One minute, Jo."


def test_what_stands_below_a_switch_switches_it_on(tmp_path: Path) -> None:
    text = "prompt: x\nturns: {barge_in: false, smart_turn: false}\nstages:\n  one:\n    prompt: x\n"
    text += "    turns: {barge_in: {after_words: 3}, smart_turn: {stop_secs: 4}}\n    next: [{otherwise: one}]\n"
    turns = effective(read(text, tmp_path), "one").turns
    assert (turns.barge_in, turns.barge_in_after_words) == (True, 3)
    assert (turns.smart_turn, turns.smart_turn_stop_secs) == (True, 4)


def test_old_text_of_a_stage_goes_without_the_idle_that_the_agent_has_no_more() -> None:
    stage = Stage("a", prompt="x", turns={"idle": {"after": 30.0}})
    assert effective(agent_with(a=stage), "a").turns.idle is None
    whole = replace(stage, turns={"idle": {"after": 30.0, "say": "Hm?"}})
    assert effective(agent_with(a=whole), "a").turns.idle == Idle(30, "Hm?")


def test_a_stages_turns_are_told_by_the_classes_of_the_agents(tmp_path: Path) -> None:
    agent = read(IN_STAGES, tmp_path)
    changed = change(effective(agent, "plain"), effective(agent, "notice"))
    assert {field.path: field.when for field in changed.fields if field.path != "next"} == {
        "turns.barge_in": "next turn",
        "turns.mute": "next turn",
        "turns.idle": "now",
    }


def test_prompt_of_a_moment_is_one_text() -> None:
    agent = replace(
        agent_with(a=Stage("a", prompt="Ask for {{ what }}.\n"), b=Stage("b", say="Bye, {{ what }}.", end=True)),
        prompt="You serve {{ what }}.\n",
        variables={"what": "tea"},
        anywhere=(Transition(to="b", when="The caller leaves"),),
    )
    a, b = moments(agent)
    assert (a.prompt, a.say, a.asks, [way.to for way in a.ways]) == (
        "You serve tea.\n\nAsk for tea.",
        None,
        True,
        ["b"],
    )
    assert (b.prompt, b.say, b.asks, b.ways) == ("You serve tea.", "Bye, tea.", False, ())


# silences


@pytest.mark.parametrize("file", AGENTS, ids=lambda file: file.stem)
def test_no_ear_waits_longer_than_the_one_that_ends_the_turn(file: Path) -> None:
    """Pipecat ends AssemblyAI's turn when its own voice detection stops: a longer silence there would mean nothing. While
    the caller dictates, runner ends it, and the ear must not be sooner."""
    for moment in moments(opened(file)):
        settings: dict[str, Any] = dict(moment.stt.settings)
        if settings.get("turn_detection") == "assemblyai":
            assert settings["min_turn_silence"] <= settings["max_turn_silence"]
        elif "max_turn_silence" in settings:
            assert settings["min_turn_silence"] == settings["max_turn_silence"]
            ends = moment.listen_for.wait if moment.listen_for else moment.turns.vad.stop_secs
            if moment.listen_for:
                assert ends <= settings["min_turn_silence"] / 1000, "the ear must not end a dictation first"
            else:
                assert ends >= settings["min_turn_silence"] / 1000


def test_dictation_waits_longer_and_ends_with_its_stage() -> None:
    agent = agent_with(a=Stage("a"), mail=Stage("mail", listen_for="email"))
    a, mail = moments(agent)
    assert (a.stt.settings["min_turn_silence"], a.listen_for) == (100, None)
    assert (mail.stt.settings["min_turn_silence"], mail.listen_for) == (3000, Dictation("email", 2.0))
    assert mail.turns == a.turns, "the next stage answers as fast as before"
    assert change(mail, a).of("stt") == {"min_turn_silence": 100, "max_turn_silence": 100}
    assert change(mail, a).touches("listen_for")


def test_dictation_with_the_vendors_own_turns() -> None:
    agent = agent_with(settings={"turn_detection": "assemblyai"}, a=Stage("a"), mail=Stage("mail", listen_for="email"))
    a, mail = moments(agent)
    assert change(a, mail).of("stt") == {"min_turn_silence": 2000, "max_turn_silence": 3000}
    assert change(mail, a).of("stt") == {"min_turn_silence": 100, "max_turn_silence": 1000}
    assert mail.turns == a.turns


def test_dictation_with_a_model_that_has_no_turns_of_its_own() -> None:
    model: dict[str, Setting] = {"model": "universal-streaming-english"}
    a, mail = moments(agent_with(settings=model, a=Stage("a"), mail=Stage("mail", listen_for="email")))
    assert change(a, mail).of("stt") == {"max_turn_silence": 3000}
    assert change(mail, a).of("stt") == {"max_turn_silence": 1280}, "what that model uses by itself"
    assert mail.listen_for == Dictation("email", 2.0)


def test_dictation_with_another_provider_waits_by_the_local_voice_detection() -> None:
    agent = replace(
        agent_with(a=Stage("a"), mail=Stage("mail", listen_for="email")), stt=Service("deepgram", {"model": "nova-3"})
    )
    a, mail = moments(agent)
    assert (a.turns.vad.stop_secs, mail.turns.vad.stop_secs) == (0.2, 2.0)


@pytest.mark.parametrize(
    ("mode", "by_hand", "silences", "wait"),
    [
        ("pipecat", {"min_turn_silence": 700}, (700, 700), 0.7),
        ("pipecat", {"max_turn_silence": 2500}, (2500, 2500), 2.5),
        ("pipecat", {"min_turn_silence": 700, "max_turn_silence": 2500}, (2500, 2500), 2.5),
        ("assemblyai", {"min_turn_silence": 700}, (700, 3000), 2.0),
        ("assemblyai", {"min_turn_silence": 4000}, (4000, 4000), 4.0),
        ("assemblyai", {"max_turn_silence": 1500}, (1500, 1500), 1.5),
    ],
)
def test_silence_set_by_hand_wins_over_dictation(
    mode: str, by_hand: dict[str, Setting], silences: tuple[int, int], wait: float
) -> None:
    mail = Stage("mail", listen_for="email", stt=by_hand)
    [moment] = moments(agent_with(settings={"turn_detection": mode}, mail=mail))
    settings = moment.stt.settings
    assert (settings["min_turn_silence"], settings["max_turn_silence"]) == silences
    assert moment.listen_for == Dictation("email", wait)


def test_a_stage_may_have_the_other_turn_detection_with_its_silences() -> None:
    own = Stage("own", stt={"turn_detection": "assemblyai"})
    a, other = moments(agent_with(a=Stage("a"), own=own))
    there = {"turn_detection": "assemblyai", "max_turn_silence": 1000}
    assert change(a, other).of("stt") == there
    assert change(other, a).of("stt") == {"turn_detection": "pipecat", "max_turn_silence": 100}


# settings taken out of the file, or that only a stage has


@pytest.mark.parametrize(
    ("part", "setting", "at_rest"),
    [
        ("stt", {"keyterms": ("RMA",)}, {"keyterms_prompt": []}),
        ("stt", {"about": "A call to a shop."}, {"prompt": ""}),
        ("stt", {"vad_threshold": 0.6}, {"vad_threshold": 0.3}),
        ("llm", {"temperature": 0.1}, {"temperature": NOT_GIVEN}),
        ("llm", {"max_completion_tokens": 50}, {"max_completion_tokens": NOT_GIVEN}),
        ("tts", {"speed": 1.4}, {"generation_config": GenerationConfig()}),
        ("tts", {"language": "de"}, {"language": Language.EN}),
        ("tts", {"pronunciation_dict_id": "p"}, {"pronunciation_dict_id": None}),
    ],
)
def test_what_is_taken_out_of_the_file_rests_in_running_calls(
    part: Part, setting: dict[str, Setting], at_rest: dict[str, object]
) -> None:
    before, after = effective(agent_with(part, setting), None), effective(agent_with(part), None)
    tell = {"stt": services.update_stt, "llm": services.update_llm, "tts": services.update_tts}[part]
    frame = tell(change(before, after), after, services.Here())
    assert frame
    assert frame.delta
    assert frame.delta.given_fields() == at_rest


def test_what_still_counts_on_this_machine_is_a_setting() -> None:
    for (part, _), provider in PROVIDERS.items():
        assert provider.fields.keys() >= STILL_MEANT_HERE[part]


def test_service_that_another_takes_over_with_the_next_call_keeps_what_it_holds_and_goes_on_from_there() -> None:
    first, other, back = (
        effective(agent_with("stt", {"keyterms": ("RMA",)}), None),
        effective(replace(agent_with(), stt=Service("deepgram", {"model": "nova-3"})), None),
        effective(agent_with("stt", {"keyterms": ("RMA", "refund")}), None),
    )
    held = held_after(first, other)
    assert held.stt == first.stt
    assert held.llm == other.llm
    assert change(first, other).of("stt") == {}
    assert change(held, back).of("stt") == {"keyterms": ("RMA", "refund")}
    assert held_after(held, back) == back
