"""The recogniser fails, and another one that the file names hears on: every sentence of the caller is written down once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path

import pytest

from runner.compiler.fallback import ears as fallback_ears
from runner.compiler.fallback import relay as fallback
from runner.events import CallerSaid
from tests.cloud.vendors import KEYS
from tests.emulators import AssemblyAIEmulator, OpenAIEmulator, sound, until
from tests.emulators.hearing import Timeline
from tests.faults.faulty_call import FaultyCall, faulty_call
from tests.faults.test_ear_faults import FIRST, SECOND, _counted, _say
from tests.faults.test_fallback import at_once
from tests.speech import speak

pytestmark = pytest.mark.alone

FILE = """turns: {smart_turn: false, speech_timeout: 0.4}
stt:
  min_turn_silence: 400
  fallback:
    - endpoint: %s
      model: universal-3-6-pro
"""


@pytest.fixture(autouse=True)
def _short_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", 0.01)
    for text in (FIRST, SECOND):
        speak(text)  # loading the voice would hold up the calls


def written(call: FaultyCall) -> list[str]:
    return [event.text for event in call.events if isinstance(event, CallerSaid)]


@asynccontextmanager
async def heard_by_two(
    folder: Path, before: Callable[[AssemblyAIEmulator], object] = lambda _: None
) -> AsyncGenerator[tuple[FaultyCall, AssemblyAIEmulator]]:
    """A call whose first ear is broken by `before`, and its second ear."""
    ears = AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"])
    mind = OpenAIEmulator(key=KEYS["OPENAI_API_KEY"], answer=_counted)
    async with AssemblyAIEmulator(key=KEYS["ASSEMBLYAI_API_KEY"]) as other:
        ears.timeline = other.timeline = Timeline([], [])
        ears.final_delay = other.final_delay = 0.3
        before(ears)
        async with faulty_call(folder, FILE % other.url, ears=ears, mind=mind, lines=False) as call:
            yield call, other


async def both_sentences(call: FaultyCall) -> None:
    await until(lambda: "one thing" in " ".join(call.said) or call.reason, 40)
    await _say(call, SECOND, 1001)
    await until(lambda: "two things" in " ".join(call.said) or call.reason, 40)
    assert call.reason is None
    assert " ".join(written(call)) == f"{FIRST} {SECOND}"
    assert call.said == ["You said one thing.", "You said two things."]


REFUSED: dict[str, Callable[[AssemblyAIEmulator], object]] = {
    "wrong key": lambda ears: ears.refuse_handshakes(401, None),
    "out of order": lambda ears: ears.refuse_handshakes(503, None),
    "too many sessions": lambda ears: ears.refuse_sessions(
        1008, "Unauthorized Connection: Too many concurrent sessions", None
    ),
}


async def test_call_whose_first_ear_is_refused_is_heard_by_the_next(tmp_path: Path) -> None:
    await at_once(_heard_when_refused(before, tmp_path / name) for name, before in REFUSED.items())


async def _heard_when_refused(before: Callable[[AssemblyAIEmulator], object], folder: Path) -> None:
    folder.mkdir()  # noqa: ASYNC240
    async with heard_by_two(folder, before) as (call, other):
        await _say(call, FIRST, 1)
        await both_sentences(call)
        assert other.session.configuration.model == "universal-3-6-pro"
        assert any("universal-3-6-pro) goes on." in line for line in call.problems)


async def away(ears: AssemblyAIEmulator) -> None:
    await ears.refuse_connections()
    ears.session.drop()


async def cancelled(ears: AssemblyAIEmulator) -> None:
    ears.refuse_handshakes(503, None)
    ears.session.fail()


async def test_sentence_in_which_the_first_ear_breaks_is_heard_whole_by_the_next(tmp_path: Path) -> None:
    rows = product((away, cancelled), (0.9, 5.0))
    await at_once(_heard_whole(breaks, after, tmp_path / str(n)) for n, (breaks, after) in enumerate(rows))


async def _heard_whole(breaks: Callable[[AssemblyAIEmulator], Awaitable[None]], after: float, folder: Path) -> None:
    """after: seconds from the sentence's first word; in a word, or when it is over and its words have not come."""
    folder.mkdir()  # noqa: ASYNC240
    async with heard_by_two(folder) as (call, _):
        await until(lambda: call.ears.sessions and call.ears.session.sent, 20)
        call.ears.final_delay = 2.0
        speaking = asyncio.create_task(_say(call, FIRST, 1))
        await asyncio.wait([speaking], timeout=after)
        assert speaking.done() == (after > 4)
        await breaks(call.ears)
        await speaking
        await both_sentences(call)


async def test_first_ear_hears_again_after_its_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "REST_SECS", 0.5)
    monkeypatch.setattr(fallback, "_SETTLES_SECS", 0.3)
    monkeypatch.setattr(fallback_ears, "_QUIET_SECS", 0.3)
    async with heard_by_two(tmp_path, lambda ears: ears.refuse_handshakes(503, None)) as (call, other):
        await until(lambda: any("goes on." in line for line in call.problems), 15)
        call.ears._refused_handshakes.clear()
        await _say(call, FIRST, 1)
        await until(lambda: any("is at work again" in line for line in call.problems), 15)
        await both_sentences(call)
        assert other.session.finals == [FIRST]
        assert call.ears.session.finals == [SECOND]


async def test_both_ears_dead_is_a_call_that_says_goodbye(tmp_path: Path) -> None:
    async with heard_by_two(tmp_path, lambda ears: ears.refuse_handshakes(401, None)) as (call, other):
        other.refuse_handshakes(401, None)
        await call.until_over(20)
        assert (call.reason or "").startswith("the agent cannot hear any more")
