"""A typed call as a program holds one: `runner chat --json` as a process, its model an emulated OpenAI.

Comes in: lines to type. Goes out: the JSON records of standard output, in order.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.emulators import OpenAIEmulator
from tests.running import Running

Record = dict[str, Any]


class TypedCall(Running):
    """Use as `with TypedCall(agent, model) as call:`; the agent, which has a greeting, has greeted when the block begins.

    model: the emulator that answers; None for the model of this machine.
    keys:  the environment's keys.
    """

    keys: Mapping[str, str] = MappingProxyType({"OPENAI_API_KEY": "sk-dummy-mind"})

    def __init__(self, agent: Path, model: OpenAIEmulator | None, *options: str) -> None:
        where = (
            ("--services", "local") if model is None else ("--services", "cloud", "--set", f"llm.endpoint={model.url}")
        )
        super().__init__(
            *("chat", agent, "--json", *where, *options),
            cwd=agent.parent,
            env=self.keys,
            stdin=subprocess.PIPE,
        )

    def __enter__(self) -> TypedCall:
        self.wait("ready")
        self.wait("agent")
        return self

    @property
    def records(self) -> list[Record]:
        """What came so far. Lines that are no JSON count as `{"type": "text"}`: they come from standard error."""
        return [_record(line) for line in list(self.lines)]

    def of(self, kind: str) -> list[Record]:
        """The records of one type."""
        return [record for record in self.records if record["type"] == kind]

    def type(self, text: str) -> None:
        """Type one line, do not wait for what comes of it."""
        assert self.process.stdin
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def ask(self, text: str) -> Record:
        """Type one line and return what the agent says next."""
        before = len(self.of("agent"))
        self.type(text)
        return self.wait("agent", number=before + 1)

    def wait(self, kind: str, *, number: int = 1, seconds: float = 20) -> Record:
        """The record of this type with this number, counted from 1."""
        return self.wait_that(lambda: (self.of(kind)[number - 1 :] or [None])[0], f"{kind} number {number}", seconds)

    def wait_that(self, found: Callable[[], Any], what: str, seconds: float = 20) -> Any:
        """What `found` returns, as soon as it is true."""
        deadline = time.monotonic() + seconds
        while not (value := found()):
            if time.monotonic() > deadline or self.process.poll() is not None:
                time.sleep(0.1)
                if value := found():
                    break
                raise AssertionError(f"{what} did not come. What came:\n{self.output}")
            time.sleep(0.01)
        return value

    def hang_up(self) -> int:
        """End the input, as Ctrl-D does; the exit code."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(10)


def _record(line: str) -> Record:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"type": "text", "text": line}
