"""Wrong values in, sentences out: what was typed, what was expected, what to type."""

from __future__ import annotations

import re
from typing import Any, cast

from jsonschema import ValidationError

from runner.catalog import PARTS
from runner.document.check import Schema, duration, resolved, schema, schema_at, settings_of, types
from runner.document.meant import LANGUAGES, choice_meant, duration_meant, number_meant, range_meant
from runner.document.names import either, nearest, same_value, shown
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


class ValueProblems:
    """Collects problems of values. settled: paths of which the cause has been said."""

    def __init__(self, source: Source, data: object) -> None:
        self.source = source
        self.data = data
        self.problems: list[Problem] = []
        self.settled: set[Where] = set()

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

    def one(self, path: Where, error: ValidationError) -> None:
        """What the schema refuses about the value at `path`."""
        kind = str(error.validator)
        handler = {
            "type": self._type,
            "enum": self._enum,
            "minimum": self._range,
            "maximum": self._range,
            "pattern": self._pattern,
            "minLength": self._empty,
            "minItems": self._empty,
            "minProperties": self._empty,
            "maxProperties": self._either_or,
            "maxLength": self._too_long,
            "maxItems": self._too_many,
            "uniqueItems": self._repeated,
            "not": self._not_taken,
            "const": self._const,
        }.get(kind)
        if handler is None:
            self._add_value(path, "not-valid", f"{self._name(path)} is not right here.")
        else:
            handler(path, error)

    def _not_taken(self, path: Where, error: ValidationError) -> None:
        self.not_taken(path, cast("Schema", error.schema))

    def not_taken(self, path: Where, node: Schema) -> None:
        """A name the schema keeps for later, or one whose value cannot be chosen."""
        if "x-not-yet" in node:
            self._add_key(path, "not-yet", f"{self._name(path)} is not there yet: {node['x-not-yet']}")
        else:
            self._add_key(path, "cannot-be-set", f"{self._name(path)} cannot be set: {node.get('x-refused', '')}")

    def _const(self, path: Where, error: ValidationError) -> None:
        """The only value that is not a group: the schema says in words what may stand there."""
        self._add_value(path, "not-a-choice", f"{self._name(path)} {self._node(path)['x-says']}.")

    def _type(self, path: Where, error: ValidationError) -> None:
        value: Any = error.instance
        node = self._node(path)
        kinds = types(node)
        if "array" in kinds:  # most people write a list; file and only, which make it a group, are for the others
            kinds = tuple(kind for kind in kinds if kind != "object")
        name = self._name(path)
        wanted = either([_WORDS[kind] for kind in kinds if not (kind == "string" and "x-unit" in node)])
        if "x-unit" in node:
            wanted = "a duration such as " + _example_value(node)
        if value is None:
            if self._begins_broken(path):
                return
            if path and (*path,) not in self.settled:
                hint = (
                    "Write its settings below it, indented by two more spaces, or remove the line."
                    if "object" in kinds and "string" not in kinds
                    else f"For example: {example_line(str(path[-1]), node)}"
                )
                self._add_key(path, "no-value", f"{name} has no value.", hint)
            return
        if isinstance(value, dict):
            self._group_for_text(path, cast("dict[str, Any]", value), kinds, wanted)
        elif isinstance(value, list):
            hint = "Remove the - at the beginning of the lines below it." if "object" in kinds else ""
            if "string" in kinds:
                hint = "Write one text, without [ ] and without -."
            if path == ("stages",):
                hint = "Write the name of each stage with a colon, for example hello: and its settings below, indented."
            self._add_key(path, "wrong-type", f"{name} must be {wanted}, not a list.", hint)
        else:
            self._text_for_other(path, kinds, name, wanted)

    def _group_for_text(self, path: Where, group: dict[str, Any], kinds: tuple[str, ...], wanted: str) -> None:
        first = next(iter(group), "")
        if "string" in kinds and len(group) == 1 and isinstance(path[-1], int):
            place = self.source.place((*path, first))
            colon = place.key.column + place.key.length
            line = self.source.home((*path, first)).lines[place.key.line - 1]
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
            rest = line[place.key.column - 1 :].rstrip()
            if rest == text and '"' not in text and "\\" not in text:
                spot = type(place.key)(place.key.line, place.key.column, len(text))
                self.source.cure((*path, first), "colon-in-text", spot, f'"{text}"')
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
            inner = typed.strip("()[]{} ;,") or typed
            hint = f"Write: {path[-1]}: [{inner}]" if isinstance(path[-1], str) else ""
            if place.last_line > place.value.line and place.style == "plain":
                hint = "Begin each item with a - and a space."
            if path[-1] == "next" and typed.lower() in ("end", "none", "nothing", "hangup", "stop"):
                hint = "If the call ends here, write: end: true"
            if (
                hint
                and inner == typed
                and hint.startswith("Write")
                and place.style in ("plain", "quoted")
                and place.last_line == place.value.line
            ):
                self.source.cure(path, "wrong-type", place.value, f"[{self._typed(path)}]")
        elif (
            "object" in kinds
            and (glued := re.match(r"([A-Za-z_]\w*):(\S.*)$", bare))
            and glued.group(1) in settings_of(self._node(path), {})
        ):
            self._add_value(
                path,
                "space-after-colon",
                f'There is no space after the colon of "{glued.group(1)}".',
                f"Write: {glued.group(1)}: {glued.group(2)}",
            )
            self.source.cure(path, "space-after-colon", place.value, f"{glued.group(1)}: {glued.group(2)}")
            return
        elif "object" in kinds and "boolean" not in kinds:
            hint = self._first_setting(path, bare)
            wanted = "a group of settings" if kinds == ("object",) else wanted
        elif "boolean" in kinds:
            low, wanted = bare.lower(), "true or false"
            word = low.strip(" .,;!").partition(" ")[0].strip(",")
            hint = "Type: true" if word in _YES else "Type: false" if word in _NO else "Type: true, or: false"
            if place.style == "quoted" and low in ("true", "false"):
                hint = f"Without quotes: {low}"
            if "object" in kinds and (setting := self._setting_meant(path, bare)):
                hint, wanted = setting, "a group of settings"
            if low in (*_YES, *_NO, "true", "false"):
                self.source.cure(path, "wrong-type", place.value, hint.rpartition(" ")[2])
        elif "number" in kinds or "integer" in kinds:
            hint = number_meant(bare, place.style == "quoted")
            if not hint and isinstance(path[-1], str) and not re.search(r"\d", bare):
                hint = f"For example: {example_line(path[-1], self._node(path))}"
            if hint and (place.style == "quoted" or re.fullmatch(r"[-+]?\d+,\d+", bare)):
                self.source.cure(path, "wrong-type", place.value, hint.rpartition(" ")[2])
        self._add_value(path, "wrong-type", f"{name} must be {wanted}, not {typed}.", hint)

    def _first_setting(self, path: Where, text: str) -> str:
        """What to write for a text where a group belongs: `stt: assemblyai`, `llm: temperature = 1`, `- bye`."""
        around = self._node(path)
        known = settings_of(around, {})
        sign = re.match(r"([A-Za-z_]\w*)\s*(=>|->|:=|=)\s*(\S.*)$", text)
        if sign and (sign.group(1) in known or isinstance(around.get("additionalProperties"), dict)):
            return f"A colon belongs where {sign.group(2)} stands. Write: {sign.group(1)}: {sign.group(3)}"
        word, _, rest = text.partition(" ")
        close = nearest(word, list(known), 0.7) if rest else None
        if close:
            return f"Write: {close}: {rest}"
        if meant := self._setting_meant(path, text):
            return meant
        data = cast("dict[str, Any]", self.data) if isinstance(self.data, dict) else {}
        stages: Any = data.get("stages")
        if "otherwise" in known and isinstance(stages, dict) and text in stages:
            return f"Write when: and below it to: {text}. Or, to go there in any case: otherwise: {text}"
        return "Write its settings below it, each on a line of its own, indented by two more spaces."

    def _setting_meant(self, path: Where, text: str) -> str:
        """What to write for a value that is one of a setting below: `idle: 30s`; "" for any other."""
        for name, part in settings_of(self._node(path), {}).items():
            node = resolved(part)
            if text in node.get("enum", ()) or ("x-unit" in node and duration(text, node["x-unit"]) is not None):
                return f"Write {name}: {text} on the line below, indented by two more spaces."
        return ""

    def _begins_broken(self, path: Where) -> bool:
        """Whether the line below a name could not be read, so that nothing is known to be missing there."""
        home = self.source.home(path)
        line = self.source.place(path).key.line
        following = next((n for n in range(line + 1, len(home.lines) + 1) if home.lines[n - 1].strip()), 0)
        return following in home.broken

    def _enum(self, path: Where, error: ValidationError) -> None:
        choices = [str(choice) for choice in cast("list[Any]", error.validator_value)]
        value = str(error.instance)
        numbers = "integer" in types(self._node(path))
        close = same_value(value, choices) or (None if numbers else nearest(value, choices, 0.5))
        close = choice_meant(value, choices) or close
        if path[-1:] == ("provider",):
            close = close or next((name for name in choices if value.lower() in name.split("_")), None)
        said = f'{self._name(path)} cannot be "{shown(value)}".'
        if not same_value(value, choices) and (others := _other_parts(path, value)):
            said, close = f'"{shown(value)}" does not do {path[0]}, but {either(others)}.', None
        if len(choices) == 1:
            self._add_value(path, "not-a-choice", f"{said} It can only be {choices[0]}.")
            return
        guess = f' Did you mean "{close}"?' if close else ""
        if same_value(value, choices):
            self.source.cure(path, "not-a-choice", self.source.place(path).value, str(close))
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
        hint = range_meant(node, error.instance)
        self._add_value(path, "out-of-range", f"{self._name(path)} must be {said}, not {self._typed(path)}.", hint)

    def _pattern(self, path: Where, error: ValidationError) -> None:
        node = self._node(path)
        typed = self._typed(path)
        if "x-unit" in node:
            plain = "seconds" if node["x-unit"] == "s" else "milliseconds"
            meant = duration_meant(typed)
            self._add_value(
                path,
                "not-a-duration",
                f"{self._name(path)} must be a duration, not {typed}.",
                f"Write: {path[-1]}: {meant}"
                if meant
                else f"Write a number ({plain}), or a number with ms, s, m or h: {_example_value(node)}",
            )
        else:
            says = node.get("x-says", "is not written as it should be")
            code = LANGUAGES.get(typed.lower().partition("-")[0]) if path[-1:] == ("language",) else None
            self._add_value(
                path,
                "bad-text",
                f"{self._name(path)} {says}, not {typed}.".replace(
                    ", and nothing else, not", ", and nothing else; this is"
                ),
                f'Did you mean "{code}"?' if code else "",
            )

    def _empty(self, path: Where, error: ValidationError) -> None:
        self._add_key(path, "no-value", f"{self._name(path)} is empty.", "Fill it in, or remove the line.")

    def _either_or(self, path: Where, error: ValidationError) -> None:
        group = cast("dict[str, Any]", error.instance)
        known = [key for key in group if key in settings_of(self._node(path), group)]
        if len(known) > 1:
            self._add_key((*path, known[1]), "either-or", f'"{known[0]}" and "{known[1]}" cannot stand together.')

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


def _other_parts(path: Where, value: str) -> list[str]:
    """The parts that a provider does when it does not do the one it is named for."""
    if path[0] not in PARTS or path[-1] != "provider":
        return []
    return [part for part in PARTS if value.lower() in schema()["$defs"][part]["properties"]["provider"]["enum"]]


def _example_value(node: Schema) -> str:
    examples = resolved(node).get("examples", [])
    first = next((e for e in examples if isinstance(e, str)), examples[0] if examples else "")
    return str(first).lower() if isinstance(first, bool) else str(first)


def example_line(name: str, node: Schema | None) -> str:
    """`speed: 1.1`, from the schema's own examples; "" when there is none of one line."""
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
