"""What entering a stage costs: from the caller's last word to the first sample of the new stage's first sentence, as a ratio to
the same turn without a transition. Run it with plain Python; ends with 1 when a ratio is above its bar.

One call to `runner` and one to the same agent by stock Pipecat Flows (`stock_flows.py`), turn by turn one after the other, with
the same recorded sentence and vendors as slow as real ones. The model speaks as long a sentence everywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.caller import Caller
from tests.cloud.vendors import KEYS, Ports, Vendors, vendors_on
from tests.emulators import AssemblyAIEmulator, CartesiaEmulator, OpenAIEmulator, sound
from tests.emulators.openai import Reply, ToolCall
from tests.running import Running, free_port
from tests.speech import speak

EAR_SECS, FIRST_TOKEN_SECS, TOKEN_SECS, VOICE_SECS = 0.15, 0.2, 0.02, 0.1
"""How long the emulated vendors take: the final words, the model's first and each further token, the first sound."""

BARS = {"stage with a prompt": 1.10, "stage with a say": 0.85}
"""Highest ratio allowed to `runner`. Nothing is asked of stock Pipecat: its ratios are printed beside."""

FIRST = "Certainly, let me have a look at that for you."
ANSWER = f"{FIRST} It will only take a moment."
PLAIN, REFUND, PARCEL, BACK = (
    "How are you doing today?",
    "I want my money back.",
    "Where is my parcel?",
    "Something else.",
)
SENTENCE = "I would like to know a little more about that please."
"""What is really spoken, always the same: the emulated ear writes down the words of the turn instead."""

TURNS = (("plain turn", PLAIN), ("stage with a prompt", REFUND), ("stage with a say", PARCEL))

AGENT = f"""
name: latency
description: Measured by tests/bench/stage_latency.py.
prompt: You are a friendly voice assistant.
llm:
  model: gpt-4o
stages:
  start:
    prompt: Find out what the caller wants.
    next:
      - when: The caller wants a refund
        examples: [I want my money back, Please refund my order]
        to: refund
      - when: The caller asks for a parcel
        examples: [Where is my parcel, When will it be delivered]
        to: parcel
  refund:
    prompt: Get the order number.
    next:
      - when: The caller wants something else
        to: start
  parcel:
    say: {FIRST}
    prompt: Help with the parcel.
    next:
      - when: The caller wants something else
        to: start
"""


def answer(body: Mapping[str, Any]) -> Reply:
    """The model: goes where the caller asks to go, and otherwise says always the same."""
    last = body["messages"][-1]
    offered = [tool["function"]["name"] for tool in body.get("tools") or []]
    wanted = {REFUND: "go_to_refund", PARCEL: "go_to_parcel", BACK: "go_to_start"}.get(str(last.get("content")))
    if last["role"] == "user" and wanted in offered:
        return Reply("", (ToolCall(str(wanted)),))
    return Reply(ANSWER)


async def first_sample(caller: Caller, vendors: Vendors, heard: str) -> float:
    """Seconds from the last voiced sound of the caller to the agent's first one."""
    await caller.wait_for_silence()
    await asyncio.sleep(0.6)
    vendors.ears.script([heard])
    said = await caller.say(SENTENCE)
    spoke = await caller.wait_for_agent_sound(after=said.ended)
    await asyncio.sleep(0.2)
    await caller.wait_for_silence()
    return spoke - said.ended


