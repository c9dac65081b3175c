"""A call whose file names another ear as fallback, and the vendors of both.

Comes in: which of them fails and how the caller's turns are found. Goes out: the call, in which both sentences can be spoken.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cloud.vendors import KEYS
from tests.emulators import AssemblyAIEmulator, OpenAIEmulator, until
from tests.emulators.hearing import Timeline
from tests.faults.faulty_call import FaultyCall, faulty_call
from tests.faults.two_sentences import FIRST, SECOND, counted, say_second, written

PIPECAT = """turns: {smart_turn: false, speech_timeout: 0.4}
stt:
  min_turn_silence: 400
"""
OWN_TURNS = """turns: {smart_turn: false, speech_timeout: 0.4}
stt:
  turn_detection: assemblyai
  min_turn_silence: 400
  max_turn_silence: 800
"""
MODES = {"pipecat": PIPECAT, "assemblyai": OWN_TURNS}
"""How the caller's turns are found."""

ALL_KEYS = {**KEYS, "DEEPGRAM_API_KEY": "dummy-deepgram-40c7d1"}

Breaks = Callable[[AssemblyAIEmulator], object]


@dataclass
class TwoEars:
    """ears: of the first one. other: of the fallback, where that is AssemblyAI's too. timeline: what the caller says."""

    call: FaultyCall
    other: AssemblyAIEmulator
    timeline: Timeline

    @property
    def ears(self) -> AssemblyAIEmulator:
        return self.call.ears

    def told(self, words: str) -> bool:
        return any(words in line for line in self.call.problems)

    async def both_sentences(self) -> None:
        """The first one is being said, or was: it is answered, and so is the second."""
        call = self.call
        await until(lambda: "one thing" in " ".join(call.said) or call.reason, 40)
        await say_second(call, self.timeline)
        await until(lambda: "two things" in " ".join(call.said) or call.reason, 40)
        assert call.reason is None
        assert " ".join(written(call)) == f"{FIRST} {SECOND}"
        assert call.said[-1] == "You said two things."


@asynccontextmanager
async def two_ears(
    folder: Path,
    before: Breaks = lambda _: None,
    *,
    file: str = PIPECAT,
    fallback: str = "",
    timeline: Timeline | None = None,
) -> AsyncGenerator[TwoEars]:
    """before: breaks the first ear. fallback: what the file says of the second; AssemblyAI's with another model without it."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240
    ears = AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"])
    mind = OpenAIEmulator(key=KEYS["OPENAI_API_KEY"], answer=counted)
    async with AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"]) as other:
        spoken = ears.timeline = other.timeline = timeline or Timeline([], [])
        ears.final_delay = other.final_delay = 0.3
        before(ears)
        second = fallback or f"endpoint: {other.url}, model: universal-3-6-pro"
        text = f"{file}  fallback:\n    - {{{second}}}\n"
        async with faulty_call(folder, text, ears=ears, mind=mind, lines=False, keys=ALL_KEYS) as call:
            yield TwoEars(call, other, spoken)


def always_deaf(ears: AssemblyAIEmulator) -> None:
    """Sessions begin, and then nothing comes, not even a goodbye."""
    ears.tamper = lambda _, body: [body] if body["type"] == "Begin" else []
    ears.termination_delay = None
    for session in ears.sessions:
        session.hangs = True
