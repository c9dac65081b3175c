"""Pipecat's services in, the providers of an agent file out. Run it by hand after every update of Pipecat:

    python schema/generate_providers.py

It reads Pipecat's service registry (the one behind its `pipecat` command) and the `Settings` class of every service, and writes

    schema/providers.schema.json   what a file may say about each provider; `agent.schema.json` refers to it
    runner/providers.json          how each service is made: class, packages, variables, when a change is heard
    schema/agent.schema.json       only the names under `provider` of stt, llm and tts

No vendor's package has to be installed: what is missing is pretended while Pipecat is imported, and types from outside Pipecat
never count, so that the result is the same everywhere. Settings that one line of YAML cannot hold are left out and listed.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.abc
import importlib.machinery
import inspect
import json
import re
import sys
import types
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipecat_settings import (
    Kind,
    Node,
    Rest,
    arguments_of,
    deaf_to,
    described,
    packages_of,
    rests_of,
    sentence,
    settings_of,
)

HERE = Path(__file__).resolve().parent
AGENT = HERE / "agent.schema.json"
SETTINGS = HERE / "providers.schema.json"
MAKING = HERE.parent / "runner" / "providers.json"
FILE = SETTINGS.name

BY_HAND = {"stt": "assemblyai", "llm": "openai", "tts": "cartesia"}
"""The providers that `agent.schema.json` and the catalog describe themselves."""

NAMES = {"google_gemini_llm": "google"}
"""Where a person would look for another name than the registry's."""

ENDPOINTS = ("endpoint", "base_url", "url", "api_endpoint_base_url", "ws_url")
"""What Pipecat's constructors call the address of a service, the likeliest first."""

RESTS: dict[str, dict[str, str]] = {
    "openai_stt": {"language": "en"},
    "smallest_tts": {"model": "lightning_v3.1_pro", "voice": "meher"},
    "speechmatics_stt": {"model": "linden-1"},
}
"""Defaults that a constructor works out before it writes them (its docstring says which)."""

FOLLOWS = {"deepgram_flux_tts": {"model"}, "deepgram_flux_sagemaker_tts": {"model"}}
"""Settings that a service overwrites with another one: Deepgram's Flux takes the voice for the model."""

AWS = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "api_key": "AWS_SECRET_ACCESS_KEY"}
VARIABLES: dict[str, dict[str, str]] = {
    "aws_transcribe_stt": AWS,
    "aws_polly_tts": AWS,
    "aws_bedrock_llm": {"aws_access_key": "AWS_ACCESS_KEY_ID", "aws_secret_key": "AWS_SECRET_ACCESS_KEY"},
}
"""Arguments the registry leaves out because Pipecat reads the variables itself; a `.env` beside the agent is not among those."""

OPTIONAL = {
    "aws_transcribe_stt": {"aws_session_token": "AWS_SESSION_TOKEN", "region": "AWS_REGION"},
    "aws_polly_tts": {"aws_session_token": "AWS_SESSION_TOKEN", "region": "AWS_REGION"},
    "aws_bedrock_llm": {"aws_session_token": "AWS_SESSION_TOKEN", "aws_region": "AWS_REGION"},
    "gladia_stt": {"region": "GLADIA_REGION"},
}
"""Variables the service does without (its constructor's own words)."""

_RANGE = re.compile(r"(?:\(|\bfrom )(-?\d+(?:\.\d+)?)(?: to | ?- ?|-)(-?\d+(?:\.\d+)?)(?=[),;\s]|\.(?!\d))")
"""How Pipecat's docstrings name a range: (0.0 to 1.0), from 0.7 to 1.5."""