async def measure(addresses: Mapping[str, str], vendors: Vendors, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Who -> kind of turn -> seconds, one for each round; a first round that warms everything up is left out."""
    found = {who: {kind: list[float]() for kind, _ in TURNS} for who in addresses}
    speak(SENTENCE)
    async with contextlib.AsyncExitStack() as stack:
        callers = {who: await stack.enter_async_context(Caller(address)) for who, address in addresses.items()}
        for caller in callers.values():
            await caller.wait_for_stage("start")
        for number in range(rounds + 1):
            for kind, heard in TURNS:
                for who, caller in callers.items():
                    taken = await first_sample(caller, vendors, heard)
                    if number:
                        found[who][kind].append(taken)
                    if kind != "plain turn":
                        assert caller.stage != "start", f"{who}: no way out was taken"
                        await caller.send_text(BACK)
                        await caller.wait_for_stage("start")
                        await caller.wait_for_agent_sound(after=time.monotonic())
                        await asyncio.sleep(0.3)
    return found


def ratios(taken: Mapping[str, list[float]]) -> dict[str, float]:
    """The median turn of each kind by the median plain one."""
    plain = statistics.median(taken["plain turn"])
    return {kind: statistics.median(times) / plain for kind, times in taken.items()}


def show(found: Mapping[str, Mapping[str, list[float]]]) -> None:
    print(f"{'':22}" + "".join(f"{who:>34}" for who in found))
    for kind, _ in TURNS:
        cells = []
        for taken in found.values():
            times = sorted(taken[kind])
            median, ratio = statistics.median(times), ratios(dict(taken))[kind]
            cells.append(f"{median * 1000:6.0f} ms ({times[0] * 1000:.0f} to {times[-1] * 1000:.0f})  {ratio:.2f}")
        print(f"{kind:22}" + "".join(f"{cell:>34}" for cell in cells))


@contextlib.contextmanager
def stock(ports: Ports) -> Generator[str]:
    """Stock Pipecat in a process of its own. Gives its address."""
    port = free_port()
    given = {
        "port": str(port),
        "ears": f"ws://127.0.0.1:{ports.ears}{AssemblyAIEmulator.path}",
        "mind": f"http://127.0.0.1:{ports.mind}{OpenAIEmulator.path}",
        "voice": f"ws://127.0.0.1:{ports.voice}{CartesiaEmulator.path}",
        "ear-key": KEYS["ASSEMBLYAI_API_KEY"],
        "mind-key": KEYS["OPENAI_API_KEY"],
        "voice-key": KEYS["CARTESIA_API_KEY"],
        "say": FIRST,
    }
    options = [part for name, value in given.items() for part in (f"--{name}", value)]
    script = Path(__file__).with_name("stock_flows.py")
    process = subprocess.Popen([sys.executable, script, *options], stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            time.sleep(0.1)
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
        yield f"ws://127.0.0.1:{port}/ws"
    finally:
        process.terminate()
        process.wait()


def measured(rounds: int, *options: str) -> dict[str, dict[str, list[float]]]:
    """`rounds` turns of each kind in `runner` and in stock Pipecat. options: more of `runner`'s command line."""
    ports, port = Ports.free(), free_port()
    sound.SECONDS_A_CHARACTER = 0.02
    with tempfile.TemporaryDirectory() as name, vendors_on(ports) as vendors:
        vendors.ears.final_delay, vendors.voice.first_delay = EAR_SECS, VOICE_SECS
        vendors.mind.first_delay, vendors.mind.piece_delay = FIRST_TOKEN_SECS, TOKEN_SECS
        vendors.mind.answer = answer
        folder = Path(name)
        (folder / "latency.yaml").write_text(AGENT)
        arguments = (folder / "latency.yaml", "--no-browser", "--port", port, *options, *ports.arguments)
        with Running(*map(str, arguments), cwd=folder, env=KEYS) as running, stock(ports) as plain:
            running.wait_for("ready")
            addresses = {"runner": f"ws://127.0.0.1:{port}/ws-client/latency", "stock Pipecat Flows": plain}
            return asyncio.run(measure(addresses, vendors, rounds))


def main(argv: list[str] | None = None, run: Callable[..., dict[str, dict[str, list[float]]]] = measured) -> int:
    parser = argparse.ArgumentParser(description="What entering a stage costs.")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each kind (9)")
    parser.add_argument(
        "--set", action="append", default=[], help="a key of the agent file, such as turns.look_ahead=off"
    )
    options = parser.parse_args(argv)
    found = run(options.rounds, *(part for value in options.set for part in ("--set", value)))
    print(f"medians of {options.rounds} turns (least to most), and as a ratio to the plain turn")
    show(found)
    above = {kind: bar for kind, bar in BARS.items() if ratios(found["runner"])[kind] > bar}
    for kind, bar in above.items():
        print(f"{kind}: {ratios(found['runner'])[kind]:.2f} is above {bar:.2f}")
    return 1 if above else 0


if __name__ == "__main__":
    raise SystemExit(main())
