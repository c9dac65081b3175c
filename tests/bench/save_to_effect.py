"""From a save to its effect in running calls, at the vendors' wires.

Run `python -m tests.bench.save_to_effect [calls] [saves]`.

A save changes the prompt, the keyterms and the voice. For each call: the time from the file being written to the moment from
which the call's next request has the new prompt and its next sentence the new voice, and to AssemblyAI being told the new
keyterms. That this moment is the right one is proved by turns begun at random times after the save: how each was asked and
spoken is seen at the vendors' wires. Beside it the noise: an empty request to the same process, and the delay of a timer in
this one.
"""

# ruff: noqa: ASYNC220, ASYNC240 (small files, between two measurements)
from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.many_calls import Calls, quantile, save, vendors
from tests.cloud.vendors import KEYS, Ports
from tests.emulators import until
from tests.running import PROJECT, environment, free_port

AGENT = """
prompt: You are number {n}.
name: shop
stt:
  keyterms: [Northwind, number {n}]
tts:
  voice: 79a125e8-cd45-4c13-8a67-{n:012}
"""
VOICE = "79a125e8-cd45-4c13-8a67-{n:012}"
P50_MS, P99_MS = 100, 250


@dataclass
class Measured:
    """Seconds. `to_call`, `to_ear` of every call and save; `turns`: (begun after the file was written, new prompt, new voice)."""

    to_call: list[float] = field(default_factory=list)
    to_ear: list[float] = field(default_factory=list)
    last_ear: list[float] = field(default_factory=list)
    turns: list[tuple[float, bool, bool]] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)
    lost: int = 0


async def measure(calls: Calls, file: Path, saves: int, notes: Path) -> Measured:
    found, chance = Measured(), random.Random(1)
    for number in range(1, saves + 1):
        await asyncio.sleep(0.8 + chance.random() * 0.4)
        sessions, asked = calls.ear_sessions, len(calls.mind.requests)
        term, seen = f"number {number}", notes.stat().st_size
        written = save(file, AGENT.format(n=number))
        turns = [
            asyncio.create_task(_turn(calls, n, number, written, 0.02 + 0.3 * chance.random()))
            for n in range(0, len(calls.talkers), 4)
        ]
        told: list[float] = []
        for session in sessions:
            try:
                await until(lambda s=session, term=term: _told(s, term), 3)
                told.append(_told(session, term)[0] - written)
            except AssertionError:
                found.lost += 1
        found.to_ear += told
        found.last_ear.append(max(told, default=float("nan")))
        begun = await asyncio.gather(*turns)
        texts = {text for _, text in begun}
        with contextlib.suppress(AssertionError):  # what does not come within this time counts as not there
            await until(lambda texts=texts: texts <= _spoken(calls), 4)
        found.turns += [(when, *_outcome(calls, asked, text, number)) for when, text in begun]
        _add_parts(found, notes.read_text()[seen:], written)
    return found


def _told(session: Any, term: str) -> list[float]:
    return [m.at for m in session.updates[-3:] if term in m.body.get("keyterms_prompt", [])]


async def _turn(calls: Calls, caller: int, number: int, written: float, after: float) -> tuple[float, str]:
    await asyncio.sleep(max(0.0, written + after - time.monotonic()))
    text = f"Question {number} of {caller}."
    begun = time.monotonic() - written
    await calls.talkers[caller].type(text)
    return begun, text


def _outcome(calls: Calls, asked: int, text: str, number: int) -> tuple[bool, bool]:
    requests = [r for r in calls.mind.requests[asked:] if r.messages and r.messages[-1].get("content") == text]
    new_prompt = any(r.system == f"You are number {number}." for r in requests)
    answers = [c for s in calls.voice.sessions for c in s.contexts.values() if text in c.text]
    return new_prompt, any(context.first.voice.id == VOICE.format(n=number) for context in answers)


def _spoken(calls: Calls) -> set[str]:
    return {c.text.strip() for session in calls.voice.sessions for c in list(session.contexts.values())[-3:]}


