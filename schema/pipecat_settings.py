"""One of Pipecat's service classes in, what is known about its settings out: types, words, defaults, how a change is heard.

Everything is read from the class itself, its docstrings and the source of its methods (Pipecat 1.14). Used by
`generate_providers.py` alone.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Sequence
from typing import Any

Node = dict[str, Any]

NOT_SETTINGS = {
    "extra",
    "system_instruction",
    "filter_incomplete_user_turns",
    "user_turn_completion_config",
    "use_provider_thinking_default",
}
"""Fields of Pipecat that are not a provider's: its own overflow, what an agent file calls `prompt`, what Pipecat deprecates or
sets itself."""

TYPED: dict[str, type] = {"DeepgramSTTSettings.endpointing": int}
"""What Pipecat calls `Any` and its docstring explains (milliseconds)."""


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
