"""Keys and other values from the environment and from `.env`. Secrets live here and are handed on by name, never printed."""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from runner.catalog import KEY_NAMES
from runner.masking import masked
from runner.providers import variables

ENV_FILE = ".env"

TOKEN_VARIABLE = "RUNNER_TOKEN"
"""The variable that holds the token that a server asks for, so that several machines have the same one."""


class Environment:
    """The process's environment, and beneath it what `.env` says. Read once, and looked at again when `.env` was saved.

    files:    every `.env` that is looked for: in the current folder, beside the agents, and one folder above them.
    troubles: a sentence for each `.env` that cannot be used.
    """

    def __init__(self, agents: Iterable[Path] = ()) -> None:
        folders = [Path.cwd()]
        for agent in agents:
            folder = agent.absolute().parent if agent.suffix else agent.absolute()
            folders += [folder, folder.parent]
        self.files = tuple(dict.fromkeys(folder / ENV_FILE for folder in folders))
        self.values: Mapping[str, str] = {}
        self.troubles: tuple[str, ...] = ()
        self._hidden: dict[str, str] = {}
        self._read()

    def as_saved(self) -> Environment:
        """What the files say now. Nothing uses it before `use`."""
        now = copy.copy(self)
        now._hidden = dict(self._hidden)
        now._read()
        return now

    def use(self, values: Mapping[str, str]) -> None:
        """Go on with these values. The secrets of before stay hidden: running calls still have them."""
        for name, secret in self._secrets().items():
            self.hide(name, secret)
        self.values = values

    def hide(self, name: str, secret: str) -> None:
        """Let `masked` replace this secret too, by `[name]`, though no variable holds it (any more)."""
        if secret:
            self._hidden[secret] = name

    def _read(self) -> None:
        """Empty values count as not set, because `.env.example` is a list of empty ones."""
        values: dict[str, str] = {}
        troubles: list[str] = []
        for file in self.files:
            if not file.is_file():
                continue
            try:
                text = file.read_text(encoding="utf-8-sig")
            except OSError as error:
                troubles.append(f"{file} cannot be read: {error.strerror}.")
                continue
            except UnicodeDecodeError:
                troubles.append(f"{file} is not written in UTF-8. Save it as UTF-8 in your editor.")
                continue
            from dotenv import dotenv_values

            for name, value in dotenv_values(stream=io.StringIO(text)).items():
                if value:
                    values.setdefault(name, value)
        self.troubles = tuple(troubles)
        self.values = {**values, **{name: value for name, value in os.environ.items() if value}}

    @property
    def keys(self) -> dict[str, str]:
        """The vendors' keys by variable name, and what else their services need (a region), stripped of the blanks and
        quotes that copying adds."""
        wanted = dict.fromkeys((*KEY_NAMES, *variables()))
        found = {name: self.values[name].strip().strip("\"'") for name in wanted if name in self.values}
        return {name: key for name, key in found.items() if key}

    def masked(self, text: str) -> str:
        """`text` with every key in it replaced by the name of its variable."""
        for secret, name in self._hidden.items():
            text = masked(text, {name: secret})
        return masked(text, self._secrets())

    def _secrets(self) -> dict[str, str]:
        return {**self.keys, TOKEN_VARIABLE: self.values.get(TOKEN_VARIABLE, "")}
