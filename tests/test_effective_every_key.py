"""Every key that an agent file may hold is told when it is changed, with the moment at which a caller notices.

The keys are read from the schema, and so are the values that are tried: a key that is added there and forgotten in
`runner/effective.py` fails here without a line being written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest

from runner.catalog import PARTS, PROVIDERS, Part, When
from runner.definition import AgentDefinition
from runner.document.check import resolved
from runner.document.load import Loaded, load
from runner.effective import Change, file_changes
from runner.problem import Problem
from runner.wording import in_the_file, moment
from tests.document.test_schema import ALL
from tests.providers import agents as providers

Node = dict[str, Any]
Data = dict[str, Any]

VOICES = ("79a125e8-cd45-4c13-8a67-188112f4dd22", "5345cf08-6f37-424d-a5d9-8ae1101b9377")
BASE: Data = {
    "prompt": "You serve {{ company }}.",
    "variables": {"company": "Northwind"},
    "stages": {
        "a": {"prompt": "Ask.", "next": [{"when": "The caller leaves", "to": "b"}, {"after_tries": 2, "to": "b"}]},
        "b": {"prompt": "Say more.", "next": [{"when": "The caller goes back", "to": "back"}]},
        "c": {"say": "Bye.", "end": True},
    },
    "anywhere": [{"when": "The caller wants a person", "to": "c"}],
}

ALSO: list[Data] = [
    {},
    {"greeting": "Hello."},
    {"stt": {"turn_detection": "assemblyai"}},
    {"stt": {"speaker_labels": True}},
    {"stt": {"turn_detection": "assemblyai", "speaker_labels": True, "redact_pii": True, "voice_focus": "near-field"}},
    {"stt": {"turn_detection": "assemblyai", "redact_pii": True, "redact_pii_policies": ["person_name"]}},
    {"stt": {"language_detection": True}},
    {"stt": {"language_detection": True}, "voices": {"maya": VOICES[0]}, "tts": {"voice": "maya"}},
    {"stt": {"model": "universal-streaming-multilingual"}},
    {"stt": {"model": "universal-streaming-english"}},
    {"llm": {"model": "gpt-5-mini"}},
    {"voices": {"maya": VOICES[0]}, "tts": {"voice": "maya"}},
    {"tts": {"text_aggregation_mode": "token"}},
    {"tts": {"fallback": [{"voice": VOICES[1]}]}},
    {"turns": {"smart_turn": False}},
    {"turns": {"idle": {"after": 8, "say": "Are you there?"}}},
    {"turns": {"idle": {"after": 8, "say": "Are you there?", "goodbye": "Bye."}}},
    {"turns": {"barge_in": False}},
    {"stages": BASE["stages"] | {"b": {"prompt": "Say more.", "next": [{"after_tries": 3, "to": "c"}]}}},
    {"stages": BASE["stages"] | {"b": {"prompt": "Say more.", "next": [{"otherwise": "c"}]}}},
    {"stages": BASE["stages"] | {"b": {"say": "Bye for now."}}},
]
"""What other settings are tried beside a key: some are right only together with others. The first that fits is taken."""

NAMES = {"variables": "company", "voices": "maya", "stages": "b", "languages": "es", "people": "A", "say": "c"}
"""The name that is written where a file may have any."""

FILES = {"one.md": "one\n", "two.md": "two\n", "one.yaml": "llm: {temperature: 0.1}\nprompt: x\n"}
FILES["two.yaml"] = FILES["one.yaml"].replace("0.1", "0.2")

WAYS = [{"when": "The caller is done", "to": "c"}], [{"when": "The caller is done", "to": "b"}]
GROUPS: dict[str, list[Any]] = {
    "stages": [
        BASE["stages"] | {"b": {"say": "Bye.", "end": True}},
        BASE["stages"] | {"b": {"say": "Hm.", "end": True}},
    ],
    "anywhere": [*WAYS],
    "anywhere[]": [way for [way] in WAYS],
    "languages[].say": [{"c": "Hola."}, {"c": "Hasta luego."}],
    "stages[].next": [*WAYS],
    "stages[].next[]": [way for [way] in WAYS],
}
"""Values of groups that name stages: the schema's examples name some that are not in the file."""

