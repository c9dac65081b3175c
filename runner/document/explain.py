"""What the schema refuses in, sentences a person can act on out: what was typed, what was expected, what to do.

One problem for one cause: a misspelled name is not also a missing one, a group whose lines are not indented is one
mistake.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from jsonschema import ValidationError

from runner.catalog import PARTS, PROVIDERS, Part, Provider
from runner.document.check import Schema, inside, is_taken, resolved, schema, settings_of, types
from runner.document.names import (
    GONE,
    OLD_VALUES,
    Home,
    either,
    everywhere,
    homes_of,
    is_key_name,
    kept_for_later,
    nearest,
    places_of,
    same_name,
    shown,
    title_of,
    upper,
)
from runner.document.places import Cure, Source, Where
from runner.document.values import ValueProblems, example_line
from runner.problem import Problem

STAGE_MARKS = frozenset({"say", "next", "end", "listen_for"})
"""Settings that only stages have."""


def explain(source: Source, data: object, errors: Iterable[ValidationError]) -> list[Problem]:
    """Problems for everything in `errors`, one for one cause."""
    return _Explainer(source, data).all(list(errors))


class _Explainer(ValueProblems):
    """Adds the problems of names: unknown, missing, misplaced."""

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
            if "propertyNames" in error.absolute_schema_path:
                self._bad_name(path, error)
            elif path in self.settled:
                continue
            elif error.validator == "required":
                self._required(path, error)
            else:
                self.one(path, error)
        return self.problems

    def _unknown_keys(self, path: Where) -> None:
        group = cast("dict[str, Any]", self._value(path))
        node = self._node(path)
        allowed = settings_of(node, group)
        unknown = [key for key in group if key not in allowed]
        if self._unknown_provider(node, group):
            everything = [name for part in node.get("allOf", []) for name in settings_of(part.get("then", {}), group)]
            unknown = [key for key in unknown if key not in everything]
        if "array" in types(node) and not any(
            same_name(key, allowed) or nearest(key, list(allowed), 0.6) for key in group
        ):
            self._group_for_text(path, group, ("array",), "a list")
            return
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
        if path and unknown and len(unknown) == len(group):
            for name in node.get("required", []):
                self._missing_is_said(path, name)

    def _unknown_provider(self, node: Schema, group: dict[str, Any]) -> bool:
        """Nobody knows which settings a provider has that does not exist."""
        part = resolved(node).get("x-again")
        if part:
            node = schema()["$defs"][part]
        choices = resolved(node).get("properties", {}).get("provider", {}).get("enum", [])
        return bool(choices) and "provider" in group and group["provider"] not in choices

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
        if is_key_name(key) and title in ("stt", "llm", "tts", "an agent", "an item of fallback"):
            self._pasted_key(here, key, title)
            return
        if not path and self._stray_stage(here, key):
            return
        exact = same_name(key, allowed)
        later = None if exact is None or is_taken(allowed[exact]) else allowed[exact]
        allowed = {name: part for name, part in allowed.items() if is_taken(part)}
        choices = [name for name in allowed if name not in cast("dict[str, Any]", self._value(path))]
        other_places = [place for place in places_of(key) if place != title]
        parent = self._parent_with(path, key)
        elsewhere = [home for home in homes_of(key) if home.title != title]
        if part := self._foreign(path):  # the same group of another provider is no place to move a setting to
            own = (part, f"a stage's {part}")
            other_places = [place for place in other_places if place not in own and key != "endpoint"]
            elsewhere = [home for home in elsewhere if home.title in other_places]
            parent = parent if key == "fallback" else None
        if later is None and exact is None:
            later = kept_for_later().get(key.lower())
        if later is not None:
            self.not_taken(here, later)
        elif exact is not None:
            self._missing_is_said(path, exact)
            value = self._new_value(key, here, allowed[exact])
            hint = f"Write: {exact}: {shown(value)}" if value else ""
            self._add_key(here, "unknown-key", f'{said} Here it is called "{exact}".', hint)
            self._rename(here, exact, value)
        elif key.lower() in GONE:
            self._add_key(here, "gone", f"{said} {GONE[key.lower()]}", "Remove the line.")
        elif parent is not None:
            self._add_key(
                here,
                "wrong-level",
                f"{said} It is a setting of {parent}.",
                f"Move it there, or indent it less if it already stands below the settings of {parent}.",
            )
        elif other_places and not nearest(key, choices, 0.8):
            self._add_key(here, "wrong-level", f'{said} "{key}" belongs under {either(other_places[:3])}.')
            self._move(here, elsewhere)
        elif elsewhere and not nearest(key, choices, 0.8):
            home = elsewhere[0]
            self._add_key(
                here, "wrong-level", f'{said} Here it is called "{home.name}" and belongs under {home.title}.'
            )
            self._move(here, elsewhere)
        else:
            close = nearest(key, choices, 0.6) or nearest(key, list(allowed), 0.75)
            other = (
                None if close or self._foreign(path) else nearest(key, list(everywhere()) if len(key) > 4 else [], 0.8)
            )
            if close:
                self._missing_is_said(path, close)
                self._add_key(here, "unknown-key", f'{said} Did you mean "{close}"?')
            elif other:
                where = either(list(places_of(other))[:3])
                self._add_key(here, "unknown-key", f'{said} Did you mean "{other}"? It belongs under {where}.')
            elif " " in key and path and isinstance(path[-1], int):
                self._add_key(here, "unknown-key", said, "If this is text, put it in double quotes.")
            else:
                self._add_key(here, "unknown-key", said, f"{upper(title)} may have: {', '.join(allowed)}.")

    def _stray_stage(self, path: Where, key: str) -> bool:
        """A stage that slid to the left edge of the file."""
        if homes_of(key):
            return False
        group = self._value(path)
        stages = settings_of(self._node(()), {}).get("stages", {})
        stage = cast("Schema", resolved(stages).get("additionalProperties", {}))
        known = settings_of(stage, {})
        if not isinstance(group, dict) or not cast("dict[str, Any]", group).keys() & known.keys() & STAGE_MARKS:
            return False
        around = self.source.places.get(("stages",))
        indent = around.value.column - 1 if around and around.style == "group" else 2
        self._add_key(
            path,
            "wrong-level",
            f'"{shown(key)}" looks like a stage, but it stands outside of "stages".',
            f"Indent it, and all lines below it, by {indent} more spaces.",
        )
        return True

    def _provider(self, part: Part) -> Provider:
        """Who provides a part in this file; who does by default when the file's word is no provider."""
        known = resolved(settings_of(self._node((part,)), {})["provider"])
        group = cast("dict[str, Any]", self.data).get(part)
        name = cast("dict[str, str]", group).get("provider", "") if isinstance(group, dict) else ""
        return PROVIDERS[part, name if name in known["enum"] else known["default"]]

    def _foreign(self, path: Where) -> Part | None:
        """The part whose settings stand at `path` when another provider does it than the one described by hand."""
        here: list[Part] = [part for part in PARTS if path[-1:] == (part,) and len(path) in (1, 3)]
        if path[1:2] == ("fallback",):
            part: Part = next(part for part in PARTS if part == path[0])
            name = cast("dict[str, str]", self._value(path)).get("provider", self._provider(part).name)
            known = resolved(settings_of(self._node((part,)), {})["provider"])["enum"]
            return part if name in known and PROVIDERS[part, name].service else None
        return here[0] if here and self._provider(here[0]).service else None

    def _rename(self, path: Where, name: str, value: str | None) -> None:
        """Note the cure of an older name: the new one, and the value as it is written now."""
        place = self.source.place(path)
        self.source.cure(path, "unknown-key", place.key, name)
        line = self.source.home(path).lines[place.key.line - 1]
        if value is not None and place.value.line == place.key.line and place.style in ("plain", "quoted"):
            start, end = place.value.column - 1, place.value.column - 1 + place.value.length
            until = line[place.key.column - 1 + place.key.length : start]
            spot = type(place.key)(place.key.line, place.key.column, end - place.key.column + 1)
            self.source.cures.pop()
            self.source.cure(path, "unknown-key", spot, f"{name}{until}{value}")

    def _new_value(self, old: str, path: Where, node: Schema) -> str | None:
        """What the value of an older name is called now, None when it stays."""
        typed = self._typed(path) if self.source.place(path).typed else ""
        words = OLD_VALUES.get(old, {})
        if words:
            return words.get(typed.lower())
        kinds = types(node)
        return f"[{typed}]" if typed and "array" in kinds and "string" not in kinds else None

    def _move(self, path: Where, homes: list[Home]) -> None:
        """Note the cure of a setting that stands in another group: its line goes there."""
        targets = {home.path: home for home in homes if home.path is not None}
        place, home = self.source.place(path), self.source.home(path)
        if len(targets) != 1 or len(path) > 2 or self.source.origin(path) or home is not self.source:
            return
        target = next(iter(targets.values()))
        where = target.path or ()
        node = self._node(where) if where else {}
        if not where or place.style not in ("plain", "quoted") or place.value.line != place.last_line:
            return
        line = home.lines[place.key.line - 1]
        if place.key.line != place.value.line or line[: place.key.column - 1].strip():
            return
        part = settings_of(node, {}).get(target.name, {})
        old = str(path[len(path) - 1])
        value = self._new_value(old, path, part) or line[place.value.column - 1 :]
        gone = (place.key.line, 1, ())
        around = self.source.places.get(where)
        if around is not None and around.style == "group" and around.key.line != around.value.line:
            indent = " " * (around.value.column - 1)
            edits = (gone, (around.value.line, 0, (f"{indent}{target.name}: {value}",)))
        elif around is None and len(where) == 1:
            last = len(home.lines) + (0 if home.lines[-1] == "" else 1)
            edits = (gone, (last, 0, (f"{where[0]}:", f"  {target.name}: {value}")))
        else:
            return
        self.source.cures.append(Cure("wrong-level", tuple(edits)))

    def _parent_with(self, path: Where, key: str) -> str | None:
        """The group around this one that has such a setting: the line is indented too far."""
        for end in range(len(path) - 1, -1, -1):
            node = self._node(path[:end])
            if "object" in types(node) and key in settings_of(node, self._value(path[:end])):
                return title_of(node)
        return None

    def _pasted_key(self, path: Where, key: str, title: str) -> None:
        owner = path[0] if path[1:2] == ("fallback",) else title
        variable = next((self._provider(part).key for part in PARTS if part == owner), "")
        if owner != title and "provider" in (item := cast("dict[str, str]", self._value(path[:-1]))):
            variable = PROVIDERS[cast("Part", owner), item["provider"]].key
        problem = self.source.on_key(
            path,
            "key-in-file",
            "Keys are never written into an agent file.",
            f"Write {variable or 'it'}=... into the file .env beside it, and make a new key if others have seen this one.",
        )
        cut = problem.column - 1 + max(problem.length, self.source.place(path).key.length)
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
            example = example_line(name, part)
            title = title_of(node)
            if title == "an item of next" and not group.keys() & {"when", "to", "after_tries"}:
                hint = "An item of next has: when and to; or after_tries and to; or otherwise alone."
            else:
                hint = f"For example: {example}" if example else ""
            self._add_key(path, "missing", f'{upper(title)} needs "{name}".', hint)

    def _was_broken(self, name: str) -> bool:
        """The line with this setting could not be read, and that was said."""
        return any(name in one.lines[n - 1] for one in self.source.family() for n in one.broken if n <= len(one.lines))

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
