"""What 200 stage changes and 200 saves cost a caller who speaks without a pause: ours, and beside it Pipecat's own service.

Run: python -m tests.bench.stage_changes [--changes 400] [--stock 10]

One line for each pair of (the vendor answers Terminate after, connecting takes): sound lost, doubled, out of order; how long
frames were held up in the ear, p99 and longest; connections. The caller's sound is real speech in real time, every 10 ms
numbered; every second change is one that needs another connection. Sound that arrives after Terminate counts as lost. Stock
Pipecat is given fewer changes, because each of them stops its frames.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pipecat.frames.frames import STTUpdateSettingsFrame
from pipecat.services.assemblyai.stt import AssemblyAISTTService

from runner.compiler import services
from runner.compiler.services import Here
from runner.definition import AgentDefinition
from runner.document.load import load
from runner.effective import Effective, change, effective
from tests.emulators import AssemblyAIEmulator
from tests.emulators.line import Line, line
from tests.speech import Samples, speak

KEYS = {"ASSEMBLYAI_API_KEY": "a-key"}
TERMINATES: tuple[float | None, ...] = (0.02, 0.6, None)
CONNECTS = (0.0, 0.15, 0.5)
SECS_A_CHANGE = 0.05

_FILE = """
prompt: Be kind.
stt:
  keyterms: [{term}]
  {mode}
stages:
  plain:
    prompt: x
    next: [{{otherwise: words}}]
  words:
    prompt: x
    stt: {{keyterms: [order number], min_turn_silence: 400}}
    next: [{{otherwise: far}}]
  far:
    prompt: x
    stt: {{voice_focus: far-field, domain: medical-v1}}
    next: [{{otherwise: counted}}]
  counted:
    prompt: x
    stt: {{speaker_labels: true, max_speakers: 2, about: Two people on the phone.}}
    next: [{{otherwise: plain}}]
"""


@dataclass(frozen=True)
class Cost:
    """Milliseconds, and the number of connections."""

    changes: int
    lost: int
    doubled: int
    in_order: bool
    p99: float
    longest: float
    connections: int


def saved(version: int) -> AgentDefinition:
    """The agent's file after so many saves: every save changes a word, every second one the mode too."""
    text = _FILE.format(term=f"term{version}", mode="mode: balanced" if version // 2 % 2 else "mode: max_accuracy")
    made = load(Path("/nowhere/agent.yaml"), text=text, env={}).definition
    assert made
    return made


def moments(count: int) -> Iterator[Effective]:
    """Stage changes and saves in turn."""
    versions = [saved(version) for version in range(8)]
    stages = itertools.cycle(("plain", "words", "far", "counted"))
    stage, version = "plain", 0
    for number in range(count):
        if number % 2:
            version = (version + 1) % len(versions)
        else:
            stage = next(stages)
        yield effective(versions[version], stage)


def continuous_speech(seconds: float) -> Samples:
    text = "I would like to know where my order is because it should have been here on Monday and nobody called me. "
    once = speak(text)
    return np.tile(once, int(seconds * 16_000 / len(once)) + 1)[: int(seconds * 16_000)]


async def told(ear: Any, now: Effective, before: Effective, stock: bool) -> None:
    frame = services.update_stt(change(before, now), now, Here())
    if frame and stock:
        known = {name: value for name, value in frame.delta.given_fields().items() if name in _STOCK}
        frame = STTUpdateSettingsFrame(delta=AssemblyAISTTService.Settings(**known)) if known else None
    if frame:
        await ear.queue_frame(frame)


_STOCK = frozenset(AssemblyAISTTService.Settings.__dataclass_fields__)


async def run(
    terminate: float | None, connect: float, changes: int, *, stock: bool = False, secs: float = SECS_A_CHANGE
) -> tuple[Cost, Line]:
    """One caller; `changes` changes, one every `secs`."""
    emulator = AssemblyAIEmulator()
    emulator.final_delay = 0.1
    emulator.termination_delay, emulator.connect_delay = terminate, connect
    async with emulator:
        first = effective(saved(0), "plain")
        first = replace(first, stt=replace(first.stt, endpoint=emulator.url))
        ear: Any = services.build_stt(first, KEYS, Here())
        if stock:
            settings = {name: value for name, value in ear._settings.given_fields().items() if name in _STOCK}
            settings.pop("max_turn_silence")
            ear = AssemblyAISTTService(
                api_key="a-key",
                api_endpoint_base_url=emulator.url,
                settings=AssemblyAISTTService.Settings(**settings),
            )
        async with line(ear, emulator, vad=False) as caller:
            speaking = asyncio.create_task(caller.say(continuous_speech(changes * secs + 3)))
            before = first
            for now in moments(changes):
                await asyncio.sleep(secs)
                await told(ear, now, before, stock)
                before = now
            await speaking
            until = caller.now
            await asyncio.sleep(2.5 + 2 * connect)
            lost, doubled, in_order = caller.compare(until)
            p99, longest = caller.delay_ms(99), caller.delay_ms(100)
        cost = Cost(changes, lost, doubled, in_order, p99, longest, emulator.handshakes)
        return cost, caller


def row(name: str, terminate: float | None, connect: float, cost: Cost) -> str:
    after = "never" if terminate is None else f"{terminate * 1000:.0f} ms"
    order = "in order" if cost.in_order else "OUT OF ORDER"
    return (
        f"{name:<6} Terminate {after:>6}  connect {connect * 1000:>3.0f} ms  changes {cost.changes:>3}  "
        f"lost {cost.lost:>6} ms  doubled {cost.doubled:>4} ms  {order:<12}  "
        f"held up p99 {cost.p99:>7.1f} ms, longest {cost.longest:>7.1f} ms  connections {cost.connections:>3}"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--changes", type=int, default=400)
    parser.add_argument("--stock", type=int, default=10)
    options = parser.parse_args()
    quiet, _ = await run(0.02, 0.0, 0)
    print(row("none", 0.02, 0.0, quiet), flush=True)
    for terminate, connect in itertools.product(TERMINATES, CONNECTS):
        cost, _ = await run(terminate, connect, options.changes)
        print(row("ours", terminate, connect, cost), flush=True)
        cost, _ = await run(terminate, connect, options.stock, stock=True, secs=0.5)
        print(row("stock", terminate, connect, cost), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
