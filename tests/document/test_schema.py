"""The schema explains every setting, and it is what the definition and Pipecat have."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.definition import AgentDefinition, Idle, Limits, Stage, Transition, Vad
from runner.document.check import known_names, resolved, schema, settings_of

SCHEMA = Path(__file__).parents[2] / "schema" / "agent.schema.json"
Node = dict[str, Any]


def settings(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every setting of the schema with its path, references followed, for the three providers described by hand."""
    for name, part in settings_of(node, {}).items():
        here = resolved(part)
        yield f"{path}.{name}".lstrip("."), here
        yield from settings(here, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            here = resolved(node[key])
            yield f"{path}[]".lstrip("."), here
            yield from settings(here, f"{path}[]")


ALL = dict(settings(schema()))


def test_schema_is_right_by_its_own_standard() -> None:
    written = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert written == schema()
    assert written["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(written)


@pytest.mark.parametrize("path", ALL)
def test_every_setting_is_explained_with_an_example_that_is_right(path: str) -> None:
    node = ALL[path]
    description = node["description"]
    assert len(description) > 20
    assert "Example: " in description
    assert node["examples"]
    bare = {key: value for key, value in node.items() if key != "examples"}
    validator = jsonschema.Draft202012Validator({"$defs": schema()["$defs"], **bare})
    for example in node["examples"]:
        assert validator.is_valid(example), example


@pytest.mark.parametrize("path", [path for path, node in ALL.items() if "default" in node])
def test_every_default_is_named_in_its_explanation(path: str) -> None:
    default = ALL[path]["default"]
    said = str(default).lower() if isinstance(default, bool) else str(default)
    assert f"Default: {said}" in ALL[path]["description"]


@pytest.mark.parametrize("path", [path for path, node in ALL.items() if "minimum" in node and "maximum" in node])
def test_every_range_is_named_in_its_explanation(path: str) -> None:
    node = ALL[path]
    assert re.search(rf"[Ff]rom {node['minimum']} (\(\w+( \w+)?\) )?to {node['maximum']}\b", node["description"])


@pytest.mark.parametrize("path", [path for path, node in ALL.items() if "x-unit" in node])
def test_every_duration_names_its_unit(path: str) -> None:
    word = {"s": "seconds", "ms": "milliseconds"}[ALL[path]["x-unit"]]
    assert f"A plain number is {word}" in ALL[path]["description"]


@pytest.mark.parametrize("service", ["stt", "llm", "tts"])
def test_every_vendor_setting_names_the_vendor_s_own_name(service: str) -> None:
    for path, node in ALL.items():
        if path.startswith(f"{service}.") and not path.endswith(("provider", "]", ".file", ".only")):
            assert "'s name: " in node["description"], path


def test_no_explanation_speaks_jargon() -> None:
    for path, node in ALL.items():
        said = re.sub(r"\w+_\w+", "", node["description"].lower())
        for word in ("mapping", "scalar", "token", "object", "array", "string", "property", "node"):
            assert word not in said, path


def test_every_group_refuses_settings_it_does_not_know() -> None:
    def groups(node: Any, inside_condition: bool = False) -> Iterator[Node]:
        if isinstance(node, dict):
            if "properties" in node and not inside_condition:
                yield node
            for key, inner in node.items():
                yield from groups(inner, inside_condition or key in ("if", "then", "else"))
        elif isinstance(node, list):
            for inner in node:
                yield from groups(inner)

    opened = {id(schema()["$defs"][name]) for name in ("assemblyai", "openai", "cartesia")}
    for group in groups(schema()):
        if id(group) not in opened:
            assert group.get("additionalProperties") is False or group.get("unevaluatedProperties") is False


def names(kind: type) -> set[str]:
    return {part.name for part in fields(kind)}


def test_schema_and_definition_have_the_same_parts() -> None:
    own = set(schema()["properties"])
    assert own - {"extends"} == names(AgentDefinition) - {"file", "sources"}
    stage = resolved(schema()["$defs"]["stage"])["properties"]
    assert set(stage) == names(Stage) - {"name"}
    turns = schema()["$defs"]["turns"]["properties"]
    assert set(turns["vad"]["properties"]) == names(Vad)
    assert set(turns["idle"]["properties"]) == names(Idle)
    assert set(schema()["$defs"]["limits"]["properties"]) == names(Limits)
    assert set(schema()["$defs"]["way"]["properties"]) == names(Transition)


def test_defaults_of_schema_and_definition_agree() -> None:
    vad = schema()["$defs"]["turns"]["properties"]["vad"]["properties"]
    assert {name: part["default"] for name, part in vad.items()} == {part.name: part.default for part in fields(Vad)}


def test_stage_settings_are_those_of_the_agent_but_turn_detection() -> None:
    for service, provider in (("stt", "assemblyai"), ("llm", "openai"), ("tts", "cartesia")):
        stage = set(schema()["$defs"][f"{provider}_in_a_stage"]["properties"])
        assert stage == set(settings_of(schema()["$defs"][service], {})) - {"turn_detection", "provider", "endpoint"}


def test_pipecat_has_every_setting_of_the_vendors() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pipecat 1.14 imports `audioop`, which Python 3.11 calls deprecated
        from pipecat.services.assemblyai.stt import AssemblyAISTTService
        from pipecat.services.cartesia.tts import CartesiaTTSService, GenerationConfig
        from pipecat.services.openai.llm import OpenAILLMService

    ours = {
        name: set(schema()["$defs"][name]["properties"]) - {"endpoint"} for name in ("assemblyai", "openai", "cartesia")
    }
    renamed = {"keyterms": "keyterms_prompt", "about": "prompt"}
    ears = {renamed.get(name, name) for name in ours["assemblyai"]} - {"turn_detection"}
    assert ears <= names(AssemblyAISTTService.Settings)
    model = ours["openai"] - {"service_tier"}
    assert model <= names(OpenAILLMService.Settings)
    voice = ours["cartesia"] - set(GenerationConfig.model_fields)
    assert voice <= names(CartesiaTTSService.Settings)


def test_every_name_is_known_to_the_reader() -> None:
    assert {path.rsplit(".", 1)[-1] for path in ALL if not path.endswith("]")} <= known_names()
