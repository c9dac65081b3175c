"""Saves of an agent's file while calls are on, taken back afterwards."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.caller import Caller

TAKEN_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class AgentFile:
    """The file of one agent that a running `runner` watches."""

    path: Path
    port: int

    async def save(self, caller: Caller, *changes: tuple[str, str]) -> None:
        """Replace each first text by the second one. Returns when the call of `caller` has the new version."""
        text = self.path.read_text("utf-8")
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {self.path.name}"
            text = text.replace(old, new)
        had = len(caller.told("version"))
        self.path.write_text(text, "utf-8")
        await caller.wait_until(lambda: len(caller.told("version")) > had, "the new version", seconds=TAKEN_WITHIN)

    @property
    def version(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
            agents = json.load(answer)["agents"]
        return next(agent["version"] for agent in agents if agent["name"] == self.path.stem)


@contextmanager
def kept(path: Path, port: int) -> Generator[AgentFile]:
    """The file, which is as before in the end, for `runner` too."""
    before = path.read_text("utf-8")
    file = AgentFile(path, port)
    try:
        yield file
    finally:
        if path.read_text("utf-8") != before:
            version, deadline = file.version, time.monotonic() + TAKEN_WITHIN
            path.write_text(before, "utf-8")
            while file.version == version and time.monotonic() < deadline:
                time.sleep(0.05)
