"""A tree in, the data of a file out: aliases followed, groups merged, the place of every value written down.

Noted on the way are the problems that only the tree shows: a name written twice, a text that a comma cut, a circle.
"""

from __future__ import annotations

from typing import Any

from runner.document.places import Place, Spot, Where
from runner.document.tree import MAX_DEPTH, Node, Reader, UnreadableError

MAX_VALUES = 20_000


def settle(reader: Reader, root: Node) -> Any:
    """The data under `root`, which `reader` has read.

    Raises:
        UnreadableError: there is too much of it, or it stands inside itself; the problem is noted.
    """
    return _Settling(reader).data(root)


class _Settling:
    def __init__(self, reader: Reader) -> None:
        self._reader, self._source = reader, reader.source
        self._count = 0

    def data(self, root: Node) -> Any:
        """What stands under `root`."""
        try:
            return self._settle(root, (), root.spot)
        finally:
            self._source.problems = list(self._reader.found.values())

    def _settle(self, node: Node, path: Where, key: Spot, depth: int = 0) -> Any:
        self._count += 1
        if self._count > MAX_VALUES or depth > MAX_DEPTH:
            self._reader.note(
                self._source.at(
                    key,
                    "too-many",
                    f"With everything that * repeats, this file has more than {MAX_VALUES} values."
                    if self._reader.anchors
                    else f"This file has more than {MAX_VALUES} values.",
                    "Repeat less.",
                    path=path,
                )
            )
            raise UnreadableError
        if node.alias:
            if node.target is None:
                self._reader.note(
                    self._source.at(
                        node.spot,
                        "unknown-alias",
                        f"*{node.alias} repeats something named &{node.alias}, but nothing has that name.",
                        "If the text shall begin with *, put it in double quotes.",
                        path=path,
                    )
                )
                self._source.broken.add(node.spot.line)
                self._source.places[path] = Place(key, node.spot, node.alias, "empty")
                return None
            if node.circle:
                self._reader.note(
                    self._source.at(node.spot, "circle", f"*{node.alias} stands inside what it repeats.", path=path)
                )
                raise UnreadableError
            return self._settle(node.target, path, key, depth + 1)
        typed = node.typed if node.style in ("plain", "quoted", "block") else ""
        self._source.places[path] = Place(key, node.spot, typed, node.style, node.last_line)
        if node.style == "group":
            return self._settle_group(node, path, depth)
        if node.style == "list":
            return [self._settle(item, (*path, number), item.spot, depth + 1) for number, item in enumerate(node.items)]
        return None if node.style == "empty" else node.text

    def _settle_group(self, node: Node, path: Where, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        seen: dict[str, Node] = {}
        merged: list[Node] = []
        for key, value in node.entries:
            if key.style == "plain" and key.text == "<<":
                merged.append(value)
                continue
            if key.style in ("group", "list") or key.alias:
                self._reader.note(
                    self._source.at(
                        key.spot,
                        "odd-key",
                        "Brackets cannot be the name of a setting.",
                        "If this is text, put it in double quotes.",
                        path=path,
                    )
                )
                continue
            name = key.text
            if name in seen:
                self._reader.note(
                    self._source.at(
                        key.spot,
                        "twice",
                        f'"{name}" is written twice: here and in line {seen[name].spot.line}.',
                        "Keep one of the two.",
                        path=(*path, name),
                    )
                )
                continue
            if node.flow and value.style == "empty" and not value.alias and data:
                before = next(reversed(data))
                if isinstance(data[before], str):
                    self._reader.note(
                        self._source.at(
                            key.spot,
                            "cut-by-comma",
                            f'The comma before "{name}" ended the text of "{before}": inside {{ }} a comma separates '
                            "settings.",
                            "Put the whole text in double quotes, or write each setting on a line of its own.",
                            path=(*path, before),
                        )
                    )
                    data[before] += f", {name}"
                    continue
            seen[name] = key
            data[name] = self._settle(value, (*path, name), key.spot, depth + 1)
        for value in merged:
            self._merge(value, path, data, depth)
        return data

    def _merge(self, value: Node, path: Where, data: dict[str, Any], depth: int) -> None:
        """`<<: *name` and `<<: [*a, *b]`: what is written here wins over what is repeated."""
        target = value.target or value
        for part in target.items if target.style == "list" else [value]:
            kept = {p: place for p, place in self._source.places.items() if p[: len(path)] == path}
            shared = self._settle(part, path, part.spot, depth + 1)
            self._source.places.update(kept)
            if isinstance(shared, dict):
                for name, inner in shared.items():  # pyright: ignore[reportUnknownVariableType]
                    data.setdefault(name, inner)  # pyright: ignore[reportUnknownArgumentType]
            else:
                self._reader.note(self._source.at(part.spot, "odd-merge", "<< can only repeat a group.", path=path))
