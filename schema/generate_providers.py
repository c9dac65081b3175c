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

import ast
import dataclasses
import enum
import importlib
import importlib.abc
import importlib.machinery
import inspect
import json
import re
import sys
import textwrap
import types
import typing
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
AGENT = HERE / "agent.schema.json"
SETTINGS = HERE / "providers.schema.json"
MAKING = HERE.parent / "runner" / "providers.json"
FILE = SETTINGS.name

BY_HAND = {"stt": "assemblyai", "llm": "openai", "tts": "cartesia"}
"""The providers that `agent.schema.json` and the catalog describe themselves."""

NAMES = {"google_gemini_llm": "google"}
"""Where a person would look for another name than the registry's."""

NOT_SETTINGS = {
    "extra",
    "system_instruction",
    "filter_incomplete_user_turns",
    "user_turn_completion_config",
    "use_provider_thinking_default",
}
"""Fields of Pipecat that are not a provider's: its own overflow, what an agent file calls `prompt`, what Pipecat deprecates or
sets itself."""

ENDPOINTS = ("endpoint", "base_url", "url", "api_endpoint_base_url", "ws_url")
"""What Pipecat's constructors call the address of a service, the likeliest first."""

TYPED: dict[str, type] = {"DeepgramSTTSettings.endpointing": int}
"""What Pipecat calls `Any` and its docstring explains (milliseconds)."""

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

Node = dict[str, Any]


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
class Kind:
    """One setting's type, in the schema's words and for making the value. None: one line of YAML cannot hold it."""

    node: Node
    language: bool = False
    choice: str = ""


def kind_of(hint: object) -> Kind | None:
    from pipecat.transcriptions.language import Language
    from pipecat.utils.types import NotGiven

    origin = typing.get_origin(hint)
    parts = [part for part in typing.get_args(hint) if part not in (type(None), NotGiven)]
    if origin in (typing.Union, types.UnionType):
        kinds = [kind_of(part) for part in parts if not _marks_absence(part)]
        return _joined([kind for kind in kinds if kind]) if kinds and all(kinds) else None
    if origin is typing.Literal:
        return Kind({"type": "string", "enum": list(parts)}) if all(isinstance(p, str) for p in parts) else None
    if origin is list:
        item = kind_of(parts[0]) if parts else None
        plain = item is not None and item.node.get("type") == "string" and not item.choice
        return Kind({"type": "array", "items": item.node}, item.language) if item and plain else None
    if hint is list:
        return Kind({"type": "array", "items": {"type": "string", "minLength": 1}})
    if hint is Language:
        return Kind({"type": "string", "minLength": 1}, language=True)
    if isinstance(hint, type) and issubclass(hint, enum.Enum) and hint.__module__.startswith("pipecat."):
        values = [member.value for member in hint]
        if not all(isinstance(value, str) for value in values):
            return None
        return Kind({"type": "string", "enum": values}, choice=f"{hint.__module__}:{hint.__qualname__}")
    plain = {str: "string", int: "integer", float: "number", bool: "boolean"}.get(typing.cast(Any, hint))
    return Kind({"type": plain, **({"minLength": 1} if plain == "string" else {})}) if plain else None


def _marks_absence(hint: object) -> bool:
    """A vendor's own "not given" beside Pipecat's."""
    return hint is type(None) or getattr(hint, "__name__", "") in ("NotGiven", "_NotGiven", "Omit")


def _joined(kinds: list[Kind]) -> Kind | None:
    """One type from several: a list and its item are a list, whole and other numbers are numbers, choices and text are text."""
    names = {kind.node["type"] for kind in kinds}
    language = any(kind.language for kind in kinds)
    if len(kinds) == 1:
        return kinds[0]
    if "array" in names:
        return next(k for k in kinds if k.node["type"] == "array") if names == {"array", "string"} else None
    if names == {"integer", "number"}:
        return Kind({"type": "number"})
    if names == {"string"}:
        known = [value for kind in kinds for value in kind.node.get("enum", ())]
        return Kind({"type": "string", "minLength": 1, **({"examples": known[:3]} if known else {})}, language)
    return Kind({"type": sorted(names)}) if "boolean" not in names else None


def settings_of(service: type) -> tuple[dict[str, Kind], list[str]]:
    """The settings of a service by name, and the names of those that a file cannot hold."""
    kinds: dict[str, Kind] = {}
    left_out: list[str] = []
    settings: Any = service.Settings  # type: ignore[attr-defined]
    said = described(settings)
    for field in dataclasses.fields(settings):
        if field.name in NOT_SETTINGS or field.name.startswith("_") or "deprecated" in said.get(field.name, ""):
            continue
        owner = next(cls for cls in settings.__mro__ if field.name in inspect.get_annotations(cls))
        names = {**vars(sys.modules[owner.__module__]), **vars(typing)}
        try:
            hint = eval(field.type, names) if isinstance(field.type, str) else field.type
        except NameError:
            hint = None
        if "str or list of str" in said.get(field.name, "") or "list of redaction" in said.get(field.name, ""):
            hint = list[str]
        kind = kind_of(TYPED.get(f"{owner.__name__}.{field.name}", hint))
        if kind is None:
            left_out.append(field.name)
        else:
            kinds[field.name] = kind
    return kinds, left_out


