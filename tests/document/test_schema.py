"""The schema explains every setting, and it is what the definition and Pipecat have."""

from __future__ import annotations

import inspect
import json
import re
import typing
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.catalog import PROVIDERS, Part
from runner.definition import (
    AgentDefinition,
    Audio,
    Daily,
    Idle,
    Limits,
    Person,
    Speakers,
    SpokenLanguage,
    Stage,
    Transition,
    Turns,
    Vad,
)
from runner.document.check import is_taken, known_names, resolved, schema, schema_at, settings_of

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


EVERYTHING = dict(settings(schema()))
ALL = {path: node for path, node in EVERYTHING.items() if is_taken(node)}
KEPT = {path: node for path, node in EVERYTHING.items() if not is_taken(node)}
"""Names the schema knows and does not take: not there yet, or not for anybody to choose."""


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


@pytest.mark.parametrize("path", KEPT)
def test_every_name_that_is_not_taken_says_why(path: str) -> None:
    node = KEPT[path]
    why = node.get("x-not-yet") or node["x-refused"]
    assert node["not"] == {}
    assert node["description"].endswith(why)
    assert why.endswith(".")
    assert why[0] == why[0].lower() or why.startswith(("Pipecat", "AssemblyAI", "Cartesia", "Daily"))


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


OURS = {"stt": {"keep_sound"}, "tts": {"timeout"}}
"""Settings of runner's own services, which neither the vendors nor Pipecat have."""


@pytest.mark.parametrize("service", ["stt", "llm", "tts"])
def test_every_vendor_setting_names_the_vendor_s_own_name(service: str) -> None:
    for path, node in ALL.items():
        ours = path.rpartition(".")[2] in OURS.get(service, ())
        if path.startswith(f"{service}.") and not (
            ours or path.endswith(("provider", "fallback", "]", ".file", ".only"))
        ):
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
                yield from groups(inner, inside_condition)

    services = ("assemblyai", "openai", "cartesia", "any_stt", "any_llm", "any_tts")
    opened = {id(schema()["$defs"][name]) for name in services}
    for group in groups(schema()):
        if id(group) not in opened:
            assert group.get("additionalProperties") is False or group.get("unevaluatedProperties") is False


def names(kind: type) -> set[str]:
    return {part.name for part in fields(kind)}


def taken(properties: Node) -> set[str]:
    return {name for name, part in properties.items() if is_taken(part)}


def test_schema_and_definition_have_the_same_parts() -> None:
    defs = schema()["$defs"]
    assert taken(schema()["properties"]) - {"extends"} == names(AgentDefinition) - {"file", "sources", "written"}
    stage = resolved(defs["stage"])["properties"]
    assert taken(stage) == names(Stage) - {"name"}
    turns = defs["turns"]["properties"]
    below = {f"{group}_{name}" for group in ("barge_in", "smart_turn") for name in turns[group]["properties"]}
    assert taken(turns) - {"stop"} | below == names(Turns)
    assert set(turns["vad"]["properties"]) == names(Vad)
    assert set(turns["idle"]["properties"]) == names(Idle)
    assert taken(defs["audio"]["properties"]) == names(Audio)
    assert taken(defs["daily"]["properties"]) == names(Daily)
    assert set(defs["limits"]["properties"]) == names(Limits)
    assert set(schema()["properties"]["speakers"]["properties"]) == names(Speakers)
    assert set(defs["person"]["properties"]) == names(Person)
    lines = {"on_trouble", "limits", "turns"}
    assert set(defs["spoken_language"]["properties"]) == names(SpokenLanguage) - {"lines"} | lines
    assert taken(defs["way"]["properties"]) == names(Transition)


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        (Vad, ("turns", "vad")),
        (Turns, ("turns",)),
        (Audio, ("audio",)),
        (Daily, ("daily",)),
        (Idle, ("turns", "idle")),
        (Speakers, ("speakers",)),
        (SpokenLanguage, ("languages", "es")),
        (AgentDefinition, ()),
    ],
)
def test_defaults_of_schema_and_definition_agree(kind: type, group: tuple[str, ...]) -> None:
    node = schema_at({}, group) or {}
    ours = {part.name: part.default for part in fields(kind)}
    for name, part in node["properties"].items():
        if "default" in resolved(part):
            assert resolved(part)["default"] == ours[name], name
    if kind is Turns:
        for name, part in node["properties"]["smart_turn"]["properties"].items():
            assert part["default"] == ours[f"smart_turn_{name}"], name


