"""`runner diff`: a sentence for everything that differs, and none for what does not."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.catalog import PARTS, PROVIDERS, When
from runner.cli import main
from runner.definition import (
    AgentDefinition,
    Audio,
    Daily,
    Greeting,
    Idle,
    Limits,
    Only,
    Service,
    Stage,
    Transition,
    Turns,
    Vad,
)
from runner.diff import differences
from runner.document.check import schema_at, types
from runner.document.load import load
from runner.wording import for_calls
from tests.moments import ANY_TURNS
from tests.running import PROJECT

SUPPORT = (PROJECT / "agents" / "support.yaml").read_text(encoding="utf-8")
BY_EAR = """
prompt: Be brief.
stt:
  turn_detection: assemblyai
  keyterms: [Northwind]
stages:
  talk:
    prompt: Talk.
    next:
      - when: The caller gives an address
        examples: [It is Jane at Northwind]
        to: email
  email:
    prompt: Get the address.
    stt:
      max_turn_silence: 2s
    next:
      - otherwise: talk
"""


def agent(text: str, name: str = "agent") -> AgentDefinition:
    loaded = load(Path(f"/agents/{name}.yaml"), text=text, env={})
    assert loaded.definition, loaded.problems
    return loaded.definition


def told(before: str, after: str) -> list[str]:
    return [str(difference) for difference in differences(agent(before), agent(after))]


@pytest.mark.parametrize(
    ("text", "was", "now", "said"),
    [
        (BY_EAR, "2s", "3s", "waits 1 s longer for the caller in stage email: running calls, at once"),
        (BY_EAR, "2s", "1500ms", "waits 500 ms less for the caller in stage email: running calls, at once"),
        (
            BY_EAR,
            "    stt:\n      max_turn_silence: 2s",
            "    listen_for: email",
            "listens for email in stage email: running calls, from their next turn",
        ),
        (
            BY_EAR,
            "detection: assemblyai",
            "detection: pipecat",
            "who decides that the caller has finished is pipecat instead of assemblyai: running calls, from their next turn",
        ),
        (BY_EAR, "Be brief.", "Be very brief.", 'the prompt adds "very": running calls, from their next turn'),
        (
            BY_EAR,
            "[Northwind]",
            "[RMA]",
            "also listens for RMA and no longer listens for Northwind: running calls, at once",
        ),
        (
            BY_EAR,
            "gives an address",
            "spells an address",
            'the way to email says "spells" instead of "gives" in its case in stage talk: running calls, from their next '
            "turn",
        ),
        (
            BY_EAR,
            "[It is Jane at Northwind]",
            "[It is Jane at Northwind, Write this down]",
            'the way to email is also known by "Write this down" in stage talk: running calls, from their next turn',
        ),
        (
            BY_EAR,
            "otherwise: talk",
            "after_tries: 3\n        to: talk",
            "goes to talk after 3 tries in stage email: running calls, from their next turn",
        ),
        (
            SUPPORT,
            "agent_name: Maya",
            "agent_name: Zoe",
            'the variable agent_name is "Zoe" instead of "Maya": running calls, from their next turn',
        ),
        (
            SUPPORT,
            "barge_in: true",
            "barge_in: false",
            "callers may no longer interrupt: running calls, from their next turn",
        ),
        (SUPPORT, "after: 12s", "after: 8s", "speaks to a silent caller 4 s sooner: running calls, at once"),
        (SUPPORT, "max_call: 15m", "max_call: 1h", "a call may last 45 min longer: running calls, at once"),
        (
            SUPPORT,
            "limits:\n  max_call: 15m\n",
            "",
            "limits.max_call is no longer set (before: 15 min): running calls, at once",
        ),
        (
            SUPPORT,
            "temperature: 0.4",
            "temperature: 0.7",
            "words its answers more freely: temperature, 0.7 instead of 0.4: running calls, from their next turn",
        ),
        (
            SUPPORT,
            "  temperature: 0.4\n",
            "",
            "llm.temperature is no longer set (before: 0.4); OpenAI decides: running calls, from their next turn",
        ),
        (
            SUPPORT,
            "model: gpt-4o\n",
            "model: gpt-4.1\n",
            "answers with the model gpt-4.1 instead of gpt-4o: running calls, from their next turn",
        ),
        (
            SUPPORT,
            "How can I help?",
            "What can I do?",
            'the greeting says "What can I do?" instead of "How can I help?": from the next call',
        ),
        (
            SUPPORT,
            "say: Please tell me the email address, slowly.",
            "say: Please spell the email address.",
            'says "spell the email address." instead of "tell me the email address, slowly." in stage email: '
            "running calls, when they next enter the stage",
        ),
        (
            SUPPORT,
            "listen_for: number",
            "listen_for: name",
            "waits 500 ms less for the caller, listens for name instead of number in stage refund: "
            "running calls, from their next turn",
        ),
        (SUPPORT, "name: support", "name: help", "the agent is called help instead of support: running calls, at once"),
    ],
)
def test_one_edit_is_one_sentence(text: str, was: str, now: str, said: str) -> None:
    assert was in text
    assert said in (lines := told(text, text.replace(was, now, 1)))
    assert len(lines) == (2 if "otherwise" in was or ("listen_for" in now + was and "stt" in was) else 1), lines


TURNS_BY_STAGE = """
prompt: Be brief.
turns:
  barge_in: {{after_words: 2, ignore: [mhm]}}
  mute: [tools]
  idle: {{after: 9s, say: "Hm, {{{{ who }}}}?"}}