class _Pretended(type):
    """Something of a package that is not installed: it can be called, indexed and inherited from, and means nothing."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _pretended(name)

    def __getitem__(cls, item: object) -> Any:
        return cls

    def __iter__(cls) -> Iterator[Any]:
        return iter(())


def _pretended(name: str) -> type:
    return _Pretended(
        name, (), {"__init__": lambda *_, **__: None, "__call__": lambda _, *a, **__: a[0] if a else None}
    )


class _PretendedModule(types.ModuleType):
    __path__: Sequence[str] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _pretended(name)
        setattr(self, name, made)
        return made


class _Pretender(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds every module that Pipecat itself imports and nobody else finds. Others may go on trying what is not there."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        frame = inspect.currentframe()
        while frame and frame.f_globals.get("__name__", "").startswith(("importlib", __name__)):
            frame = frame.f_back
        asks = frame.f_globals.get("__name__", "") if frame else ""
        if not asks.startswith("pipecat.") or fullname.startswith("pipecat."):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _PretendedModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        return None


@dataclasses.dataclass
class Found:
    """One provider of one part: its settings for the schema, and how it is made."""

    part: str
    name: str
    title: str
    kinds: dict[str, Kind]
    nodes: dict[str, Node]
    required: list[str]
    making: Node


def providers() -> list[Found]:
    """Every service of the registry but those described by hand, in the registry's order."""
    from pipecat.cli.registry.service_metadata import ServiceRegistry

    found: list[Found] = []
    for part in BY_HAND:
        for service in getattr(ServiceRegistry, f"{part.upper()}_SERVICES"):
            name = NAMES.get(service.value, service.value.removesuffix(f"_{part}"))
            if name != BY_HAND[part]:
                found.append(_provider(part, name, service, ServiceRegistry))
    return found


def _provider(part: str, name: str, service: Any, registry: Any) -> Found:
    class_name = service.class_name[0]
    line = next(line for line in registry.IMPORTS[service.value] if re.search(rf"\b{class_name}\b", line))
    module = line.split()[1]
    cls = getattr(importlib.import_module(module), class_name)
    kinds, left_out = settings_of(cls)
    for setting in FOLLOWS.get(service.value, ()):
        del kinds[setting]
        left_out.append(setting)
    rests, deaf, words = rests_of(cls), deaf_to(cls, list(kinds)), described(cls.Settings)
    rests |= {setting: Rest(value) for setting, value in RESTS.get(service.value, {}).items()}
    arguments = arguments_of(cls)
    keys, optional = _variables(service, registry.SERVICE_CONFIGS[service.value], arguments)
    extras = re.findall(r"[\w-]+", service.package.partition("[")[2])
    packages, python = packages_of(extras)
    endpoint = next((argument for argument in ENDPOINTS if argument in arguments), "")
    at_once = "now" if part == "stt" else "next turn"
    settings: Node = {}
    for setting, kind in kinds.items():
        rest = rests.get(setting, Rest())
        entry: Node = {"when": "next call" if setting in deaf else at_once}
        entry |= {"rest": rest.value} if rest.value is not None else {}
        entry |= {"unset": rest.unset} if rest.unset else {}
        entry |= {"language": True} if kind.language else {}
        entry |= {"choice": kind.choice} if kind.choice else {}
        settings[setting] = entry
    making: Node = {"title": service.label, "module": module, "class": class_name, "extras": extras}
    making |= {"packages": packages} if packages else {}
    making |= {"python": python} if python else {}
    making |= {"keys": keys} if keys else {}
    making |= {"optional": optional} if optional else {}
    making |= {"endpoint": endpoint} if endpoint else {}
    takes = [argument for argument in ("aiohttp_session", "should_interrupt") if argument in arguments]
    making |= {"takes": takes} if takes else {}
    making |= {"settings": settings}
    making |= {"left_out": left_out} if left_out else {}
    told = service.param_defaults or {}
    asked = [s for s in ("model", "voice") if s in (service.settings_params or ()) and s in kinds]
    required = [s for s in asked if rests.get(s, Rest()).value is None and s not in told]
    nodes = {s: _node(service.label, s, kind, words.get(s, ""), rests.get(s, Rest())) for s, kind in kinds.items()}
    for setting in asked:
        if rests.get(setting, Rest()).value is None and setting in told:
            nodes[setting]["default"] = told[setting]
    return Found(part, name, service.label, kinds, nodes, required, making)


def _variables(
    service: Any, code: str, arguments: dict[str, inspect.Parameter]
) -> tuple[dict[str, str], dict[str, str]]:
    """The environment's variables by the constructor's arguments: those it needs, those it can do without."""
    optional = OPTIONAL.get(service.value, {})
    needed: dict[str, str] = dict(VARIABLES.get(service.value, {}))
    for argument, variable in re.findall(r'(\w+)=os\.getenv\("(\w+)"\)', code):
        if argument not in (service.include_params or ()) or argument in optional:
            continue
        if arguments[argument].default in (None, "", inspect.Parameter.empty):
            needed.setdefault(argument, variable)
        else:
            optional = {**optional, argument: variable}
    return needed, optional