def test_stage_settings_are_those_of_the_agent() -> None:
    for service, provider in (("stt", "assemblyai"), ("llm", "openai"), ("tts", "cartesia")):
        stage = set(schema()["$defs"][f"{provider}_in_a_stage"]["properties"])
        assert stage == set(settings_of(schema()["$defs"][service], {})) - {"provider", "endpoint", "fallback"}


def test_turns_of_a_stage_are_those_of_the_agent_or_say_why_not() -> None:
    def names_below(node: Node) -> set[str]:
        return {path for path, _ in settings(node) if "only" not in path and not path.endswith("]")}

    agents, stages = schema()["$defs"]["turns"], schema()["$defs"]["stage"]["properties"]["turns"]
    assert names_below(stages) == names_below(agents)
    refused = {path for path, node in settings(stages) if not is_taken(node)}
    assert refused == {"start", "smart_turn.pre_speech_ms", "smart_turn.max_duration_secs"}


BY_HAND: list[tuple[Part, str]] = [("stt", "assemblyai"), ("llm", "openai"), ("tts", "cartesia")]


@pytest.mark.parametrize(("part", "provider"), BY_HAND)
def test_schema_and_catalog_have_the_same_settings(part: Part, provider: str) -> None:
    properties = schema()["$defs"][provider]["properties"]
    offered = [name for name, node in properties.items() if is_taken(node) and name != "endpoint"]
    assert offered == list(PROVIDERS[part, provider].fields), "also in the same order"


@dataclass(frozen=True, slots=True)
class Vendor:
    """Pipecat's class for one provider, and what of it an agent file leaves out, with the reason."""

    part: Part
    provider: str
    service: type
    constructors: tuple[type, ...]
    not_settings: Mapping[str, str]
    not_arguments: Mapping[str, str]