variables: {{who: {who}}}
limits: {{max_call: 9m, warning: "Soon, {{{{ who }}}}."}}
stages:
  one:
    prompt: Ask.
    turns: {{vad: {{}}{turns}}}
    next: [{{otherwise: bye}}]
  bye: {{say: Goodbye., end: true}}
"""
LATER, ONCE = " in stage one: running calls, from their next turn", " in stage one: running calls, at once"


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("", ", barge_in: false", f"callers may no longer interrupt{LATER}"),
        (", barge_in: false", "", f"callers may interrupt{LATER}"),
        ("", ", barge_in: true", f"the first sound of speech interrupts{LATER}"),
        ("", ", barge_in: {after_words: 5}", f"takes more words to interrupt it: after_words, 5 instead of 2{LATER}"),
        ("", ", barge_in: {ignore: [yes]}", f"turns.barge_in.ignore also has yes{LATER}"),
        ("", ", mute: {only: [always]}", f"turns.mute has always in place of what the agent's has{LATER}"),
        ("", ", idle: {after: 30s}", f"speaks to a silent caller 21 s later{ONCE}"),
        ("", ", idle: false", f"says nothing to a silent caller any more{ONCE}"),
        (", idle: false", ", idle: {after: 30s}", f"speaks to a silent caller after 30 s{ONCE}"),
        ("", ", idle: {after: 9}", f"turns.idle.after is 9 s, which changes nothing{ONCE}"),
        ("", ", smart_turn: {stop_secs: 5}", f"waits 2 s longer for a caller who sounds unfinished{LATER}"),
        ("", ", look_ahead: off", f"looking ahead to the next stage is off instead of likely{LATER}"),
    ],
)
def test_a_stages_turn_taking_is_told_against_what_held_there(was: str, now: str, said: str) -> None:
    text = TURNS_BY_STAGE
    assert told(text.format(who="Jo", turns=was), text.format(who="Jo", turns=now)) == [said]


def test_a_variable_in_what_is_said_to_a_silent_caller_is_one_sentence() -> None:
    lines = told(TURNS_BY_STAGE.format(who="Jo", turns=""), TURNS_BY_STAGE.format(who="Al", turns=""))
    assert lines == ['the variable who is "Al" instead of "Jo": running calls, from their next turn']


def test_a_voice_is_heard_from_the_next_sentence_as_a_save_says() -> None:
    text = "prompt: Hi.\ntts: {speed: 1.1}\nstages:\n  one: {say: Bye., end: true, tts: {speed: 1.2}}\n"
    assert told(text, text.replace("1.1", "1.3"))[0].endswith(": running calls, from their next sentence")
    assert told(text, text.replace("1.2", "1.4"))[0].endswith("in stage one: running calls, from their next sentence")


def test_first_stage_order_and_names_of_stages_are_told() -> None:
    stages = "prompt: Be brief.\nstages:\n"
    a, b, c = (f"  {name}:\n    prompt: Talk.\n    say: {name}.\n    end: true\n" for name in "abc")
    renamed = b.replace("  b:", "  z:")
    reachable = "anywhere:\n" + "".join(f"  - when: The caller wants {name}\n    to: {name}\n" for name in "abc")
    assert told(reachable + stages + a + b + c, reachable + stages + b + a + c) == [
        "calls begin in stage b instead of a: from the next call"
    ]
    assert told(reachable + stages + a + b + c, reachable + stages + a + c + b) == [
        "the stages stand in another order: from the next call"
    ]
    lines = told(reachable + stages + a + b + c, reachable.replace("to: b", "to: z") + stages + a + renamed + c)
    assert "stage b is called z now: running calls, when they next enter the stage" in lines
    says_so = renamed.replace("Talk.", "Talk more.") + "    renamed_from: b\n"
    lines = told(reachable + stages + a + b + c, reachable.replace("to: b", "to: z") + stages + a + says_so + c)
    assert lines[0] == "stage b is called z now: running calls, at once"
    assert any("in stage z" in line for line in lines[1:])
    assert not [line for line in lines if "gone" in line or "new stage" in line]
    assert not [line for line in lines if "new stage" in line or "is gone" in line]


def test_stages_that_come_and_go_are_told() -> None:
    lines = told("prompt: Hi.\n", "prompt: Hi.\nstages:\n  bye:\n    say: Goodbye.\n    end: true\n")
    assert lines == ['there is a new stage bye, which says "Goodbye.": from the next call']
    with_two = BY_EAR + "  bye:\n    say: Goodbye.\n    end: true\n"
    with_two = with_two.replace("      - otherwise: talk", "      - otherwise: bye")
    assert "stage bye is gone: running calls, when they next enter the stage" in told(with_two, BY_EAR)


def test_spaces_alone_are_told_as_such() -> None:
    before, after = "prompt: |\n  Be brief.\n  Be kind.\n", "prompt: |\n  Be brief. Be kind.\n"
    assert told(before, after) == ["the prompt has other spaces or line breaks: running calls, from their next turn"]


def test_template_that_says_the_same_is_told_as_such() -> None:
    before = 'variables: {who: Maya}\nprompt: "You are {{ who }}."\n'
    after = 'variables: {who: Maya}\nprompt: "You are {{who}}."\n'
    (line,) = told(before, after)
    assert "says the same" in line


def test_what_follows_by_itself_is_not_told_again() -> None:
    """In pipecat turn detection a longer silence also raises max_turn_silence and the VAD's stop."""
    text = "prompt: Hi.\nstt:\n  min_turn_silence: {}\n"
    assert told(text.format(200), text.format(1200)) == ["waits 1 s longer for the caller: running calls, at once"]