def _add_parts(found: Measured, notes: str, written: float) -> None:
    entries = [json.loads(line) for line in notes.splitlines()]
    by = {place: [e for e in entries if e["place"] == place] for place in ("read", "call", "tell parts", "ear")}
    if not by["read"]:
        return
    read = by["read"][0]
    found.to_call += [entry["ended"] - written for entry in by["call"]]
    for name, values in {
        "file written -> noticed": [read["begun"] - written],
        "reading and checking": [read["ended"] - read["begun"]],
        "read -> first call told": [by["call"][0]["begun"] - read["ended"]] if by["call"] else [],
        "one call": [e["ended"] - e["begun"] for e in by["call"]],
        "first call told -> last call told": [by["call"][-1]["ended"] - by["call"][0]["begun"]] if by["call"] else [],
        "told -> ear takes it": [e["begun"] - c["begun"] for e, c in zip(by["ear"], by["call"], strict=False)],
    }.items():
        found.parts.setdefault(name, []).extend(values)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:7.1f} ms"


def report(found: Measured, calls: Calls, number: int, used: float) -> bool:
    """Prints the table. Returns whether the bars were reached."""
    p50, p99 = quantile(found.to_call, 0.5) * 1000, quantile(found.to_call, 0.99) * 1000
    saves, told = len(found.last_ear), len(found.to_ear)
    print(f"{number} calls, {saves} saves: {told} updates, {found.lost} lost; runner used {used:.0%} of a core")
    print(f"  next request, sentence p50 {p50:6.1f} ms (bar {P50_MS})   p99 {p99:6.1f} ms (bar {P99_MS})")
    print(f"  keyterms at the ear    p50 {_ms(median(found.to_ear))}    p99 {_ms(quantile(found.to_ear, 0.99))}")
    print(f"  last of all calls     p50 {_ms(median(found.last_ear))}    worst {_ms(max(found.to_ear))}")
    for low, high in ((0, 0.05), (0.05, 0.1), (0.1, 0.15), (0.15, 0.2), (0.2, 0.25), (0.25, 9)):
        these = [turn for turn in found.turns if low <= turn[0] < high]
        prompts, voices = sum(prompt for _, prompt, _ in these), sum(voice for _, _, voice in these)
        if these:
            when = f"{low * 1000:3.0f} to {high * 1000:4.0f} ms"
            print(f"  turns begun {when} after: {len(these):3}, new prompt {prompts:3}, new voice {voices:3}")
    print("  parts of the way (medians)")
    for name, values in found.parts.items():
        if values:
            print(f"    {name:34} {_ms(median(values))}   p99 {_ms(quantile(values, 0.99))}")
    for name, values in (("empty request to runner", calls.pings), ("timer in the measuring process", calls.lags)):
        print(f"    noise: {name:34} p50 {_ms(quantile(values, 0.5))}   p99 {_ms(quantile(values, 0.99))}")
    return p50 <= P50_MS and p99 <= P99_MS and not found.lost


def _used(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def bench(number: int, saves: int) -> bool:
    ports, port = Ports.free(), free_port()
    with tempfile.TemporaryDirectory() as name:
        file, notes = Path(name) / "shop.yaml", Path(name) / "notes"
        file.write_text(AGENT.format(n=0))
        notes.touch()
        command = [
            sys.executable,
            "-m",
            "tests.bench.timed_runner",
            notes,
            file,
            "--no-browser",
            "--port",
            port,
            *ports.arguments,
        ]
        log = (Path(name) / "log").open("w")
        process = subprocess.Popen([*map(str, command)], cwd=PROJECT, env=environment(KEYS), stdout=log, stderr=log)
        try:
            async with vendors(ports, port) as calls:
                await until(lambda: "ready" in (Path(name) / "log").read_text().split("\n"), 40)
                await calls.ring(number, "shop")
                await asyncio.sleep(3)
                calls.lags.clear()
                calls.pings.clear()
                begun, used = time.monotonic(), _used(process.pid)
                found = await measure(calls, file, saves, notes)
                share = (_used(process.pid) - used) / (time.monotonic() - begun)
                closed = [talker.closed for talker in calls.talkers if talker.closed is not None]
                assert not closed, f"calls ended: {closed}"
                return report(found, calls, number, share)
        except AssertionError:
            print((Path(name) / "log").read_text()[-3000:])
            raise
        finally:
            process.terminate()
            process.wait(10)
            log.close()


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    good = asyncio.run(bench(arguments[0] if arguments else 20, arguments[1] if len(arguments) > 1 else 30))
    sys.exit(0 if good else 1)