def described(settings: type) -> dict[str, str]:
    """What Pipecat's docstrings say about each setting; the nearest class counts."""
    import docstring_parser

    found: dict[str, str] = {}
    for cls in settings.__mro__:
        for parameter in docstring_parser.parse(cls.__doc__ or "").params:
            text = " ".join((parameter.description or "").split())
            if text:
                found.setdefault(parameter.arg_name, text)
    return found


def sentence(text: str) -> str:
    """A docstring's words without its markup and without what only programmers need, at most about two lines."""
    text = (
        re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"\1", text).replace("``", "").replace("`", "").replace("**Note:** ", "")
    )
    sentences = re.split(r"(?<=[^.]\.) (?=[A-Z])", text.split(" .. ")[0].strip())
    text = " ".join(part for part in sentences if not _FOR_PROGRAMMERS.search(part))
    if len(text) > 220:
        text = text[:220].rpartition(". ")[0] or text[:217].rpartition(" ")[0] + "..."
    return text if text.endswith((".", "...")) or not text else text + "."


_FOR_PROGRAMMERS = re.compile(
    r"\bunion type\b|\bNone\b|\benum\b|\b_\w+|\bDefaults? (to|is)\b|Service\b|\bPipecat\b|\w+\(\)"
)

_RANGE = re.compile(r"(?:\(|\bfrom )(-?\d+(?:\.\d+)?)(?: to | ?- ?|-)(-?\d+(?:\.\d+)?)(?=[),;\s]|\.(?!\d))")
"""How Pipecat's docstrings name a range: (0.0 to 1.0), from 0.7 to 1.5."""


@dataclasses.dataclass
class Rest:
    """What a service has when nobody says anything: a plain value, or the vendor's "not given" by its address."""

    value: Any = None
    unset: str = ""


def rests_of(service: type) -> dict[str, Rest]:
    """The defaults that a service's constructors write into its settings, read from their source."""
    found: dict[str, Rest] = {}
    for cls in reversed(service.__mro__):
        init = cls.__dict__.get("__init__")
        if init is None or not cls.__module__.startswith("pipecat.services"):
            continue
        names = vars(sys.modules[cls.__module__])
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(init)))):
            targets = node.targets if isinstance(node, ast.Assign) else ()
            if not any(isinstance(t, ast.Name) and t.id in ("default_settings", "_default_settings") for t in targets):
                continue
            call = typing.cast(ast.Assign, node).value
            if isinstance(call, ast.Call):
                found.update({kw.arg: _rest(kw.value, cls.__module__, names) for kw in call.keywords if kw.arg})
    return found


def _rest(node: ast.expr, module: str, names: dict[str, Any]) -> Rest:
    if isinstance(node, ast.Name) and node.id.endswith("NOT_GIVEN"):
        return Rest(unset=f"{module}:{node.id}")
    try:
        value = ast.literal_eval(node)
    except ValueError:
        try:
            value = eval(compile(ast.Expression(node), module, "eval"), dict(names))
        except Exception:
            return Rest()
        value = value.value if isinstance(value, enum.Enum) else value
    plain = isinstance(value, str | int | float | bool) or (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    )
    return Rest(value if plain else None)


def deaf_to(service: type, names: Sequence[str]) -> set[str]:
    """The settings whose change Pipecat only stores and warns about, so that the next call is the first to have it.

    A service says so itself: it overrides `_update_settings` and warns about all but the names it has written there.
    """
    for cls in service.__mro__:
        method = cls.__dict__.get("_update_settings")
        if method is None or not cls.__module__.startswith("pipecat.services") or cls.__name__ == "AIService":
            continue
        source = textwrap.dedent(inspect.getsource(method))
        if "_warn_unhandled_updated_settings" not in source:
            return set()
        body = typing.cast(ast.AsyncFunctionDef, ast.parse(source).body[0])
        handled: set[str] = set()
        for node in (inner for statement in body.body[1:] for inner in ast.walk(statement)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                handled.add(node.value)
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            if name.isupper():
                for place in (cls, service, service.Settings, sys.modules[cls.__module__]):  # type: ignore[attr-defined]
                    handled.update(n for n in getattr(place, name, ()) if isinstance(n, str))
        return {name for name in names if name not in handled}
    return set()


def arguments_of(service: type) -> dict[str, inspect.Parameter]:
    """What a constructor takes, through `**kwargs` also what those above it take."""
    found: dict[str, inspect.Parameter] = {}
    for cls in service.__mro__:
        init = cls.__dict__.get("__init__")
        if init is None or not cls.__module__.startswith("pipecat."):
            continue
        parameters = inspect.signature(init).parameters
        for name, parameter in parameters.items():
            found.setdefault(name, parameter)
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            break
    return found


def packages_of(extras: Sequence[str]) -> tuple[list[str], str]:
    """The packages that Pipecat's extras install, and the lowest Python they need ("" for any)."""
    from importlib.metadata import requires

    from packaging.requirements import Requirement

    found: dict[str, None] = {}
    python = ""
    for line in requires("pipecat-ai") or ():
        wanted = Requirement(line)
        marker = str(wanted.marker or "")
        if not any(f'extra == "{extra}"' in marker for extra in extras) or wanted.name == "pipecat-ai":
            continue
        found[wanted.name] = None
        lowest = re.search(r'python_version >= "([\d.]+)"', marker)
        python = lowest[1] if lowest else python
    return list(found), python


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