def test_names_of_the_files_are_no_difference() -> None:
    assert differences(agent("prompt: Hi.\n", "old"), agent("prompt: Hi.\n", "new")) == []


def test_defaults_that_are_written_out_are_no_difference() -> None:
    assert told("prompt: Hi.\n", "prompt: Hi.\nllm:\n  model: gpt-4o\nturns:\n  barge_in: true\n") == []


WORDS = st.text("abc xyz\n.", min_size=1, max_size=12).filter(str.strip)
NAMES = ("one", "two", "three")


def values(part: str, name: str) -> st.SearchStrategy[Any]:
    """Values of the right kind for one setting; the exact range does not matter here."""
    node = schema_at({part: {}}, (part, name)) or {}
    if "enum" in node:
        return st.sampled_from(node["enum"])
    kind = types(node)[0]
    if kind == "array":
        return st.lists(st.sampled_from(["en", "es", "a", "b"]), max_size=3, unique=True).map(tuple)
    return {
        "boolean": st.booleans(),
        "integer": st.integers(50, 5000),
        "number": st.integers(0, 8).map(lambda n: n / 4),
    }.get(kind, st.sampled_from(["a", "b c", "d" * 70]))


def service(part: Any, *, delta: bool = False) -> st.SearchStrategy[Any]:
    provider = next(p for (kind, _), p in PROVIDERS.items() if kind == part)
    optional = {name: values(part, name) for name in provider.fields}
    if delta:
        if part == "stt":
            optional["keyterms"] |= values(part, "keyterms").map(Only)
            del optional["turn_detection"]
        return st.fixed_dictionaries({}, optional=optional)
    always = {name: optional[name] for name in ("turn_detection", "model") if name in optional and part == "stt"}
    settings_ = st.fixed_dictionaries(always, optional={name: v for name, v in optional.items() if name not in always})
    return st.builds(Service, st.just(provider.name), settings_, st.none() | st.just("wss://example.com"))