def _node(title: str, name: str, kind: Kind, words: str, rest: Rest) -> Node:
    text = sentence(words) or f"{title}'s {name}."
    if kind.language and "code" not in text:
        text += " A short code such as en or es."
    if rest.value not in (None, "", []):
        shown = str(rest.value).lower() if isinstance(rest.value, bool) else rest.value
        text += f" Without it: {', '.join(shown) if isinstance(shown, list) else shown}."
    node = {"description": text, **kind.node}
    spoken = _RANGE.search(words)
    if spoken and kind.node["type"] in ("number", "integer"):
        node["minimum"], node["maximum"] = map(json.loads, spoken.groups())
    if rest.value not in (None, "") and "examples" not in node and kind.node["type"] != "array":
        node["examples"] = [rest.value]
    elif kind.node["type"] == "boolean":
        node["examples"] = [True]
    elif kind.language and kind.node["type"] == "string":
        node["examples"] = ["en"]
    return node


def schema_of(found: Sequence[Found]) -> Node:
    """What `agent.schema.json` refers to: the settings of each provider, and which of them a group has."""
    defs: Node = {
        "endpoint": {
            "description": "Another address of the same service, regional or your own. ${NAME} is filled in from the "
            "environment. Without it: the provider's own address. Example: https://eu.example.com/v1.",
            "type": "string",
            "pattern": "^(wss?|https?)://\\S+$",
            "x-env": True,
            "x-says": "must begin with wss://, ws://, https:// or http://",
            "x-was": ["url", "base_url", "api_endpoint_base_url"],
            "examples": ["https://eu.example.com/v1"],
        }
    }
    for part in BY_HAND:
        mine = [provider for provider in found if provider.part == part]
        shared = _shared(part, mine)
        defs |= dict(shared.values())
        groups: list[Node] = []
        stages: list[Node] = []
        for provider in mine:
            key = f"{part}.{provider.name}"
            wanted = _ref(key)
            nodes = {
                name: _ref(shared[json.dumps(node)][0]) if json.dumps(node) in shared else node
                for name, node in provider.nodes.items()
            }
            defs[key] = {"properties": nodes}
            then: Node = {"allOf": [wanted]} if "endpoint" in provider.making else dict(wanted)
            if "endpoint" in provider.making:
                then["allOf"].append({"properties": {"endpoint": _ref("endpoint")}})
            if provider.required:
                then["required"] = provider.required
            groups.append({"if": {"properties": {"provider": {"const": provider.name}}}, "then": then})
            defs[f"{key}.stage"] = _stage(key, provider)
            inside = {"additionalProperties": {"properties": {part: _ref(f"{key}.stage")}}}
            named = {"type": "object", "properties": {"provider": {"const": provider.name}}, "required": ["provider"]}
            stages.append({"if": {"properties": {part: named}}, "then": {"properties": {"stages": inside}}})
        defs[part] = {"allOf": groups}
        defs[f"fallback.{part}"] = {"allOf": [_with_fallback(part, provider) for provider in mine]}
        defs[f"stages.{part}"] = {"allOf": stages}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://voice-agent-runner.invalid/{FILE}",
        "title": "The settings of Pipecat's services",
        "description": "Written by schema/generate_providers.py; agent.schema.json refers to it.",
        "$defs": defs,
    }


def _shared(part: str, mine: Sequence[Found]) -> dict[str, tuple[str, Node]]:
    """Settings that several providers have word for word, by their text: a name for each, and the setting."""
    counted = Counter((name, json.dumps(node)) for provider in mine for name, node in provider.nodes.items())
    found: dict[str, tuple[str, Node]] = {}
    taken: set[str] = set()
    for (name, text), times in counted.items():
        if times < 3:
            continue
        free = next(key for n in range(1, 99) if (key := f"{part}:{name}{n if n > 1 else ''}") not in taken)
        taken.add(free)
        found[text] = (free, json.loads(text))
    return found


