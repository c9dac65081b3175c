"""What a running call's services hold after they were told a change is what services made for that moment hold.

One real pipeline, connected to emulated vendors, is led through moments of all example agents in any order. After each step its
ear, its model, its voice, its voice detection and its patience with silence are compared with those of a call that was built
for that moment. Nothing is compared by its name here: Pipecat's own settings objects are, and the address of the ear's session.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields, replace
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest
from pipecat.frames.frames import BotStartedSpeakingFrame, BotStoppedSpeakingFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.cartesia.tts import GenerationConfig
from pipecat.utils.types import is_given
from pipecat.workers.runner import WorkerRunner

from runner.catalog import PARTS, PROVIDERS, Part
from runner.compiler import services
from runner.compiler.conversation import Conversation
from runner.compiler.pipeline import Compiled, compile_call
from runner.compiler.services import Here
from runner.compiler.services.assemblyai.ears import AssemblyAIEars
from runner.effective import Change, Effective, change, effective
from tests.cloud.vendors import KEYS
from tests.emulators import AssemblyAIEmulator, CartesiaEmulator, Emulator, OpenAIEmulator, until
from tests.moments import EXAMPLES, PLAIN, applied, opened

PROVIDER: dict[Part, str] = {"stt": "assemblyai", "llm": "openai", "tts": "cartesia"}
NAMES_IN_ADDRESS = {field.wire for field in PROVIDERS["stt", "assemblyai"].fields.values() if field.wire}
"""What the ear's address says: Pipecat fills some of it in when it is made, and the running ear when it opens a session."""

STEPS = int(os.environ.get("MOMENTS", "45"))
SEED = int(os.environ.get("MOMENTS_SEED", "4"))
"""How many moments are visited, and in which order; MOMENTS=1000 visits all."""