WAYS = st.lists(
    st.one_of(
        st.builds(Transition, st.sampled_from(NAMES), WORDS, st.lists(WORDS, max_size=2).map(tuple)),
        st.builds(Transition, st.sampled_from(NAMES), after_tries=st.integers(1, 4)),
        st.builds(Transition, st.sampled_from(NAMES), otherwise=st.just(True)),
    ),
    max_size=3,
).map(tuple)


@st.composite
def stages(draw: st.DrawFn) -> dict[str, Stage]:
    made: dict[str, Stage] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3)):
        made[name] = Stage(
            name,
            prompt=draw(st.none() | WORDS),
            say=draw(st.none() | WORDS),
            listen_for=draw(st.sampled_from([None, "email", "phone"])),
            **{part: draw(service(part, delta=True)) for part in PARTS},
            turns=draw(ANY_TURNS),
            next=draw(WAYS),
            end=draw(st.booleans()),
        )
    return made


SECONDS = st.floats(0.05, 5).map(lambda x: round(x, 2))
TURNS = st.builds(
    Turns,
    barge_in=st.booleans(),
    barge_in_after_words=st.integers(0, 3),
    barge_in_ignore=st.lists(WORDS, max_size=2).map(tuple),
    mute=st.sampled_from([(), ("greeting",), ("always", "tools")]),
    vad=st.builds(Vad, SECONDS, SECONDS, SECONDS, SECONDS),
    smart_turn=st.booleans(),
    smart_turn_stop_secs=SECONDS,
    idle=st.none() | st.builds(Idle, SECONDS, WORDS, st.integers(1, 5), st.none() | WORDS),
)
AGENTS = st.builds(
    AgentDefinition,
    name=st.sampled_from(["agent", "other"]),
    file=st.just(Path("/agents/agent.yaml")),
    prompt=WORDS,
    stt=service("stt"),
    llm=service("llm"),
    tts=service("tts"),
    description=st.just("") | WORDS,
    variables=st.dictionaries(st.sampled_from(["who", "what"]), WORDS),
    greeting=st.none() | st.builds(Greeting, WORDS) | st.builds(Greeting, st.none(), WORDS),
    turns=TURNS,
    limits=st.builds(Limits, st.none() | SECONDS),
    voices=st.dictionaries(st.sampled_from(["calm", "loud"]), WORDS),
    audio=st.builds(Audio, st.sampled_from([8000, 16000])),
    daily=st.builds(Daily, st.none() | WORDS, expires_in=SECONDS, enable_chat=st.booleans()),
    reload=st.sampled_from(["live", "next-call", "off"]),
    anywhere=WAYS,
    stages=stages(),
)


def meant(one: AgentDefinition) -> Any:
    """What an agent is, without where it was read from; the order of its stages counts."""
    parts = {part: (s.provider, dict(s.settings), s.endpoint) for part in PARTS for s in [getattr(one, part)]}
    rest = {f.name: getattr(one, f.name) for f in dataclasses.fields(one) if f.name not in (*PARTS, "file", "sources")}
    return parts, rest, list(one.stages)


def one_field_differs(draw: st.DrawFn, old: AgentDefinition, new: AgentDefinition) -> AgentDefinition:
    name = draw(st.sampled_from([f.name for f in dataclasses.fields(AgentDefinition) if f.name != "file"]))
    return dataclasses.replace(old, **{name: getattr(new, name)})


@st.composite
def pairs(draw: st.DrawFn) -> tuple[AgentDefinition, AgentDefinition]:
    """Two agents: unrelated, or the same but for one field."""
    old, new = draw(AGENTS), draw(AGENTS)
    return old, new if draw(st.booleans()) else one_field_differs(draw, old, new)


