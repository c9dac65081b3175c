"""Twelve audio minutes of whole calls while ear, model and voice break in every way that they have: is every sentence of the
caller in the transcript once, and does the caller hear something soon?

Run: python -m tests.bench.faulty_dialogue [--calls 2] [--minutes 6] [--seed 5]

Each call is runner's own, with real speech in real time and the real turn taking (Silero, Smart Turn); the vendors are emulated,
and one of them breaks every two to six seconds, at whatever moment that is. The caller waits for an answer before the next
sentence. One line for each call: faults, how long after the caller's last sound something was heard, and whether every sentence
is there once.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from loguru import logger
from pipecat.frames.frames import InputAudioRawFrame

from runner.events import CallerSaid
from tests.bench.random_faults import FAULTS as EAR_FAULTS
from tests.bench.random_faults import SENTENCES, TAIL_SECS, arguments, scored
from tests.cloud.vendors import KEYS
from tests.emulators import AssemblyAIEmulator, until
from tests.emulators.hearing import Timeline
from tests.emulators.numbered import RATE, Samples, numbered
from tests.emulators.pipecat_call import Microphone
from tests.faults.faulty_call import FaultyCall, Line, faulty_call

AGENT = "on_trouble: {say: Sorry. Could you say that again?, tries: 10}\n"
BREATH_SECS = 0.7
"""How long the agent is silent before the caller goes on."""

LONGEST_WAIT_SECS = 10.0

Fault = Callable[[FaultyCall, random.Random], None]


def _drop(call: FaultyCall, _: random.Random) -> None:
    for session in call.voice.sessions:
        if session.is_open:
            session.drop()


FAULTS: dict[str, Fault] = {
    "model refuses": lambda call, chance: call.mind.fail(chance.choice((400, 429, 500, 503))),
    "model hangs": lambda call, chance: call.mind.stall(chance.choice((0, 3))),
    "model breaks off": lambda call, chance: call.mind.cut(chance.choice((0, 3))),
    "model answers nonsense": lambda call, chance: call.mind.garble(b"data: {%%%\n\n", chance.choice((0, 3))),
    "voice refuses": lambda call, chance: call.voice.fail(
        status=chance.choice((429, 500)), with_context=chance.random() < 0.5
    ),
    "voice hangs": lambda call, chance: call.voice.hang(chance.choice((0, 7))),
    "voice closes": lambda call, chance: call.voice.close(
        chance.choice((1000, 1006, 1008, 1011)), chance.choice((0, 7))
    ),
    "voice answers nonsense": lambda call, chance: call.voice.garble("%%%", '{"type": "chunk"}', "[]"),
    "voice is lost": _drop,
}


class CountingMicrophone(Microphone):
    """The caller's sound, every 10 ms with its number."""

    def __init__(self) -> None:
        super().__init__()
        self.next_number = 1

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        samples: Samples = np.frombuffer(frame.audio, dtype=np.int16)
        frame.audio = numbered(samples, self.next_number).tobytes()
        self.next_number += len(samples) * 100 // RATE
        await super().push_audio_frame(frame)


