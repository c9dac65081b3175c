"""What one running call notices of a save, and when: told before the save is applied, so it has to be true."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from runner.definition import AgentDefinition
from runner.document.load import load
from runner.effective import effective, held_after
from runner.following import follow, renames
from runner.reach import Place, reach
from tests.running import PROJECT

SHOP = """
prompt: You are Maya.
greeting: Hello from {{ place }}.
variables: {place: Bern}
stt: {keyterms: [RMA]}
llm: {temperature: 0.2}
tts: {voice: 79a125e8-cd45-4c13-8a67-188112f4dd22}
limits: {max_call: 15m}
turns:
  idle: {after: 8s, say: Are you there?}
anywhere:
  - when: The caller wants a person
    to: human
stages:
  start:
    prompt: Ask what is wanted.
    llm: {temperature: 0.7}
    next:
      - when: The caller leaves
        to: bye
  human:
    prompt: Say that {{ place }} calls back.
    next:
      - otherwise: bye
  bye:
    say: Bye.
    end: true
"""


def agent(text: str) -> AgentDefinition:
    loaded = load(Path("/nowhere/shop.yaml"), text=text, env={})
    assert loaded.definition, [problem.message for problem in loaded.problems]
    return loaded.definition


OLD = agent(SHOP)


def noticed(old: str, new: str, stage: str = "start", **place: object) -> list[str]:
    assert old in SHOP
    return list(reach(replace(Place(OLD, stage), **place), agent(SHOP.replace(old, new))))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("You are Maya", "You are Zoe", ["prompt from the next turn"]),
        ("Hello", "Good day", ["greeting from the next call"]),
        ("[RMA]", "[RMA, refund]", ["keyterms at once"]),
        ("79a125e8-", "89a125e8-", ["voice from the next sentence"]),
        ("0.7", "0.8", ["llm.temperature from the next turn"]),
        ("0.2", "0.3", ["llm.temperature when the call leaves start"]),
        ("15m", "20m", ["limits.max_call at once"]),
        ("Are you there", "Still there", ["turns.idle at once"]),
        ("The caller leaves", "The caller is done", ["the ways out from the next turn"]),
        ("wants a person", "wants a human", ["anywhere from the next turn"]),
        ("Say that", "Promise that", ["prompt when the call next enters human"]),
        ("Bye.", "See you.", ["say when the call next enters bye"]),
        ("Bern}", "Basel}", ["prompt when the call next enters human", "greeting from the next call"]),
        ("prompt: You", "audio: {in_sample_rate: 8000}\nprompt: You", ["sample rate from the next call"]),
        (
            "{temperature: 0.2}",
            "{temperature: 0.2, endpoint: http://127.0.0.1:9/v1}",
            ["llm.endpoint from the next call"],
        ),
        ("prompt: You", "description: A shop.\nprompt: You", ["description at once"]),
        ("  start:\n", "  begin:\n    renamed_from: start\n", ["goes on in begin, the new name of start"]),
        (
            "  start:\n",
            "  begin:\n",
            [
                "stays in the old text of start until it leaves it",
                "the new stage when the call next enters begin",
                "the first stage from the next call",
            ],
        ),
    ],
)
def test_each_change_is_told_with_its_moment(old: str, new: str, said: list[str]) -> None:
    assert noticed(old, new) == said


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("start", ["turns.barge_in from the next turn", "turns.idle at once"]),
        ("human", ["turns.barge_in and turns.idle when the call next enters start"]),
    ],
)
def test_turns_of_a_stage_are_told_where_they_hold(stage: str, said: list[str]) -> None:
    new = "turns: {barge_in: false, idle: {after: 30s}}\n    prompt: Ask what"
    assert sorted(noticed("prompt: Ask what", new, stage)) == said


def test_turns_that_a_stage_hides_are_told_for_when_it_is_left() -> None:
    old = agent(SHOP.replace("prompt: Ask what", "turns: {idle: {after: 30s}}\n    prompt: Ask what"))
    new = replace(old, turns=replace(old.turns, idle=replace(old.turns.idle, after=5)))  # type: ignore[type-var]
    assert list(reach(Place(old, "start"), new)) == ["turns.idle when the call leaves start"]


def test_several_changes_are_told_by_their_moments() -> None:
    text = SHOP.replace("You are Maya", "You are Zoe").replace("79a125e8-", "89a125e8-").replace("0.7", "0.8")
    text = text.replace("prompt: You", "audio: {in_sample_rate: 8000}\nprompt: You")
    assert "; ".join(reach(Place(OLD, "start"), agent(text))) == (
        "llm.temperature and prompt from the next turn; voice from the next sentence; sample rate from the next call"
    )


def test_dictation_is_told_where_it_is_and_without_the_silences_it_brings() -> None:
    assert noticed("prompt: Say", "listen_for: name\n    prompt: Say") == ["listen_for when the call next enters human"]
    [said] = noticed("prompt: Say", "listen_for: name\n    prompt: Say", stage="human")
    assert said.startswith("listen_for ")


def test_limit_that_has_passed_is_told_as_the_end() -> None:
    assert noticed("15m", "1m", seconds=61)[0] == "ends at once: it has lasted longer than limits.max_call"
    assert noticed("15m", "1m", seconds=59) == ["limits.max_call at once"]


def test_typed_call_hears_no_voice() -> None:
    assert noticed("79a125e8-", "89a125e8-", typed=True) == ["voice not heard in a typed call"]
    assert noticed("You are Maya", "You are Zoe", typed=True) == ["prompt from the next turn"]


def test_part_on_this_machine_uses_only_some_settings() -> None:
    local = frozenset({"stt", "tts"})
    assert noticed("79a125e8-", "89a125e8-", local=local) == ["voice without effect on what runs on this machine"]
    assert noticed("[RMA]", "[RMA, refund]", local=local) == ["keyterms at once"]


def test_call_keeps_the_providers_it_was_built_with() -> None:
    assert noticed("0.7", "0.8", built={"llm": "groq"}) == ["llm.temperature from the next call"]


def test_call_that_has_not_begun_has_everything_from_its_first_word() -> None:
    assert noticed("Hello", "Good day", begun=False) == ["greeting from the call's first word"]
    assert noticed("You are Maya", "You are Zoe", begun=False) == ["prompt from the call's first word"]
    assert noticed("  start:\n", "  begin:\n", begun=False) == []


def test_stages_come_and_go_with_the_next_call() -> None:
    plain = agent(SHOP.partition("anywhere:")[0])
    assert reach(Place(plain, None), OLD) == ("the stages from the next call",)
    said = reach(Place(OLD, "start"), plain)
    assert said[:2] == (
        "stays in the old text of start to its end: the file has no stages any more",
        "human and bye are gone",
    )


def test_nothing_is_told_of_what_nobody_notices() -> None:
    assert noticed("variables: {place: Bern}", "variables: {place: Bern, unused: x}") == []
    assert noticed("prompt: You", "# a comment\nprompt: You") == []


# where a call goes on


def test_stage_follows_its_new_name_and_its_ways_too() -> None:
    after = agent(
        SHOP.replace("to: bye", "to: end")
        .replace("otherwise: bye", "otherwise: end")
        .replace("  bye:\n", "  end:\n    renamed_from: [goodbye, bye]\n")
    )
    assert renames(OLD, after) == {"bye": "end"}
    assert follow(OLD, "bye", after).stage == "end"
    assert follow(OLD, "start", after).fate == "same"
    assert reach(Place(OLD, "start"), after) == ()


def test_old_text_of_a_stage_leads_to_stages_that_there_are() -> None:
    after = agent(
        SHOP.replace("  start:\n", "  begin:\n")
        .replace("to: bye", "to: end")
        .replace("otherwise: bye", "otherwise: end")
        .replace("  bye:\n", "  end:\n    renamed_from: bye\n")
    )
    going = follow(OLD, "start", after)
    assert (going.fate, going.stage) == ("removed", "start")
    assert [way.to for way in going.agent.stages["start"].next] == ["end"]
    gone = agent(
        SHOP.replace("  start:\n", "  begin:\n")
        .replace("to: bye", "to: fin")
        .replace("otherwise: bye", "otherwise: fin")
        .replace("  bye:\n", "  fin:\n")
    )
    assert [way.to for way in follow(OLD, "start", gone).agent.stages["start"].next] == ["begin"]


EXAMPLES = [*sorted((PROJECT / "agents").glob("*.yaml")), *sorted((PROJECT / "tests/examples/good").glob("*.yaml"))]


def test_every_example_can_become_every_other() -> None:
    found = [load(file, env={"REGION": "eu", "HOST": "example.com"}).definition for file in EXAMPLES[::3]]
    agents = [one for one in found if one]
    for before, after in product(agents, repeat=2):
        for stage in before.stages or [None]:
            said = reach(Place(before, stage), after)
            assert all(said), said
            if before is after:
                assert said == ()


def test_provider_that_comes_back_is_told_from_what_the_call_still_holds() -> None:
    deepgram = agent(SHOP.replace("stt: {keyterms: [RMA]}", "stt: {provider: deepgram}"))
    back = agent(SHOP.replace("[RMA]", "[RMA, refund]"))
    begun = effective(OLD, "start")
    place = Place(deepgram, "start", built={"stt": "assemblyai"}, held=held_after(begun, effective(deepgram, "start")))
    assert "keyterms at once" in reach(place, back)
    assert reach(place, deepgram) == ()