@given(pairs())
@settings(max_examples=60, deadline=None)
def test_different_agents_always_have_a_sentence_and_equal_ones_none(
    pair: tuple[AgentDefinition, AgentDefinition],
) -> None:
    old, new = pair
    moments = {for_calls(path, when) for path in ("tts.voice", "llm.model") for when in get_args(When)}
    found = differences(old, new)
    assert bool(found) == (meant(old) != meant(new))
    for difference in found:
        line = str(difference)
        assert difference.said.strip()
        assert any(line.endswith(moment.replace("running calls ", "running calls, ")) for moment in moments)
        assert not re.search(r"\b(None|Only|Stage|Transition|Mapping|True|False)\b|\(\)|\{\}|  ", line), line
    assert differences(old, old) == differences(new, new) == []


@given(pairs())
@settings(max_examples=25, deadline=None)
def test_every_difference_is_json_with_its_sentence(pair: tuple[AgentDefinition, AgentDefinition]) -> None:
    for difference in differences(*pair):
        read = json.loads(json.dumps(difference.as_json()))
        assert read["sentence"] == str(difference)
        assert read.keys() == {"path", "before", "after", "when", "sentence"}


@given(old=AGENTS, data=st.data())
@settings(max_examples=25, deadline=None)
def test_longer_and_shorter_are_told_the_right_way_round(old: AgentDefinition, data: st.DataObject) -> None:
    grown: dict[str, Callable[[AgentDefinition], AgentDefinition]] = {
        "longer": lambda a: dataclasses.replace(a, limits=Limits((a.limits.max_call or 1) + 10)),
        "later": lambda a: dataclasses.replace(a, turns=dataclasses.replace(a.turns, idle=Idle(20, "Hello?"))),
    }
    word = data.draw(st.sampled_from(sorted(grown)))
    base = dataclasses.replace(
        old, limits=Limits(old.limits.max_call or 1), turns=dataclasses.replace(old.turns, idle=Idle(5, "Hello?"))
    )
    (there,) = differences(base, grown[word](base))
    (back,) = differences(grown[word](base), base)
    assert word in there.said
    assert {"longer": "less", "later": "sooner"}[word] in back.said


def test_command_prints_sentences_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(BY_EAR)
    new.write_text(BY_EAR.replace("2s", "3s"))
    assert main(["diff", str(old), str(new)]) == 0
    sentence = "waits 1 s longer for the caller in stage email: running calls, at once"
    assert capsys.readouterr().out == f"{sentence}\n"
    assert main(["diff", str(old), str(new), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "changes": [
            {
                "path": "stages.email.stt.max_turn_silence",
                "before": 2000,
                "after": 3000,
                "when": "now",
                "sentence": sentence,
            }
        ]
    }
    assert main(["diff", str(old), str(old)]) == 0
    assert capsys.readouterr().out == "Nothing differs that a caller or a model would notice.\n"


def test_file_with_problems_is_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.yaml").write_text("prompt: Hi.\n")
    (tmp_path / "new.yaml").write_text("promt: Hi.\n")
    assert main(["diff", str(tmp_path / "old.yaml"), str(tmp_path / "new.yaml")]) == 1
    assert 'Did you mean "prompt"?' in capsys.readouterr().err
    assert main(["diff", str(tmp_path / "old.yaml"), str(tmp_path / "gone.yaml")]) == 1
    assert main(["diff", str(tmp_path), str(tmp_path / "old.yaml")]) == 1
    assert "is a folder. Name one agent file." in capsys.readouterr().err


def test_secret_of_an_address_is_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EAR_TICKET", "hush-hush")
    text = "prompt: Hi.\nstt:\n  endpoint: wss://{}.example.com/v3/ws?token=${{EAR_TICKET}}\n"
    (tmp_path / "old.yaml").write_text(text.format("eu"))
    (tmp_path / "new.yaml").write_text(text.format("us"))
    for flags in ([], ["--json"]):
        assert main(["diff", str(tmp_path / "old.yaml"), str(tmp_path / "new.yaml"), *flags]) == 0
        out = capsys.readouterr().out
        assert "us.example.com" in out
        assert "[EAR_TICKET]" in out
        assert "hush" not in out