OF_THE_SAVE = {"stages[].renamed_from", "stages[].renamed_from[]"}
"""Keys that say how a save is to be understood, and nothing about the calls after it."""

CANNOT_BE_HELD = {"made-with", "not-in-a-stage-yet"}
"""The problems of a setting that the schema knows and no stage may have."""

GONE_WHEN_READ = {"extends": "llm.temperature", "voices": "tts.voice", "voices[]": "tts.voice"}
"""Keys that are gone when a file has been read: what is told is what they were written for."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("keys")
    for name, text in FILES.items():
        (made / name).write_text(text)
    return made


def values(path: str, node: Node) -> list[Any]:
    """Values of a key, the likeliest first. Not all are right in every file."""
    found: list[Any] = [*node.get("enum", ()), *node.get("examples", ())]
    kinds = [node["type"]] if isinstance(node.get("type"), str) else list(node.get("type", ()))
    least, most = node.get("minimum"), node.get("maximum")
    if path.endswith(("file", "extends")):
        found = ["one.yaml", "two.yaml"] if path == "extends" else ["one.md", "two.md"]
    elif path.endswith((".to", ".otherwise")):
        found = ["b", "c"]
    elif path in GROUPS:
        return GROUPS[path]
    elif path == "voices[]":
        found = [*VOICES]
    elif path.endswith(("tts.voice", "tts.fallback[].voice", "languages[].voice")):
        found = [*VOICES, "maya"]
    elif path in NAMES and "additionalProperties" in node:
        found += [{NAMES[path]: value} for value in values(f"{path}[]", node["additionalProperties"])]
    elif "boolean" in kinds:
        found += [True, False]
    elif "number" in kinds or "integer" in kinds:
        some = [n for n in (least, most) if n is not None]
        found += [
            *some,
            *(n + 1 for n in some),
            *([(least + most) / 2] if least is not None and most is not None else []),
        ]
        found += [1, 2]
    elif "string" in kinds:
        found += ["some", "other"]
    elif "array" in kinds and "items" in node:
        found += [[value] for value in values(f"{path}[]", resolved(node["items"]))]
    if "object" in kinds:
        inner = node.get("properties", {})
        found += [{name: value} for name, item in inner.items() for value in values(f"{path}.{name}", item)[:2]]
    return found


def put(data: Data, path: str, value: object) -> Data:
    """`data` with `value` at a path such as `stages[].next[].when`; a list or group on the way is made."""
    data = deepcopy(data)
    place: Any = data
    steps = [step for part in path.split(".") for step in ([part[:-2], "[]"] if part.endswith("[]") else [part])]
    for number, step in enumerate(steps):
        key: Any = step
        if step == "[]":
            key = 0 if isinstance(place, list) else NAMES[steps[number - 1]]
            if isinstance(place, list) and not place:
                place.append(None)
        if number == len(steps) - 1:
            place[key] = value
            break
        following: Any = [] if steps[number + 1] == "[]" and step not in NAMES else {}
        held = place[key] if isinstance(place, list) else place.get(key)
        if not isinstance(held, dict | list):
            place[key] = following
        place = place[key]
    return data


def meant(agent: AgentDefinition) -> AgentDefinition:
    """`agent` without the names of its voices, which its parts hold by their ids, and without where all was written."""
    parts: dict[str, Any] = {part: replace(getattr(agent, part), given=()) for part in PARTS}
    return replace(agent, voices={}, sources=(), **parts)


def written(folder: Path, data: Data) -> Loaded:
    return load(folder / "agent.yaml", text=json.dumps(data, indent=1), env={})


def differing(folder: Path, path: str, node: Node) -> Iterator[tuple[str, Change, bool]]:
    """Pairs of right files that differ in the key at `path`: the pair in words, what is told of it, and whether the person is
    warned about the key. The first of `ALSO` with a pair of which something is told is the last."""
    for also in ALSO:
        base = {**deepcopy(BASE), **deepcopy(also)}
        files = [(value, written(folder, put(base, path, value))) for value in values(path, node)]
        right = [(value, loaded) for value, loaded in files if loaded.definition]
        if right:
            right.append(("nothing", written(folder, base)))
        some_told = False
        for (one, before), (two, after) in pairwise(right):
            if before.definition and after.definition and meant(before.definition) != meant(after.definition):
                changed = file_changes(before.definition, after.definition)
                warned = any(_about(problem, path) for problem in (*before.problems, *after.problems))
                some_told = some_told or bool(changed)
                yield f"{path}: {one!r} -> {two!r}", changed, warned
        if some_told:
            return


def _about(problem: Problem, path: str) -> bool:
    return problem.path.endswith(path.rpartition(".")[2].removesuffix("[]"))


def refused_everywhere(folder: Path, path: str, node: Node) -> set[str]:
    """The codes of the problems at the key itself, in every file that was tried."""
    return {
        problem.code
        for value in values(path, node)
        for problem in written(folder, put(BASE, path, value)).problems
        if _about(problem, path)
    }


@pytest.mark.parametrize("path", [path for path in ALL if path not in OF_THE_SAVE])
def test_every_key_is_told_when_it_is_changed(path: str, folder: Path) -> None:
    pairs = list(differing(folder, path, ALL[path]))
    if not pairs and path.startswith("stages[]."):
        assert refused_everywhere(folder, path, ALL[path]) & CANNOT_BE_HELD, path
        return
    assert any(changed for _, changed, _ in pairs), f"nothing is told of {path}: does it need other settings, in ALSO?"
    for pair, changed, warned in pairs:
        if not changed:
            assert warned, f"{pair} is told by nothing, and the person is not warned that it does nothing"
            continue
        assert {field.when for field in changed.fields} <= set(get_args(When))
        assert all(moment(field.path, field.when) for field in changed.fields)
        assert any(names(field.path, path) for field in changed.fields), (
            pair,
            [field.path for field in changed.fields],
        )


def names(told: str, path: str) -> bool:
    """Whether a change that is told as `told` is about the key at `path`: it, its group or something in it."""
    named = GONE_WHEN_READ.get(path, path).replace("stages[]", "stages.b")
    wanted = named.replace("languages[]", "languages.es").replace("people[]", "people.A").replace("[]", "").split(".")
    if wanted[-1] in ("file", "only"):
        wanted = wanted[:-1]
    said = [step for step in in_the_file(told) if not step.isdigit()]
    length = min(len(said), len(wanted))
    return said[:length] == wanted[:length] or _of_a_pair(said, wanted)


def _of_a_pair(said: list[str], wanted: list[str]) -> bool:
    """`turns.stop` and `turns.smart_turn` say the same; so do the two silences of pipecat turn detection."""
    return said[:1] == wanted[:1] == ["turns"] and {said[1], wanted[1]} <= {"stop", "smart_turn", "speech_timeout"}


def test_a_stage_with_another_name_is_told(folder: Path) -> None:
    stages = BASE["stages"]
    renamed = {"a": stages["a"] | {"next": [{"when": "The caller leaves", "to": "z"}]}, "c": stages["c"]}
    renamed["z"] = stages["b"] | {"renamed_from": "b"}
    before, after = written(folder, BASE).definition, written(folder, {**BASE, "stages": renamed}).definition
    assert before
    assert after
    told = [field for field in file_changes(before, after).fields if field.path in ("stages.b", "stages.z")]
    assert told
    assert {field.when for field in told} <= set(get_args(When))


@pytest.mark.parametrize(("part", "name"), providers.EVERY, ids=lambda value: str(value))
def test_every_key_of_every_other_provider_is_told(part: Part, name: str, folder: Path) -> None:
    table, needed = PROVIDERS[part, name].fields, providers.needed(part, name)
    bare = providers.made(folder, part, name, needed)
    for key, node in providers.settings_of(part, name).items():
        if key in ("provider", "endpoint"):
            continue
        tried = (
            providers.agent(folder, part, name, {**needed, key: value}).definition
            for value in [providers.value_for(node), *values(key, node), "other"]
        )
        after = next((made for made in tried if made and made != bare), None)
        assert after, f"no right value of {part}.{key} was found"
        told = {field.path: field.when for field in file_changes(bare, after).fields}
        assert told[f"{part}.{key}"] == table[key].when
