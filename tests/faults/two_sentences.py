"""Two sentences of a caller, spoken with numbered sound, so that whichever ear hears them says their words.

Comes in: a call whose ears share a `Timeline`. Goes out: what was written down, and what the agent makes of it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np

from runner.events import CallerSaid
from tests.emulators import until
from tests.emulators.hearing import Timeline
from tests.emulators.numbered import numbered
from tests.faults.faulty_call import FaultyCall
from tests.speech import speak

FIRST, SECOND = "My name is Walter Miller.", "I live in Portland."


def load_voice() -> None:
    """Make the sound of both: loading the voice would hold up the calls."""
    for text in (FIRST, SECOND):
        speak(text)


def counted(body: dict[str, Any]) -> str:
    """The model's answer to a request: how much it has been told."""
    said = " ".join(str(message["content"]) for message in body["messages"] if message["role"] == "user")
    return "You said two things." if SECOND in said else "You said one thing."


def written(call: FaultyCall) -> list[str]:
    """What was understood, turn by turn."""
    return [event.text for event in call.events if isinstance(event, CallerSaid)]


async def say_first(call: FaultyCall, timeline: Timeline) -> float:
    return await _say(call, timeline, FIRST, 1)


async def say_second(call: FaultyCall, timeline: Timeline) -> float:
    return await _say(call, timeline, SECOND, 1001)


async def _say(call: FaultyCall, timeline: Timeline, text: str, first: int) -> float:
    """Returns when the last sound has left (`time.monotonic()`), or the call is over. first: the number of its first 10 ms."""
    samples = speak(text)
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 500)
    samples = samples[: (int(loud[-1]) // 320 + 1) * 320]
    letters = 0
    for word in text.split():
        middle = loud[0] + (loud[-1] - loud[0]) * (letters + len(word) / 2) / (len(text) + 1)
        timeline.words.append(word)
        timeline.ends.append(first + int(middle) // 160)
        letters += len(word) + 1
    speaking = asyncio.create_task(call.line.microphone.speak(numbered(samples, first)))
    await until(lambda: speaking.done() or call.reason, 25)
    speaking.cancel()
    return time.monotonic()