class Door(FrameProcessor):
    """One end of a carrier that carries nothing."""

    async def process_frame(self, frame: Any, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class Nobody:
    """A carrier on whose other side nobody is."""

    def __init__(self) -> None:
        self._ends = Door(), Door()

    def input(self) -> FrameProcessor:
        return self._ends[0]

    def output(self) -> FrameProcessor:
        return self._ends[1]


def built(moment: Effective) -> Compiled:
    """A call as it is made when it begins in this moment."""
    conversation = Conversation(PLAIN, version=1, listener=lambda _: None, choose=None)
    conversation._now = conversation._held = moment  # pyright: ignore[reportPrivateUsage]
    call = compile_call(conversation, Nobody(), keys=KEYS, here=Here())
    cast("AssemblyAIEars", call.stt).assume_rate(16_000)
    return call


def held(call: Compiled) -> dict[str, object]:
    """All that the parts of a call are set to."""
    user: Any = call.pair.user()
    vad, idle = user._vad_controller._vad_analyzer.params, user._user_idle_controller._user_idle_timeout
    found: dict[str, object] = {"vad": vad.model_dump(), "idle": idle, "ear's address": _address(call.stt)}
    for part in PARTS:
        settings: Any = {"stt": call.stt, "llm": call.llm, "tts": call.tts}[part]
        settings = settings._settings
        for field in fields(settings):
            if part == "stt" and field.name in NAMES_IN_ADDRESS:
                continue
            found[f"{part}.{field.name}"] = _said(part, field.name, getattr(settings, field.name))
    return found


def _address(ear: Any) -> dict[str, object]:
    """What the ear's next session would be opened with."""
    query = parse_qsl(urlsplit(ear._build_ws_url()).query, keep_blank_values=True)
    said = {name: _said("stt", name, _parsed(value)) for name, value in query}
    return {name: value for name, value in said.items() if value is not None}


def _parsed(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _said(part: Part, name: str, value: Any) -> Any:
    """A value as the vendor meets it: not given, None and the vendor's own resting value are all the same."""
    rest = next((f.rest for f in PROVIDERS[part, PROVIDER[part]].fields.values() if f.wire == name), None)
    if value is None or not is_given(value) or type(value).__name__ in ("NotGiven", "Omit"):
        return None
    if isinstance(value, GenerationConfig):
        return value.model_dump(exclude_none=True) or None
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if _said(part, key, item) is not None}
    return None if rest is not None and value == (list(rest) if isinstance(rest, tuple) else rest) else value


def taken(before: Effective, after: Effective) -> Effective:
    """`after` as far as a running call can take it."""
    live = [field for field in change(before, after).fields if field.when in ("now", "next turn", "next stage")]
    return applied(before, Change(tuple(live)))


@pytest.fixture
async def endpoints() -> AsyncIterator[dict[str, str]]:
    vendors: dict[str, Emulator] = {
        "stt": AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"]),
        "llm": OpenAIEmulator(key=KEYS["OPENAI_API_KEY"]),
        "tts": CartesiaEmulator(key=KEYS["CARTESIA_API_KEY"]),
    }
    async with AsyncExitStack() as stack:
        for vendor in vendors.values():
            await stack.enter_async_context(vendor)
        yield {part: vendor.url for part, vendor in vendors.items()}


def moments(endpoints: dict[str, str]) -> list[tuple[str, Effective]]:
    """Every moment of every example agent that the three cloud services serve, its name first; all at these addresses."""
    found: list[tuple[str, Effective]] = []
    for file in EXAMPLES:
        agent = opened(file)
        for stage in agent.stages or [None]:
            moment = effective(agent, stage)
            if all(moment.service(part).provider == PROVIDER[part] for part in PARTS):
                there = {part: replace(moment.service(part), endpoint=endpoints[part]) for part in PARTS}
                found.append((f"{file.stem}/{stage}", replace(moment, **there)))
    return found


@pytest.mark.slow
async def test_running_services_hold_what_new_ones_would(endpoints: dict[str, str]) -> None:
    chance = random.Random(SEED)
    everywhere = moments(endpoints)
    way = chance.sample(everywhere, min(STEPS, len(everywhere)))
    (name, now), *others = way
    async with running(built(now)) as call:
        for coming, moment in others:
            expected = taken(now, moment)
            await call.apply(change(now, expected), expected)
            await _becomes(call, held(built(expected)), f"{name} -> {coming} (seed {SEED})")
            name, now = coming, expected


@pytest.mark.parametrize("guard", [{"barge_in": False}, {"mute": ("always",)}], ids=str)
async def test_words_that_nobody_may_cut_off_are_said_out_before_that_changes(
    guard: dict[str, Any], endpoints: dict[str, str]
) -> None:
    """A stage may be left while its words are still being spoken."""
    at = {part: replace(getattr(PLAIN, part), endpoint=endpoints[part]) for part in PARTS}
    free = effective(replace(PLAIN, **at), None)
    guarded = replace(free, turns=replace(free.turns, **guard))
    async with running(built(guarded)) as call:
        assert call.turns
        listening = call.turns._listening  # pyright: ignore[reportPrivateUsage]
        await listening.process_frame(BotStartedSpeakingFrame())
        await call.apply(change(guarded, free), free)
        await asyncio.sleep(0.2)
        assert _is_guarded(call)
        await listening.process_frame(BotStoppedSpeakingFrame())
        await listening.process_frame(BotStartedSpeakingFrame())  # the next words follow at once
        await until(lambda: not _is_guarded(call))
        await call.apply(change(free, guarded), guarded)
        await until(lambda: _is_guarded(call))


def _is_guarded(call: Compiled) -> bool:
    user: Any = call.pair.user()
    muted_in = cast("Any", call.turns)._listening.muted_in
    return "always" in muted_in or not user._user_turn_controller._user_turn_strategies.start[0]._enable_interruptions


@asynccontextmanager
async def running(call: Compiled) -> AsyncGenerator[Compiled]:
    """The call, from when its pipeline runs until it has ended."""
    runner = WorkerRunner(handle_sigint=False, handle_sigterm=False, check_dangling_tasks=False)
    started = asyncio.Event()

    @call.worker.event_handler("on_pipeline_started")
    async def begun(*_: object) -> None:
        started.set()

    await runner.add_workers(call.worker)
    run = asyncio.create_task(runner.run())
    await asyncio.wait_for(started.wait(), 10)
    try:
        yield call
    finally:
        await call.worker.cancel(reason="the test is over")
        await run
        await call.close()


async def _becomes(call: Compiled, wanted: dict[str, object], what: str) -> None:
    """Until the call holds this. Raises AssertionError with what differs after three seconds."""
    for _ in range(300):
        if held(call) == wanted:
            return
        await asyncio.sleep(0.01)
    has = held(call)
    wrong = {name: (has[name], wanted[name]) for name in wanted if has[name] != wanted[name]}
    raise AssertionError(f"{what}: (held, as a new call has it) {wrong}")


def test_speed_that_is_taken_out_together_with_the_model_s_change_rests() -> None:
    """A change that names the model is not taken for the making of a service."""
    fast = replace(PLAIN, tts=replace(PLAIN.tts, settings={**PLAIN.tts.settings, "model": "sonic-3", "speed": 1.3}))
    before, after = effective(fast, None), effective(PLAIN, None)
    frame = services.update_tts(change(before, after), after, Here())
    assert frame
    assert frame.delta
    assert frame.delta.given_fields()["generation_config"] == GenerationConfig()
