"""What the schema refuses in, sentences a person can act on out: what was typed, what was expected, what to do.

One problem for one cause: a misspelled name is not also a missing one, a group whose lines are not indented is one
mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from jsonschema import ValidationError

from runner.document.check import Schema, inside, resolved, schema_at, settings_of, types
from runner.document.names import (
    either,
    everywhere,
    is_key_name,
    nearest,
    places_of,
    same_name,
    same_value,
    shown,
    title_of,
    upper,
)
from runner.document.places import Source, Where
from runner.problem import Problem

_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a group of settings",
}


_YES = ("yes", "on", "y", "ja", "1")


_NO = ("no", "off", "n", "0")


def explain(source: Source, data: object, errors: Iterable[ValidationError]) -> list[Problem]:
    """Problems for everything in `errors`, one for one cause."""
    return _Explainer(source, data).all(list(errors))


class _Explainer:
    def __init__(self, source: Source, data: object) -> None:
        self.source = source
        self.data = data
        self.problems: list[Problem] = []
        self.settled: set[Where] = set()

    def all(self, errors: list[ValidationError]) -> list[Problem]:
        unknown: dict[Where, None] = {}
        rest: list[tuple[Where, ValidationError]] = []
        for error in errors:
            path: Where = tuple(error.absolute_path)
            if error.validator in ("additionalProperties", "unevaluatedProperties"):
                unknown[path] = None
            else:
                rest.append((path, error))
        rest.sort(key=lambda found: self._position(found[0]))
        for path in unknown:
            self._unknown_keys(path)
        for path, error in rest:
            if error.validator == "type":
                self._beside_its_owner(path)
        for path, error in rest:
            if path not in self.settled:
                self._one(path, error)
        return self.problems

    def _position(self, path: Where) -> tuple[int, int]:
        key = self.source.place(path).key
        return key.line, key.column

    def _node(self, path: Where) -> Schema:
        return schema_at(self.data, path) or {}

    def _value(self, path: Where) -> Any:
        value: Any = self.data
        for part in path:
            value = value[part]
        return value

    def _typed(self, path: Where) -> str:
        """The value as it was typed, shortened."""
        place = self.source.places.get(path)
        typed = place.typed if place is not None and place.typed else str(self._value(path))
        typed = " ".join(typed.split())
        return typed if len(typed) <= 60 else typed[:57] + "..."

    def _name(self, path: Where) -> str:
        """How a value is called: "barge_in", an item of "keyterms"."""
        if not path:
            return "The file"
        last = path[-1]
        if isinstance(last, str):
            return f'"{last}"'
        return f'Item {last + 1} of "{next((p for p in reversed(path) if isinstance(p, str)), "")}"'

    # unknown keys

    def _unknown_keys(self, path: Where) -> None:
        group = cast("dict[str, Any]", self._value(path))
        node = self._node(path)
        allowed = settings_of(node, group)
        unknown = [key for key in group if key not in allowed]
        owners: set[str] = set()
        for key in unknown:
            owner = self._not_indented(path, group, node, key)
            if owner is not None:
                if owner in owners:
                    self.settled.add((*path, key))
                    continue
                owners.add(owner)
                self.settled.add((*path, owner))
                self._add_key(
                    (*path, key),
                    "not-indented",
                    f'"{key}" belongs under "{owner}", but it is not indented further than "{owner}".',
                    f'Put two more spaces before it and before the lines that belong to "{owner}".',
                )
                continue
            self._unknown_key(path, node, allowed, key)

    def _not_indented(self, path: Where, group: dict[str, Any], node: Schema, key: str) -> str | None:
        """The empty group right above that `key` should stand in."""
        owner: str | None = None
        for other, value in group.items():
            if other == key:
                break
            part = inside(node, other, group)
            if value is None and part is not None and "object" in types(part):
                owner = other
            elif other in settings_of(node, group):
                owner = None
        if owner is None:
            return None
        part = inside(node, owner, group)
        return owner if part is not None and key in settings_of(part, {}) else None

    def _beside_its_owner(self, path: Where) -> None:
        """`prompt: text` where the name of a stage is expected: it and its neighbours belong below the stage above."""
        if not path or path in self.settled or not isinstance(path[-1], str):
            return
        around, name = path[:-1], path[-1]
        more = self._node(around).get("additionalProperties")
        if not isinstance(more, dict) or name not in settings_of(cast("Schema", more), {}):
            return
        group = cast("dict[str, Any]", self._value(around))
        title = title_of(cast("Schema", more))
        names = list(group)
        owner = next((n for n in reversed(names[: names.index(name)]) if group[n] is None), None)
        strays = [n for n in names if n in settings_of(cast("Schema", more), {}) and not isinstance(group[n], dict)]
        if owner is None:
            message = f'"{name}" is a setting of {title}, but it stands where the name of {title} belongs.'
            hint = f"Put it below the name of {title}, indented by two more spaces."
        else:
            message = f'"{name}" belongs under "{owner}", but it is not indented further than "{owner}".'
            hint = f'Put two more spaces before it and before the lines that belong to "{owner}".'
            self.settled.add((*around, owner))
        self._add_key(path, "not-indented", message, hint)
        self.settled.update((*around, n) for n in strays)

    def _unknown_key(self, path: Where, node: Schema, allowed: dict[str, Schema], key: str) -> None:
        title = title_of(node)
        here = (*path, key)
        said = f'"{shown(key)}" is not a setting of {title}.'
        if is_key_name(key) and title in ("stt", "llm", "tts", "an agent"):
            self._pasted_key(here, key, title)
            return
        choices = [name for name in allowed if name not in cast("dict[str, Any]", self._value(path))]
        exact = same_name(key, allowed)
        other_places = [place for place in places_of(key) if place != title]
        parent = self._parent_with(path, key)
        if exact is not None:
            self._missing_is_said(path, exact)
            self._add_key(here, "unknown-key", f'{said} Here it is called "{exact}".')
        elif parent is not None:
            self._add_key(
                here,
                "wrong-level",
                f"{said} It is a setting of {parent}.",
                f"Move it there, or indent it less if it already stands below the settings of {parent}.",
            )
        elif other_places and not nearest(key, choices, 0.8):
            self._add_key(here, "wrong-level", f'{said} "{key}" belongs under {either(other_places[:3])}.')
        else:
            close = nearest(key, choices, 0.6) or nearest(key, list(allowed), 0.75)
            elsewhere = None if close else nearest(key, list(everywhere()), 0.8)
            if close:
                self._missing_is_said(path, close)
                self._add_key(here, "unknown-key", f'{said} Did you mean "{close}"?')
            elif elsewhere:
                where = either(list(places_of(elsewhere))[:3])
                self._add_key(here, "unknown-key", f'{said} Did you mean "{elsewhere}"? It belongs under {where}.')
            elif " " in key and path and isinstance(path[-1], int):
                self._add_key(here, "unknown-key", said, "If this is text, put it in double quotes.")
            else:
                self._add_key(here, "unknown-key", said, f"{upper(title)} may have: {', '.join(allowed)}.")

    def _parent_with(self, path: Where, key: str) -> str | None:
        """The group around this one that has such a setting: the line is indented too far."""
        for end in range(len(path) - 1, -1, -1):
            node = self._node(path[:end])
            if "object" in types(node) and key in settings_of(node, self._value(path[:end])):
                return title_of(node)
        return None

    def _pasted_key(self, path: Where, key: str, title: str) -> None:
        variable = {"stt": "ASSEMBLYAI_API_KEY", "llm": "OPENAI_API_KEY", "tts": "CARTESIA_API_KEY"}.get(title)
        problem = self.source.on_key(
            path,
            "key-in-file",
            "Keys are never written into an agent file.",
            f"Write {variable or 'it'}=... into the file .env beside it, and make a new key if others have seen this one.",
        )
        cut = problem.column - 1 + problem.length
        masked = problem.snippet[:cut] + ": ..." if problem.snippet else ""
        self.problems.append(
            Problem(
                problem.file,
                problem.line,
                problem.column,
                problem.path,
                problem.code,
                problem.message,
                problem.hint,
                problem.severity,
                problem.length,
                masked,
            )
        )

    def _missing_is_said(self, path: Where, name: str) -> None:
        self.settled.add((*path, name, "missing"))

    # everything else

    def _one(self, path: Where, error: ValidationError) -> None:
        if "propertyNames" in error.absolute_schema_path:
            self._bad_name(path, error)
            return
        kind = str(error.validator)
        handler = {
            "required": self._required,
            "type": self._type,
            "enum": self._enum,
            "minimum": self._range,
            "maximum": self._range,
            "pattern": self._pattern,
            "minLength": self._empty,
            "minItems": self._empty,
            "minProperties": self._empty,
            "maxLength": self._too_long,
            "maxItems": self._too_many,
            "uniqueItems": self._repeated,
        }.get(kind)
        if handler is None:
            self._add_value(path, "not-valid", f"{self._name(path)} is not right here.")
        else:
            handler(path, error)

    def _bad_name(self, path: Where, error: ValidationError) -> None:
        key = str(error.instance)
        if error.validator == "not":
            self._add_key(
                (*path, key),
                "reserved-name",
                f'"{key}" cannot be the name of a stage: it means the stage before.',
                "Choose another name, and use it in to:.",
            )
        elif error.validator == "enum":
            group = cast("dict[str, Any]", self._value(path))
            if (*path, key) in self.settled or key not in settings_of(self._node(path), group):
                return
            leader = "otherwise" if "otherwise" in group else "after_tries"
            self._add_key(
                (*path, key),
                "mixed-ways",
                f'"{key}" cannot stand together with "{leader}".',
                "One item of next is: when, examples and to; or after_tries and to; or otherwise alone.",
            )
        elif error.validator == "maxLength":
            self._add_key((*path, key), "bad-name", f'"{shown(key)}" is too long for a name.')
        else:
            says = cast("Schema", error.schema).get("x-says", "cannot be a name here")
            self._add_key((*path, key), "bad-name", f'"{shown(key)}" {says}.')

    def _required(self, path: Where, error: ValidationError) -> None:
        group = cast("dict[str, Any]", error.instance)
        node = self._node(path)
        for name in cast("list[str]", error.validator_value):
            mark = (*path, name, "missing")
            if name in group or mark in self.settled:
                continue
            self.settled.add(mark)
            if self._was_broken(name):
                continue
            part = settings_of(node, group).get(name)
            example = _example(name, part)
            title = title_of(node)
            if title == "an item of next" and not group.keys() & {"when", "to", "after_tries"}:
                hint = "An item of next has: when and to; or after_tries and to; or otherwise alone."
            else:
                hint = f"For example: {example}" if example else ""
            self._add_key(path, "missing", f'{upper(title)} needs "{name}".', hint)

    def _was_broken(self, name: str) -> bool:
        """The line with this setting could not be read, and that was said."""
        lines = self.source.lines
        return any(name in lines[n - 1] for n in self.source.broken if n <= len(lines))

    def _type(self, path: Where, error: ValidationError) -> None:
        value: Any = error.instance
        node = self._node(path)
        kinds = types(node)
        name = self._name(path)
        wanted = either([_WORDS[kind] for kind in kinds if not (kind == "string" and "x-unit" in node)])
        if "x-unit" in node:
            wanted = "a duration such as " + _example_value(node)
        if value is None:
            if path and (*path,) not in self.settled:
                hint = (
                    "Write its settings below it, indented by two more spaces, or remove the line."
                    if "object" in kinds and "string" not in kinds
                    else f"For example: {_example(str(path[-1]), node)}"
                )
                self._add_key(path, "no-value", f"{name} has no value.", hint)
            return
        if isinstance(value, dict):
            self._group_for_text(path, cast("dict[str, Any]", value), kinds, wanted)
        elif isinstance(value, list):
            hint = "Remove the - at the beginning of the lines below it." if "object" in kinds else ""
            if kinds == ("string",):
                hint = "Write one text, without [ ] and without -."
            self._add_key(path, "wrong-type", f"{name} must be {wanted}, not a list.", hint)
        else:
            self._text_for_other(path, kinds, name, wanted)

    def _group_for_text(self, path: Where, group: dict[str, Any], kinds: tuple[str, ...], wanted: str) -> None:
        first = next(iter(group), "")
        if "string" in kinds and len(group) == 1 and isinstance(path[-1], int):
            place = self.source.place((*path, first))
            colon = place.key.column + place.key.length
            line = self.source.lines[place.key.line - 1]
            text = f"{first}: {group[first]}" if isinstance(group[first], str) else line[place.key.column - 1 :]
            self.problems.append(
                self.source.at(
                    type(place.key)(place.key.line, colon, 1),
                    "colon-in-text",
                    "This text has a colon in it, and YAML takes what stands before it for the name of a setting.",
                    f'Put the whole text in double quotes: - "{shown(text)}"',
                    path=path,
                )
            )
            return
        hint = f'Is the indentation of "{first}" right?' if first else ""
        if "array" in kinds:
            hint = "Begin each item with a - and a space."
        self._add_key(path, "wrong-type", f"{self._name(path)} must be {wanted}, not a group of settings.", hint)

    def _text_for_other(self, path: Where, kinds: tuple[str, ...], name: str, wanted: str) -> None:
        place = self.source.place(path)
        typed = self._typed(path)
        bare = str(self._value(path))
        hint = ""
        if "array" in kinds:
            hint = f"Write: {path[-1]}: [{typed}]" if isinstance(path[-1], str) else ""
        elif "object" in kinds:
            glued = re.match(r"([A-Za-z_]\w*):(\S.*)$", bare)
            if glued and glued.group(1) in settings_of(self._node(path), {}):
                self._add_value(
                    path,
                    "space-after-colon",
                    f'There is no space after the colon of "{glued.group(1)}".',
                    f"Write: {glued.group(1)}: {glued.group(2)}",
                )
                return
            hint = "Write its settings below it, each on a line of its own, indented by two more spaces."
            wanted = "a group of settings" if kinds == ("object",) else wanted
        elif "boolean" in kinds:
            low = bare.lower()
            hint = "Type: true" if low in _YES else "Type: false" if low in _NO else ""
            if place.style == "quoted" and low in ("true", "false"):
                hint = f"Without quotes: {low}"
        elif "number" in kinds or "integer" in kinds:
            hint = _number_hint(bare, place.style == "quoted")
        self._add_value(path, "wrong-type", f"{name} must be {wanted}, not {typed}.", hint)

    def _enum(self, path: Where, error: ValidationError) -> None:
        choices = [str(choice) for choice in cast("list[Any]", error.validator_value)]
        value = str(error.instance)
        close = same_value(value, choices) or nearest(value, choices, 0.5)
        said = f'{self._name(path)} cannot be "{shown(value)}".'
        if len(choices) == 1:
            self._add_value(path, "not-a-choice", f"{said} It can only be {choices[0]}.")
            return
        guess = f' Did you mean "{close}"?' if close else ""
        self._add_value(path, "not-a-choice", said + guess, f"It can be {either(choices)}.")

    def _range(self, path: Where, error: ValidationError) -> None:
        if not isinstance(error.instance, int | float):
            return
        node = self._node(path)
        low, high = node.get("minimum"), node.get("maximum")
        unit = {"s": " seconds", "ms": " milliseconds"}.get(str(node.get("x-unit")), "")
        if low is not None and high is not None:
            said = f"from {low} to {high}{unit}"
        else:
            said = f"at least {low}{unit}" if low is not None else f"at most {high}{unit}"
        self._add_value(path, "out-of-range", f"{self._name(path)} must be {said}, not {self._typed(path)}.")

    def _pattern(self, path: Where, error: ValidationError) -> None:
        node = self._node(path)
        typed = self._typed(path)
        if "x-unit" in node:
            plain = "seconds" if node["x-unit"] == "s" else "milliseconds"
            self._add_value(
                path,
                "not-a-duration",
                f"{self._name(path)} must be a duration, not {typed}.",
                f"Write a number ({plain}), or a number with ms, s, m or h: {_example_value(node)}",
            )
        else:
            says = node.get("x-says", "is not written as it should be")
            self._add_value(
                path,
                "bad-text",
                f"{self._name(path)} {says}, not {typed}.".replace(
                    ", and nothing else, not", ", and nothing else; this is"
                ),
            )

    def _empty(self, path: Where, error: ValidationError) -> None:
        self._add_key(path, "no-value", f"{self._name(path)} is empty.", "Fill it in, or remove the line.")

    def _too_long(self, path: Where, error: ValidationError) -> None:
        self._add_value(
            path,
            "too-long",
            f"{self._name(path)} has {len(str(error.instance))} characters. The most is {error.validator_value}.",
        )

    def _too_many(self, path: Where, error: ValidationError) -> None:
        most = cast("int", error.validator_value)
        items = cast("list[Any]", error.instance)
        self._add_value(
            (*path, most),
            "too-many",
            f"{self._name(path)} has {len(items)} items. The most is {most}, and this is the first beyond.",
        )

    def _repeated(self, path: Where, error: ValidationError) -> None:
        items = cast("list[Any]", error.instance)
        for number, item in enumerate(items):
            if item in items[:number]:
                self._add_value((*path, number), "twice", f'"{item}" is in the list twice.')

    def _add_key(self, path: Where, code: str, message: str, hint: str = "") -> None:
        self.settled.add(path)
        self.problems.append(self.source.on_key(path, code, message, hint))

    def _add_value(self, path: Where, code: str, message: str, hint: str = "") -> None:
        self.settled.add(path)
        self.problems.append(self.source.on_value(path, code, message, hint))


def _example_value(node: Schema) -> str:
    examples = resolved(node).get("examples", [])
    first = next((e for e in examples if isinstance(e, str)), examples[0] if examples else "")
    return str(first).lower() if isinstance(first, bool) else str(first)


def _example(name: str, node: Schema | None) -> str:
    if node is None:
        return ""
    examples = resolved(node).get("examples", [])
    if not examples or isinstance(examples[0], dict):
        return ""
    value = examples[0]
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return f"{name}: [{', '.join(map(str, items))}]" if all(isinstance(i, str) for i in items) else ""
    return f"{name}: {str(value).lower() if isinstance(value, bool) else value}"


def _number_hint(text: str, quoted: bool) -> str:
    if re.fullmatch(r"[-+]?\d+(\.\d+)?", text):
        if quoted:
            return f"Without quotes: {text}"
        if re.match(r"[-+]?0\d", text):
            return f"Without the leading 0: {text.lstrip('0') or '0'}"
        return ""
    if re.fullmatch(r"\d+,\d+", text):
        return f"With a point: {text.replace(',', '.')}"
    if re.fullmatch(r"\d+(\.\d+)?\s*%", text):
        return f"Write it as a part of 1: {float(text.rstrip('% ')) / 100:g}"
    return "Digits only, without a unit." if text[:1].isdigit() else ""
