"""Which other files an agent's files may name, and their texts.

In come names as they are written in a file (`prompts/support.md`), out come texts or problems. All of them lie in the folder
of the file that names them or below, and so in the folder of the agent: an agent file that somebody else wrote cannot read
the rest of the disk. A link is followed as long as what it leads to lies in the agent's folder, too; Kubernetes mounts
folders that way (`support.yaml` -> `..data/support.yaml`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from runner.document.places import Source, Where
from runner.document.text import read_file, size_in_words
from runner.problem import Problem

MAX_TOGETHER = 4 * 1024 * 1024
"""Bytes of all files that one agent may be made of, the agent file itself not counted."""


class Folder:
    """The folder of one agent while its files are read.

    looked:   every file that was read or looked for, absolute, links as they are written, in that order, each once.
    problems: of names and of files that cannot be read.
    """

    def __init__(self, agent: Path) -> None:
        self.root = agent.parent
        self.looked: list[Path] = []
        self.problems: list[Problem] = []
        self._real = os.path.realpath(self.root)
        self._texts: dict[Path, str | None] = {}
        self._why: dict[Path, tuple[str, str]] = {}
        self._size = 0

    def read(self, source: Source, path: Where, name: str, code: str) -> tuple[Path, str] | None:
        """The file that the value `name` at `path` of `source` names, and its text; None when that is a problem.

        Each file is read once, so that one agent is made of one state of it.
        """

        def refuse(why: str, hint: str = "") -> None:
            self.problems.append(source.on_value(path, code, f'The file "{name}" cannot be used. {why}.', hint))

        home = source.file.parent if source.origin(path) else source.home(path).file.parent
        example = "Write its path from there, for example prompts/support.md."
        if name.startswith(("/", "\\", "~")) or re.match(r"[A-Za-z]:[/\\]", name):
            return refuse("Other files are named from the folder of the file that names them", example)
        if os.path.normpath(name.replace("\\", "/")).split("/")[0] == "..":
            return refuse(
                "It lies outside the folder of the file that names it",
                "Move it into that folder or a folder below, and write its path without .. in it.",
            )
        file = Path(os.path.normpath(home / name))
        if file not in self.looked:
            self.looked.append(file)
        if not self._inside(file):
            return refuse("It is a link that leads out of the agent's folder", "Put the file itself there.")
        if file not in self._texts:
            self._take(file)
        text = self._texts[file]
        return refuse(*self._why[file]) if text is None else (file, text)

    def _inside(self, file: Path) -> bool:
        try:
            real = os.path.realpath(file)
        except (OSError, ValueError):
            return True
        return os.path.commonpath([real, self._real]) == self._real

    def _take(self, file: Path) -> None:
        text, problems = read_file(file)
        if text is not None:
            self._size += len(text.encode("utf-8", errors="replace"))
        if text is None:
            problem = problems[0]
            why = "There is no such file" if problem.code == "no-file" else problem.message.rstrip(".")
            self._why[file] = (why, problem.hint)
        elif self._size > MAX_TOGETHER:
            text = None
            most = size_in_words(MAX_TOGETHER)
            self._why[file] = (f"With it, the files of this agent are larger than {most} together", "")
        else:
            self.problems.extend(problems)
        self._texts[file] = text
