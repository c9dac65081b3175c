"""An agent file in, the same file together with those it extends out, as if it were one.

`extends: _base.yaml` takes over what that file says. Group by group and key by key the extending file wins; the rules stand
in the description of `extends` in the schema. Every value keeps the place it was written at, in its own file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from runner.document.check import known_names, schema_at, settings_of
from runner.document.folder import Folder
from runner.document.lists import lists_from_files, without_only
from runner.document.overrides import set_all
from runner.document.places import Source, Where
from runner.document.settle import MAX_VALUES
from runner.document.source import read
from runner.problem import Problem

Group = dict[str, Any]

MAX_BASES = 5
"""How many files may stand behind an agent file, one extending the other."""

_OWN = ("name", "extends")
"""What every file says for itself."""

_NOTHING = ("null", "Null", "NULL", "~")


def read_family(file: Path, text: str, folder: Folder, settings: Mapping[str, str]) -> Source:
    """Read an agent file, the files it extends and the lists all of them take from files.

    text:     the agent file's own text.
    folder:   takes note of the other files, and of what is wrong with their names.
    settings: `--set PATH=VALUE`, put over all of them.

    What is wrong with the YAML of any of the files, or with the paths of `--set`, is in `problems`; `data` is None when the
    agent file itself says nothing. Nothing is raised for what a file says.
    """
    chain = [read(file, text, known_names())]
    partial = False
    while chain[-1].data is not None:
        lists_from_files(chain[-1], folder)
        base = _base_of(chain, folder)
        if base is None:
            partial = "extends" in chain[-1].data
            break
        chain.append(base)
    if chain[-1].data is None and len(chain) > 1:
        chain[-1].data, partial = {}, True
    whole = chain.pop()
    while chain:
        whole = _Merge(chain.pop(), whole).whole()
    whole.partial = partial
    if whole.data is not None:
        _set(whole, settings)
        lists_from_files(whole, folder)
        without_only(whole)
    return whole


def _set(source: Source, settings: Mapping[str, str]) -> None:
    given = dict(settings)
    if "extends" in given:
        said = f"--set extends={given.pop('extends')}: what an agent extends is said in its file alone."
        source.problems.append(Problem(source.file, 1, 1, "extends", "bad-set", said))
    source.problems.extend(set_all(source, given))


def _base_of(chain: list[Source], folder: Folder) -> Source | None:
    """The file that the last one of the chain extends; None when it extends none, or that is a problem."""
    source = chain[-1]
    at: Where = ("extends",)
    name = source.data.get("extends")
    if "extends" not in source.data:
        return None
    if not isinstance(name, str) or not name:
        if len(chain) > 1:  # of the agent file itself, the schema says so
            said = '"extends" must be the name of one file.'
            folder.problems.append(source.on_key(at, "bad-extends", said, "Write: extends: _base.yaml"))
        return None
    found = folder.read(source, at, name, "base-file")
    if found is None:
        return None
    names = [os.path.relpath(one.file, folder.root) for one in [*chain, Source(found[0])]]
    reals = [os.path.realpath(one.file) for one in chain]
    real = os.path.realpath(found[0])
    if real in reals:
        circle = " -> ".join(names[reals.index(real) :])
        said = f"These files extend each other in a circle: {circle}."
        if real == reals[-1]:
            said = f"{names[-1]} extends itself."
        folder.problems.append(source.on_value(at, "extends-circle", said, "Remove extends from one of them."))
        return None
    if len(chain) > MAX_BASES:
        said = f"{names[0]} extends more than {MAX_BASES} files, one behind the other: {' -> '.join(names)}."
        folder.problems.append(source.on_value(at, "extends-too-many", said, "Put some of them together."))
        return None
    base = read(*found, known_names())
    if sum(len(one.places) for one in [*chain, base]) > MAX_VALUES:
        said = f"With {names[-1]}, this agent has more than {MAX_VALUES} values."
        folder.problems.append(source.on_value(at, "too-many", said))
        return None
    return base


class _Merge:
    """One file over the one that it extends."""

    def __init__(self, child: Source, base: Source) -> None:
        self.child = child
        self.base = base
        self.made = replace(child, places={}, problems=[*child.problems, *base.problems], base=base)

    def whole(self) -> Source:
        child, base = cast("Group", self.child.data), cast("Group", self.base.data)
        self.made.data = self._groups((), child, {key: base[key] for key in base if key not in _OWN})
        return self.made

    def _groups(self, path: Where, child: Group, base: Group) -> Group:
        """Key by key. A key that only the child has comes after the key above it in the child, or before all."""
        self._place(self.child, path, path)
        made: Group = {}
        for key in _order(list(child), list(base)):
            here = (*path, key)
            if key not in child:
                made[key] = self._copy(self.base, base[key], here, here)
            elif child[key] is None and self._says_null(here):
                if key not in base and not self._nothing_to_remove(here):
                    made[key] = self._copy(self.child, None, here, here)
            elif key not in base:
                made[key] = self._copy(self.child, child[key], here, here)
            else:
                made[key] = self._both(here, child[key], base[key])
        return made

    def _both(self, path: Where, child: Any, base: Any) -> Any:
        if path[-1] == "keyterms":
            return self._keyterms(path, child, base)
        if path == ("anywhere",) and isinstance(child, list) and isinstance(base, list):
            return self._anywhere(path, cast("list[Any]", child), cast("list[Any]", base))
        if isinstance(child, dict) and isinstance(base, dict):
            one, other = cast("Group", child), cast("Group", base)
            if self._same_provider(path, one, other):
                return self._groups(path, one, other)
        return self._copy(self.child, child, path, path)

    def _anywhere(self, path: Where, child: list[Any], base: list[Any]) -> list[Any]:
        """The base's ways come after the child's, but for those that the child has for the same case."""
        own = {_when(item) for item in child}
        kept = [number for number, item in enumerate(base) if _when(item) not in own]
        self._place(self.child, path, path)
        return self._added(path, (self.child, path, child, None), (self.base, path, base, kept))

    def _keyterms(self, path: Where, child: Any, base: Any) -> Any:
        """Words are added to the base's words; `only` replaces them."""
        at = path
        if isinstance(base, dict) and list(cast("Group", base)) == ["only"]:
            at, base = (*path, "only"), cast("Group", base)["only"]
        if not isinstance(child, list) or not isinstance(base, list):
            return self._copy(self.child, child, path, path)
        own, shared = cast("list[Any]", child), cast("list[Any]", base)
        self._place(self.child, path, path)
        self._place(self.child, path, at)
        new = [n for n, word in enumerate(own) if word not in shared]
        words = self._added(at, (self.base, at, shared, None), (self.child, path, own, new))
        return words if at == path else {"only": words}

    def _added(self, path: Where, *parts: tuple[Source, Where, list[Any], list[int] | None]) -> list[Any]:
        """One list of several: of each the source, where it stands there, its items and which of them are taken."""
        made: list[Any] = []
        for source, at, items, taken in parts:
            for number in range(len(items)) if taken is None else taken:
                made.append(self._copy(source, items[number], (*at, number), (*path, len(made))))
        return made

    def _same_provider(self, path: Where, child: Group, base: Group) -> bool:
        """Settings of one vendor mean nothing to another: a child that names another one begins afresh."""
        if "provider" not in child:
            return True
        node = schema_at(self.child.data, path) or {}
        default = settings_of(node, {}).get("provider", {}).get("default")
        return child["provider"] == base.get("provider", default)

    def _says_null(self, path: Where) -> bool:
        """Whether `null` is written there; a key without any value is a mistake."""
        home, spot = self.child.home(path), self.child.place(path).value
        return home.lines[spot.line - 1][spot.column - 1 : spot.column - 1 + spot.length] in _NOTHING

    def _nothing_to_remove(self, path: Where) -> bool:
        """Say that the base has no such setting; False for names that are no setting at all, the schema says that."""
        if path[-1] not in known_names() and path[:-1] not in (("stages",), ("variables",)):
            return False
        said = f'There is no "{path[-1]}" to remove: {self.base.file.name} does not have it.'
        self.made.problems.append(self.child.on_key(path, "nothing-to-remove", said, "Remove the line.", "warning"))
        return True

    def _copy(self, source: Source, value: Any, at: Where, path: Where) -> Any:
        """A value with everything in it, and its places."""
        self._place(source, at, path)
        if isinstance(value, dict):
            group = cast("Group", value)
            return {key: self._copy(source, inner, (*at, key), (*path, key)) for key, inner in group.items()}
        if isinstance(value, list):
            items = cast("list[Any]", value)
            return [self._copy(source, item, (*at, n), (*path, n)) for n, item in enumerate(items)]
        return value

    def _place(self, source: Source, at: Where, path: Where) -> None:
        place = source.places.get(at)
        if place is not None:
            home = place.home or (None if source is self.child else source)
            self.made.places[path] = place if home is place.home else replace(place, home=home)


def _order(child: list[str], base: list[str]) -> list[str]:
    """The keys of both: in the base's order, each new one after the key above it in the child, or before all."""
    behind: dict[str | None, list[str]] = {}
    above: str | None = None
    known = set(base)
    for key in child:
        if key in known:
            above = key
        else:
            behind.setdefault(above, []).append(key)
    return [*behind.get(None, []), *(key for one in base for key in (one, *behind.get(one, [])))]


def _when(item: object) -> object:
    """By what two ways are the same: the case they are for."""
    when = cast("Group", item).get("when") if isinstance(item, dict) else None
    return " ".join(when.split()).casefold() if isinstance(when, str) else id(cast("object", item))
