"""Twelve audio minutes of dialogue while the ear's vendor breaks in every way that it has: is every sentence of the caller
written down once?

Run: python -m tests.bench.random_faults [--calls 4] [--minutes 3] [--seed 5]

Each call is an ear with its own emulated vendor, real speech in real time whose every 10 ms are numbered, and Pipecat's own
turn taking behind the ear; a fault comes every two to six seconds. One line for each call: faults, sessions, how long after its
last sound a sentence was there, median and longest, and whether every sentence was written down once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from tests.cloud.ears import ear_of
from tests.emulators import AssemblyAIEmulator, until
from tests.emulators.assemblyai import AssemblyAISession
from tests.emulators.hearing import Timeline
from tests.emulators.line import Line, line
from tests.emulators.loudness import Loudness
from tests.speech import Samples, silence, speak

SENTENCES = (
    "I would like to send back a pair of shoes that I bought last week.",
    "The order number is four seven one one.",
    "They are too small and one of them has a hole in it.",
    "I paid with my credit card and I want the money back.",
    "You can call me in the afternoon but not on Wednesday.",
    "My name is Walter Miller and I live in Portland.",
    "Can you tell me how long it is going to take.",
    "That is longer than I thought it would be.",
    "Then please send me an email when it has arrived.",
    "Yes.",
    "Thank you very much and have a nice day.",
)
PAUSE_SECS = 2.0
TAIL_SECS = 8.0
"""How long after the last sentence its words may still come."""

Fault = Callable[[AssemblyAIEmulator, AssemblyAISession, random.Random], None]


def _drop(_: AssemblyAIEmulator, session: AssemblyAISession, __: random.Random) -> None:
    session.drop()


def _close(_: AssemblyAIEmulator, session: AssemblyAISession, chance: random.Random) -> None:
    session.close(chance.choice((1000, 1001, 1011, 3005, 3008)))


def _error(_: AssemblyAIEmulator, session: AssemblyAISession, chance: random.Random) -> None:
    session.fail(
        *chance.choice(
            [
                (3005, "Session Cancelled: An error occurred"),
                (3008, "Session Expired: Maximum session duration exceeded"),
                (3007, "Input Duration Error: Audio Transmission Rate Exceeded"),
                (1008, "Unauthorized Connection: Too many concurrent sessions"),
            ]
        )
    )


def _hang(_: AssemblyAIEmulator, session: AssemblyAISession, __: random.Random) -> None:
    """One session after another that says nothing is a vendor that is gone: a call without a fallback says so and ends."""
    session.hangs = bool(session.finals)


def _garbage(_: AssemblyAIEmulator, session: AssemblyAISession, chance: random.Random) -> None:
    session.say_text(chance.choice(("%%%", '{"type": "Turn", "transc', "[]", '{"type": "Turn"}', "\x00" * 40)))


def _oversized(_: AssemblyAIEmulator, session: AssemblyAISession, __: random.Random) -> None:
    session.say_text('{"type": "Heartbeat", "filling": "' + "x" * 2_000_000 + '"}')


def _unknown(_: AssemblyAIEmulator, session: AssemblyAISession, __: random.Random) -> None:
    session.say({"type": "SpeakerRevision", "revisions": []})
    session.say({"type": "Heartbeat"})
    session.say({"type": "SomethingNew", "value": 1})
    session.warn("You are near the limit of your account")


def _doubles(_: AssemblyAIEmulator, session: AssemblyAISession, __: random.Random) -> None:
    session.tamper = lambda _, body: [body, body]


def _slow(emulator: AssemblyAIEmulator, _: AssemblyAISession, chance: random.Random) -> None:
    emulator.final_delay = chance.choice((0.15, 0.8, 1.4, 2.2))


def _refused_and_dropped(emulator: AssemblyAIEmulator, session: AssemblyAISession, chance: random.Random) -> None:
    emulator.refuse_handshakes(chance.choice((429, 500, 503)), times=chance.choice((1, 2)))
    session.drop()


def _full_and_dropped(emulator: AssemblyAIEmulator, session: AssemblyAISession, chance: random.Random) -> None:
    text = "Unauthorized Connection: Too many concurrent sessions"
    emulator.refuse_sessions(1008, text, times=chance.choice((1, 2)))
    session.drop()


FAULTS: tuple[Fault, ...] = (
    *(_drop, _close, _error, _hang, _garbage, _oversized, _unknown, _doubles, _slow),
    *(_refused_and_dropped, _full_and_dropped),
)


@dataclass
class Outcome:
    """What became of one call's sentences.

    delays: from a sentence's last sound to its words, seconds. gone: why the ear was given up.
    """

    said: list[str]
    turns: list[str]
    faults: Counter[str] = field(default_factory=Counter[str])
    sessions: int = 0
    delays: list[float] = field(default_factory=list[float])
    gone: str = ""

    @property
    def is_right(self) -> bool:
        """Every sentence once and in order, and nothing else."""
        return " ".join(self.turns) == " ".join(self.said)


def scored(sentences: list[str]) -> tuple[Samples, list[tuple[str, int]], list[int]]:
    """The sound, after how many 10 ms each word is past its middle, and after how many each sentence ends."""
    parts: list[Samples] = []
    words: list[tuple[str, int]] = []
    ends: list[int] = []
    at = 0
    for text in sentences:
        sound = speak(text)
        loud = np.flatnonzero(np.abs(sound.astype(int)) > 500)
        first, last = loud[0], loud[-1]
        letters = 0
        for word in text.split():
            middle = first + (last - first) * (letters + len(word) / 2) / (len(text) + 1)
            words.append((word, (at + int(middle)) // 160))
            letters += len(word) + 1
        ends.append((at + int(last)) // 160)
        sound = np.concatenate([sound, silence(PAUSE_SECS)])
        parts.append(sound[: len(sound) // 320 * 320])
        at += len(parts[-1])
    return np.concatenate(parts), words, ends


async def call(seed: int, seconds: float) -> Outcome:
    """One call of about so many seconds."""
    chance = random.Random(seed)
    said: list[str] = []
    lasts = 0.0
    while lasts < seconds:
        said.append(SENTENCES[(seed + len(said)) % len(SENTENCES)])
        lasts += len(speak(said[-1])) / 16_000 + PAUSE_SECS
    outcome = Outcome(said, [])
    async with AssemblyAIEmulator() as emulator:
        timeline = Timeline([], [])
        emulator.timeline, emulator.final_delay, emulator.termination_delay = timeline, 0.15, 0.6
        emulator.begin_delay = 0.2
        ear, _ = ear_of("", emulator)
        async with line(ear, emulator, user=_turns_by_silence()) as caller:
            await until(lambda: caller.now > 20, 20)
            sound, words, ends = scored(said)
            speaking = asyncio.create_task(caller.say(sound))
            start = caller.now
            timeline.words.extend(word for word, _ in words)
            timeline.ends.extend(start + end for _, end in words)
            breaking = asyncio.create_task(_break(emulator, chance, outcome))
            following = asyncio.create_task(_follow(caller, [start + end for end in ends], outcome))
            await speaking
            breaking.cancel()
            written = " ".join(said)
            with contextlib.suppress(AssertionError):
                await until(lambda: " ".join(caller.written) == written, TAIL_SECS)
            outcome.turns = caller.written
            following.cancel()
            outcome.gone = "" if ear.is_usable else caller.errors[-1].error
        outcome.sessions = len(emulator.sessions)
    return outcome


async def _break(emulator: AssemblyAIEmulator, chance: random.Random, outcome: Outcome) -> None:
    while True:
        await asyncio.sleep(chance.uniform(2, 6))
        fault = chance.choice(FAULTS)
        alive = [session for session in emulator.sessions if session.is_open]
        if alive:
            outcome.faults[fault.__name__.strip("_")] += 1
            fault(emulator, alive[-1], chance)


async def _follow(caller: Line, ends: list[int], outcome: Outcome) -> None:
    """When each sentence was there."""
    spoken: dict[int, float] = {}
    while True:
        now, there = caller.now, time.monotonic()
        for index, end in enumerate(ends):
            if now >= end:
                spoken.setdefault(index, there)
        while len(outcome.delays) < len(ends) and outcome.said[len(outcome.delays)] in " ".join(
            caller.text.split()[sum(len(s.split()) for s in outcome.said[: len(outcome.delays)]) :]
        ):
            outcome.delays.append(there - spoken.get(len(outcome.delays), there))
        await asyncio.sleep(0.02)


def _turns_by_silence() -> LLMUserAggregatorParams:
    """Smart Turn's opinion of these sentences is another matter."""
    by_silence = UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.6)])
    return LLMUserAggregatorParams(vad_analyzer=Loudness(), user_turn_strategies=by_silence)


def arguments(what: str | None, *, calls: int, minutes: float) -> argparse.Namespace:
    """What the command line says, with these defaults. what: the bench, in words."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=calls)
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--seed", type=int, default=5)
    return parser.parse_args()


async def main() -> None:
    given = arguments(__doc__, calls=4, minutes=3)
    outcomes = await asyncio.gather(*(call(given.seed + n, 60 * given.minutes) for n in range(given.calls)))
    for number, outcome in enumerate(outcomes, 1):
        delays = np.array(outcome.delays or [float("nan")])
        right = "every sentence once" if outcome.is_right else f"WRONG: {outcome.turns}\nSAID: {outcome.said}"
        print(
            f"call {number}: {len(outcome.said)} sentences, {sum(outcome.faults.values())} faults, "
            f"{outcome.sessions} sessions{outcome.gone and f', GONE: {outcome.gone}'}; "
            f"words after {np.median(delays):.1f} s (median), {delays.max():.1f} s (longest); {right}"
        )
        print(f"  {dict(outcome.faults)}")
    print(f"{sum(o.is_right for o in outcomes)} of {len(outcomes)} calls right")


if __name__ == "__main__":
    asyncio.run(main())
