"""`runner` that notes when a save passes each of its rooms. Run as `python -m tests.bench.timed_runner NOTES AGENT ...`.

Comes in: a file for the notes, and `runner`'s own command line. Goes out: one JSON line a passage: where, and when it began and
ended (`time.monotonic()` seconds, the same clock in every process of this machine). `runner` itself knows nothing of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def noted(notes: Any, place: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, which is awaited, with its beginning and end written down."""

    async def timed(*arguments: Any, **named: Any) -> Any:
        begun = time.monotonic()
        try:
            return await work(*arguments, **named)
        finally:
            notes.write(json.dumps({"place": place, "begun": begun, "ended": time.monotonic()}) + "\n")

    return timed


def main() -> int:
    notes = Path(sys.argv[1]).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115 (as long as the process)
    from runner.cli import main as run
    from runner.compiler.pipeline import Compiled
    from runner.compiler.services.assemblyai import AssemblyAIEars
    from runner.live.call import Call
    from runner.live.reload import Agents

    for owner, name, place in (
        (Agents, "take", "read"),
        (Call, "take_version", "call"),
        (Compiled, "apply", "tell parts"),
        (AssemblyAIEars, "_update_settings", "ear"),
    ):
        setattr(owner, name, noted(notes, place, getattr(owner, name)))
    _note_lag(notes)
    sys.argv[1:] = sys.argv[2:]
    return run()


def _note_lag(notes: Any) -> None:
    """How late the event loop of the calls is with a timer of 10 ms."""
    start = asyncio.BaseEventLoop.run_forever

    def run_forever(loop: asyncio.BaseEventLoop) -> None:
        def tick(due: float) -> None:
            now = time.monotonic()
            if now - due > 0.02:
                notes.write(json.dumps({"place": "late", "begun": due, "ended": now}) + "\n")
            loop.call_later(0.01, tick, now + 0.01)

        loop.call_soon(tick, time.monotonic())
        start(loop)

    asyncio.BaseEventLoop.run_forever = run_forever


if __name__ == "__main__":
    sys.exit(main())
