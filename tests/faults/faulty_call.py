"""One call of an agent file in the test's own process, against emulated vendors that fail as they are told.

Comes in: the text of an agent file and typed turns of a caller. Goes out: what the caller heard, what was told, how it ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    OutputAudioRawFrame,
    TTSStartedFrame,
)

from runner.compiler.services import Here
from runner.document.load import load
from runner.events import AgentSaid, CallEnded, Event, Silent, Trouble
from runner.live.call import Call
from runner.live.line import DIRECT
from runner.live.line import Line as CallLine
from tests.cloud.vendors import KEYS
from tests.emulators import AssemblyAIEmulator, CartesiaEmulator, OpenAIEmulator, until
from tests.emulators.pipecat_call import Loudspeaker, Microphone

Row = TypeVar("Row")
VOICED = 300.0


class Heard(Loudspeaker):
    """Keeps when voiced sound was played."""

    def __init__(self) -> None:
        super().__init__()
        self.voiced: list[tuple[float, float]] = []

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        samples = np.frombuffer(frame.audio, dtype="<i2").astype(float)
        if len(samples) and float(np.sqrt(np.mean(samples**2))) > VOICED:
            self.voiced.append((time.monotonic(), len(samples) / frame.sample_rate))
        return await super().write_audio_frame(frame)


class Line:
    """The carrier: a microphone, silent as long as nobody speaks into it, and a loudspeaker."""

    def __init__(self, microphone: Microphone | None = None) -> None:
        self.microphone, self.loudspeaker = microphone or Microphone(), Heard()

    def input(self) -> Microphone:
        return self.microphone

    def output(self) -> Heard:
        return self.loudspeaker


@dataclass
class FaultyCall:
    """A call that goes on, and its vendors."""

    call: Call
    line: Line
    ears: AssemblyAIEmulator
    mind: OpenAIEmulator
    voice: CartesiaEmulator
    events: list[Event] = field(default_factory=list[Event])
    log: list[str] = field(default_factory=list[str])
    quiet_since: float | None = field(default_factory=time.monotonic)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def said(self) -> list[str]:
        """What was recorded as said by the agent, turn by turn."""
        return [event.text for event in self.events if isinstance(event, AgentSaid)]

    @property
    def problems(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Trouble)]

    @property
    def troubles(self) -> list[str]:
        """What was told of the model and the voice: the ear's vendor is as slow here as the machine is busy, and says so."""
        return [text for text in self.problems if not text.startswith("AssemblyAI")]

    @property
    def silences(self) -> list[Silent]:
        return [event for event in self.events if isinstance(event, Silent)]

    @property
    def reason(self) -> str | None:
        """Why the call ended, None while it goes on."""
        return next((event.reason for event in self.events if isinstance(event, CallEnded)), None)

    @property
    def sound(self) -> float:
        """Seconds of voice that were played."""
        return sum(seconds for _, seconds in self.line.loudspeaker.voiced)

    async def ask(self, text: str = "Hello?") -> None:
        """Type a turn as soon as the agent is quiet: typed words do not interrupt it, and Pipecat 1.14 mixes up the turns of
        an answer that begins while another one is still heard."""
        await until(lambda: self.quiet_since and time.monotonic() - self.quiet_since > 0.2, 30)
        await self.call.hear_typed(text)

    async def until_said(self, words: str, within: float = 30.0) -> None:
        """Until the agent's newest turns hold `words`, or the call is over."""
        await until(lambda: words in " ".join(self.said) or self.reason is not None, within)

    async def until_over(self, within: float = 30.0) -> None:
        await until(lambda: self.reason is not None, within)


async def side_by_side(rows: Sequence[Row], play: Callable[[Row], Coroutine[Any, Any, None]], batch: int = 6) -> None:
    """Play the rows of a table, some calls at a time: they mostly wait. A failure names its row."""

    async def one(row: Row) -> None:
        try:
            await play(row)
        except BaseException as failure:
            failure.add_note(f"Row: {row}")
            raise

    for start in range(0, len(rows), batch):
        async with asyncio.TaskGroup() as group:
            for row in rows[start : start + batch]:
                group.create_task(one(row))
                await asyncio.sleep(0.1)


@asynccontextmanager
async def faulty_call(
    folder: Path,
    text: str = "",
    *,
    ears: AssemblyAIEmulator | None = None,
    mind: OpenAIEmulator | None = None,
    voice: CartesiaEmulator | None = None,
    begin: bool = True,
    lines: bool = True,
    endpoints: dict[str, str] | None = None,
    on: CallLine = DIRECT,
    carrier: Line | None = None,
    keys: Mapping[str, str] = KEYS,
) -> AsyncGenerator[FaultyCall]:
    """A running call of an agent whose file is `text` after its prompt.

    begin: the caller is there at once. lines: wait until the lines for trouble are kept.
    endpoints: part -> address, in place of the emulator's. on: what the carrier decides. keys: of all vendors.
    """
    file = folder / "agent.yaml"
    file.write_text("prompt: Be brief.\n" + text)
    loaded = load(file)
    assert loaded.definition, loaded.problems
    async with AsyncExitStack() as stack:
        ears = await stack.enter_async_context(ears or AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"]))
        mind = await stack.enter_async_context(mind or OpenAIEmulator(key=KEYS["OPENAI_API_KEY"]))
        voice = await stack.enter_async_context(voice or CartesiaEmulator(key=KEYS["CARTESIA_API_KEY"]))
        ears.termination_delay = 0.02
        at = {"stt": ears.url, "llm": mind.url, "tts": voice.url, **(endpoints or {})}
        agent = replace(
            loaded.definition,
            stt=replace(loaded.definition.stt, endpoint=at["stt"]),
            llm=replace(loaded.definition.llm, endpoint=at["llm"]),
            tts=replace(loaded.definition.tts, endpoint=at["tts"]),
        )
        events: list[Event] = []
        line = carrier or Line()
        call = Call(
            agent, 1, line, carrier_name="test", keys=keys, here=Here(), choose=None, listener=events.append, line=on
        )
        made = FaultyCall(call, line, ears, mind, voice, events)

        @call._compiled.pair.assistant().event_handler("on_before_process_frame")
        async def _sounds(_: object, frame: Frame) -> None:
            if isinstance(frame, TTSStartedFrame | BotStartedSpeakingFrame):
                made.quiet_since = None
            elif isinstance(frame, BotStoppedSpeakingFrame):
                made.quiet_since = time.monotonic()

        sink = logger.add(made.log.append, level="DEBUG", format="{level} {name} {message}\n{exception}")
        running = asyncio.create_task(call.run())
        try:
            if begin:
                await call.begin()
                if lines and (trouble := agent.on_trouble):
                    kept = call._compiled.lines
                    await until(lambda: kept.sound_of(trouble.say) and kept.sound_of(trouble.goodbye), 30)
            yield made
        finally:
            await call.cancel("the test is over")
            await running
            logger.remove(sink)
        shown = "".join(made.log)
        assert "Traceback" not in shown, shown[shown.index("Traceback") - 500 :]
        for key in keys.values():
            assert key not in shown + repr(events)