def _stage(key: str, provider: Found) -> Node:
    """The same settings in a stage, where a list adds to the agent's and `only` replaces it."""
    lists = [name for name, kind in provider.kinds.items() if kind.node["type"] == "array"]
    if not lists:
        return {**_ref(key), "unevaluatedProperties": False}
    settings: Node = {}
    for name in provider.nodes:
        settings[name] = _ref(f"{key}/properties/{name}")
        if name in lists:
            same = {k: v for k, v in provider.nodes[name].items() if k in ("description", "items")}
            only = {"type": "array", "items": same["items"], "description": "Replaces the agent's list in this stage."}
            settings[name] = {
                **same,
                "type": ["array", "object"],
                "x-title": name,
                "properties": {"only": only},
                "required": ["only"],
                "additionalProperties": False,
            }
    return {"properties": settings, "additionalProperties": False}


def _with_fallback(part: str, provider: Found) -> Node:
    """What the items of `fallback` may say below this provider: those without a provider mean this one again."""
    same: Node = (
        {"allOf": [_ref(f"{part}.{provider.name}")]}
        if "endpoint" in provider.making
        else _ref(f"{part}.{provider.name}")
    )
    if "endpoint" in provider.making:
        same["allOf"].append({"properties": {"endpoint": _ref("endpoint")}})
    item = {
        "type": "object",
        "x-title": "an item of fallback",
        "x-again": part,
        "minProperties": 1,
        "allOf": [
            {"$ref": f"{AGENT.name}#/$defs/any_{part}"},
            {"if": {"required": ["provider"]}, "else": same},
        ],
        "unevaluatedProperties": False,
    }
    then = {"properties": {"fallback": {"items": item}}}
    return {"if": {"properties": {"provider": {"const": provider.name}}, "required": ["provider"]}, "then": then}


def _ref(name: str) -> Node:
    return {"$ref": f"{FILE}#/$defs/{name}"}


def text_of(document: Node, deep: int) -> str:
    """JSON with a line of its own for whatever stands at most so deep, so that an update of Pipecat reads well as a diff."""

    def written(value: Any, level: int) -> str:
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        if level >= deep or not any(isinstance(one, dict | list) for one in inner):
            return json.dumps(value, ensure_ascii=False)
        pad = " " * (level + 1)
        if isinstance(value, list):
            return "[\n" + ",\n".join(pad + written(item, level + 1) for item in value) + "\n" + " " * level + "]"
        lines = [
            f"{pad}{json.dumps(key, ensure_ascii=False)}: {written(inner, level + 1)}" for key, inner in value.items()
        ]
        return "{\n" + ",\n".join(lines) + "\n" + " " * level + "}"

    return written(document, 0) + "\n"


def making_of(found: Sequence[Found]) -> Node:
    """How each service is made, part by part."""
    made: Node = {part: {} for part in BY_HAND}
    for provider in found:
        made[provider.part][provider.name] = provider.making
    return made


def with_names(text: str, found: Sequence[Found]) -> str:
    """`agent.schema.json` with the names under `provider`; nothing else of it changes."""
    for part, own in BY_HAND.items():
        names = [own, *(provider.name for provider in found if provider.part == part)]
        listed = ",".join(f"\n            {json.dumps(name)}" for name in names)
        place = rf'("type": "string",\s+"enum": )\[\s*"{own}"[^\]]*\](,\s+"default": "{own}")'
        text, count = re.subn(place, rf"\1[{listed}\n          ]\2", text)
        if count != 1:
            raise SystemExit(f'{AGENT.name}: "provider" of {part} was found {count} times')
    return text


def everything() -> dict[Path, str]:
    """What the files have to hold, by file."""
    sys.meta_path.append(_Pretender())
    warnings.simplefilter("ignore")
    from loguru import logger

    logger.remove()
    found = providers()
    return {
        SETTINGS: text_of(schema_of(found), 4),
        MAKING: text_of(making_of(found), 4),
        AGENT: with_names(AGENT.read_text(encoding="utf-8"), found),
    }


def main() -> int:
    """Write the files; with `--check` only say which of them are not as Pipecat has it now."""
    wanted = everything()
    old = [file for file, text in wanted.items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        print("\n".join(f"{file.name} is not what Pipecat has" for file in old) or "The files are as Pipecat has it.")
        return 1 if old else 0
    for file, text in wanted.items():
        file.write_text(text, encoding="utf-8")
        print(f"{file.relative_to(HERE.parent)}: {len(text) // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
