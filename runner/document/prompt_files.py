"""`prompt: {file: prompts/support.md}` in, the texts of those files out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from runner.document.folder import Folder
from runner.document.places import Source, Where

Group = dict[str, Any]

_HOLDERS: tuple[tuple[str, ...], ...] = (("stages",), ("speakers", "people"), ("languages",))
"""Groups of which each has a prompt of its own."""


def prompt_texts(source: Source, data: Any, folder: Folder) -> dict[Where, tuple[Path, str]]:
    """The file and the text of every prompt that is a file, by the path of the prompt.

    Prompts whose file cannot be used are left out; why is in `folder.problems`.
    """
    found: dict[Where, tuple[Path, str]] = {}
    for path in _places(data):
        value: Any = data
        for part in path:
            value = value[part]
        name, at = cast("Group", value).get("file"), (*path, "file")
        if not isinstance(name, str) or not name:
            continue
        read = folder.read(source, at, name, "prompt-file")
        if read is None:
            continue
        if not read[1].strip():
            folder.problems.append(source.on_value(at, "prompt-file", f'The file "{name}" is empty.'))
        found[path] = read
    return found


def _places(data: Any) -> list[Where]:
    if not isinstance(data, dict):
        return []
    group = cast("Group", data)
    places: list[Where] = [("prompt",)] if isinstance(group.get("prompt"), dict) else []
    for path in _HOLDERS:
        holder: Any = group
        for part in path:
            holder = cast("Group", holder).get(part) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            for name, one in cast("Group", holder).items():
                if isinstance(one, dict) and isinstance(cast("Group", one).get("prompt"), dict):
                    places.append((*path, name, "prompt"))
    return places