def vendors() -> list[Vendor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pipecat 1.14 imports `audioop`, which Python 3.11 calls deprecated
        from pipecat.services.assemblyai.stt import AssemblyAISTTService
        from pipecat.services.cartesia.tts import CartesiaTTSService
        from pipecat.services.openai.base_llm import BaseOpenAILLMService
        from pipecat.services.openai.llm import OpenAILLMService
        from pipecat.services.stt_service import STTService, WebsocketSTTService
        from pipecat.services.websocket_service import WebsocketService

    ours = {"api_key": "from the environment", "settings": "made of all of them"}
    return [
        Vendor(
            "stt",
            "assemblyai",
            AssemblyAISTTService,
            (AssemblyAISTTService, WebsocketSTTService, STTService, WebsocketService),
            {
                "extra": "never sent",
                "language": "never sent; language_codes is",
                "language_code": "deprecated by the vendor; language_codes",
                "formatted_finals": "left over from the vendor's second version, ignored",
                "word_finalization_max_wait_time": "left over from the vendor's second version, ignored",
            },
            {
                **ours,
                "api_endpoint_base_url": "endpoint",
                "language": "deprecated by Pipecat",
                "connection_params": "deprecated by Pipecat",
                "encoding": "Pipecat sends PCM16 whatever it says; refused with that reason",
                "should_interrupt": "turns.barge_in",
                "audio_passthrough": "the pipeline needs it",
                "stt_ttfb_timeout": "for a figure of Pipecat's alone",
            },
        ),
        Vendor(
            "llm",
            "openai",
            OpenAILLMService,
            (OpenAILLMService, BaseOpenAILLMService),
            {
                "extra": "carries timeout, service_tier and the like",
                "system_instruction": "prompt",
                "top_k": "never sent to OpenAI",
                "filter_incomplete_user_turns": "deprecated by Pipecat",
                "user_turn_completion_config": "deprecated by Pipecat",
                "use_provider_thinking_default": "Pipecat sets it itself",
            },
            {
                **ours,
                "model": "deprecated by Pipecat",
                "params": "deprecated by Pipecat",
                "base_url": "endpoint",
                "default_headers": "OpenAI needs none beside those of organization and project",
                "service_tier": "goes with each request, so that it can change in a call",
                "retry_on_timeout": "timeout and max_retries, which bound every try",
                "retry_timeout_secs": "timeout and max_retries, which bound every try",
            },
        ),
        Vendor(
            "tts",
            "cartesia",
            CartesiaTTSService,
            (CartesiaTTSService,),
            {"extra": "never sent"},
            {
                **ours,
                "voice_id": "deprecated by Pipecat",
                "model": "deprecated by Pipecat",
                "params": "deprecated by Pipecat",
                "cartesia_version": "deprecated by Pipecat",
                "aggregate_sentences": "deprecated by Pipecat",
                "url": "endpoint",
                "sample_rate": "audio.out_sample_rate",
                "encoding": "Pipecat plays PCM16 alone; refused with that reason",
                "container": "Pipecat plays PCM16 alone; refused with that reason",
                "extra_headers": "Cartesia needs none",
            },
        ),
    ]


@pytest.mark.parametrize("vendor", vendors(), ids=lambda vendor: vendor.provider)
def test_every_setting_of_pipecat_is_in_the_file_or_left_out_for_a_reason(vendor: Vendor) -> None:
    """Fails when Pipecat adds a setting, takes one away, or gets one that is sent past it today."""
    catalog = PROVIDERS[vendor.part, vendor.provider].fields.values()
    settings = {field.wire for field in catalog if field.wire and not field.parameter}
    assert settings | set(vendor.not_settings) == names(vendor.service.Settings)
    past_pipecat = {field.wire for field in catalog if field.parameter}
    assert not past_pipecat & (names(vendor.service.Settings) - {"extra"})
    arguments = {
        name
        for constructor in vendor.constructors
        for name, parameter in inspect.signature(constructor.__init__).parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    }
    given = {field.argument for field in catalog if field.argument}
    # Pipecat 1.14's constructor does not name it: it does nothing with it. It is given to the client instead.
    assert given - {"max_retries"} - OURS.get(vendor.part, set()) | set(vendor.not_arguments) == arguments


KINDS: dict[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}


@pytest.mark.parametrize("vendor", vendors(), ids=lambda vendor: vendor.provider)
def test_types_and_choices_of_schema_and_pipecat_agree(vendor: Vendor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hints = typing.get_type_hints(vendor.service.Settings, localns={"UserTurnCompletionConfig": object})
    for name, field in PROVIDERS[vendor.part, vendor.provider].fields.items():
        if not field.wire or field.parameter or field.wire == "generation_config":
            continue
        node = resolved(schema()["$defs"][vendor.provider]["properties"][name])
        allowed = {node["type"]} if isinstance(node["type"], str) else set(node["type"])
        choices: set[str] = set()
        kinds: set[str] = set()
        for kind in typing.get_args(hints[field.wire]) or (hints[field.wire],):
            if typing.get_origin(kind) is typing.Literal:
                choices |= set(typing.get_args(kind))
                kinds.add("string")
            elif (plain := typing.get_origin(kind) or kind) in KINDS:
                kinds.add(KINDS[plain])
        assert kinds <= allowed, name
        lists_from_files = {"object"} if "array" in kinds else set()
        assert allowed - kinds <= ({"string"} if "x-unit" in node else lists_from_files), name
        if choices:
            assert set(node["enum"]) == choices, name


def test_every_name_is_known_to_the_reader() -> None:
    assert {path.rsplit(".", 1)[-1] for path in ALL if not path.endswith("]")} <= known_names()