@dataclass
class Outcome:
    """What became of one call's sentences.

    waits: from a sentence's last sound to the first sound of the agent, seconds. reason: why the call ended before its time.
    """

    said: list[str] = field(default_factory=list[str])
    turns: list[str] = field(default_factory=list[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    waits: list[float] = field(default_factory=list[float])
    reason: str | None = None

    @property
    def is_right(self) -> bool:
        """Every sentence once and in order and nothing else, nobody waited long, and the call went on."""
        whole = " ".join(self.turns) == " ".join(self.said)
        return whole and self.reason is None and max(self.waits, default=0) <= LONGEST_WAIT_SECS


async def dialogue(seed: int, seconds: float, folder: Path) -> Outcome:
    """One call of about so many seconds."""
    chance, outcome = random.Random(seed), Outcome()
    spoken_ahead = {text: scored([text]) for text in SENTENCES}  # takes a while, in which no call could go on
    ears = AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"])
    timeline = ears.timeline = Timeline([], [])
    ears.final_delay, ears.begin_delay = 0.15, 0.2
    microphone = CountingMicrophone()
    async with faulty_call(folder, AGENT, ears=ears, carrier=Line(microphone)) as call:
        call.mind.answer = lambda body: "I see. Is there anything else that you would like to tell me?"
        ends_at = time.monotonic() + seconds
        breaking = asyncio.create_task(_break(call, chance, outcome))
        while time.monotonic() < ends_at and call.reason is None:
            text = SENTENCES[(seed + len(outcome.said)) % len(SENTENCES)]
            outcome.said.append(text)
            sound, words, (end,) = spoken_ahead[text]
            start = microphone.next_number
            timeline.words.extend(word for word, _ in words)
            timeline.ends.extend(start + place for _, place in words)
            await microphone.speak(sound[: (end + 10) * RATE // 100])
            spoken = time.monotonic() - 0.1
            await _answered(call, spoken, outcome)
        breaking.cancel()
        outcome.reason = call.reason
        written = " ".join(outcome.said)

        def turns() -> list[str]:
            return [event.text for event in call.events if isinstance(event, CallerSaid)]

        try:
            await until(lambda: " ".join(turns()) == written, TAIL_SECS)
        except AssertionError:
            logger.debug("Not every sentence was written down once")
        outcome.turns = turns()
    return outcome


async def _answered(call: FaultyCall, spoken: float, outcome: Outcome) -> None:
    """Until the agent has been heard and is silent again."""
    heard = call.line.loudspeaker.voiced
    while not (heard and heard[-1][0] > spoken) and time.monotonic() - spoken < 3 * LONGEST_WAIT_SECS:
        if call.reason is not None:
            return
        await asyncio.sleep(0.02)
    outcome.waits.append(next((at for at, _ in heard if at > spoken), time.monotonic()) - spoken)
    while heard and time.monotonic() - heard[-1][0] - heard[-1][1] < BREATH_SECS:  # noqa: ASYNC110 - a test's clock is real time
        await asyncio.sleep(0.02)


async def _break(call: FaultyCall, chance: random.Random, outcome: Outcome) -> None:
    while True:
        await asyncio.sleep(chance.uniform(2, 6))
        if chance.random() < 0.5:
            fault = chance.choice(EAR_FAULTS)
            if alive := [session for session in call.ears.sessions if session.is_open]:
                fault(call.ears, alive[-1], chance)
                outcome.faults[f"ear: {fault.__name__.strip('_')}"] += 1
        else:
            name = chance.choice(sorted(FAULTS))
            FAULTS[name](call, chance)
            outcome.faults[name] += 1


async def main() -> None:
    given = arguments(__doc__, calls=2, minutes=6)
    logger.remove()
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / str(number) for number in range(given.calls)]
        for place in places:
            place.mkdir()
        outcomes = await asyncio.gather(
            *(dialogue(given.seed + n, 60 * given.minutes, place) for n, place in enumerate(places))
        )
    for number, outcome in enumerate(outcomes, 1):
        waits = np.array(outcome.waits or [float("nan")])
        whole = " ".join(outcome.turns) == " ".join(outcome.said)
        right = "every sentence once" if whole else f"WRONG: {outcome.turns}\nSAID: {outcome.said}"
        print(
            f"call {number}: {len(outcome.said)} sentences, {sum(outcome.faults.values())} faults"
            f"{f', ENDED: {outcome.reason}' if outcome.reason else ''}; something heard after {np.median(waits):.1f} s (median), "
            f"{waits.max():.1f} s (longest); {right}"
        )
        print(f"  {dict(outcome.faults)}")
    print(f"{sum(outcome.is_right for outcome in outcomes)} of {len(outcomes)} calls right")


if __name__ == "__main__":
    asyncio.run(main())
