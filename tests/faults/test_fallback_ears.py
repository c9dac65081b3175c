"""The recogniser fails, and another one that the file names hears on: every sentence of the caller is written down once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import product
from pathlib import Path

import pytest

from runner.compiler.fallback import ears as fallback_ears
from runner.compiler.fallback import member as fallback_member
from runner.compiler.fallback import relay as fallback_relay
from runner.compiler.services.assemblyai import outage as assemblyai_outage
from tests.emulators import AssemblyAIEmulator, sound, until
from tests.faults.test_fallback import at_once
from tests.faults.two_ears import MODES, Breaks, two_ears
from tests.faults.two_sentences import FIRST, SECOND, load_voice, say_first

pytestmark = pytest.mark.alone


@pytest.fixture(autouse=True)
def _short_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", 0.01)
    load_voice()


REFUSED: dict[str, Breaks] = {
    "wrong key": lambda ears: ears.refuse_handshakes(401, None),
    "out of order": lambda ears: ears.refuse_handshakes(503, None),
    "too many sessions": lambda ears: ears.refuse_sessions(
        1008, "Unauthorized Connection: Too many concurrent sessions", None
    ),
}


async def test_call_whose_first_ear_is_refused_is_heard_by_the_next(tmp_path: Path) -> None:
    await at_once(_heard_when_refused(before, tmp_path / name) for name, before in REFUSED.items())


async def _heard_when_refused(before: Breaks, folder: Path) -> None:
    async with two_ears(folder, before) as two:
        await say_first(two.call, two.timeline)
        await two.both_sentences()
        assert two.other.session.configuration.model == "universal-3-6-pro"
        assert two.told("universal-3-6-pro) goes on.")


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
    async with two_ears(folder) as two:
        ears = two.ears
        await until(lambda: ears.sessions and ears.session.sent, 20)
        ears.final_delay = 2.0
        speaking = asyncio.create_task(say_first(two.call, two.timeline))
        await asyncio.wait([speaking], timeout=after)
        assert speaking.done() == (after > 4)
        await breaks(ears)
        await speaking
        await two.both_sentences()


async def test_first_ear_hears_again_after_its_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback_member, "REST_SECS", 0.5)
    monkeypatch.setattr(fallback_relay, "_SETTLES_SECS", 0.3)
    monkeypatch.setattr(fallback_ears, "_QUIET_SECS", 0.3)
    await at_once(_hears_again(mode, tmp_path / mode) for mode in MODES)


async def _hears_again(mode: str, folder: Path) -> None:
    async with two_ears(folder, lambda ears: ears.refuse_handshakes(503, None), file=MODES[mode]) as two:
        await until(lambda: two.told("goes on."), 15)
        two.ears._refused_handshakes.clear()
        await say_first(two.call, two.timeline)
        await until(lambda: two.told("is at work again"), 15)
        await two.both_sentences()
        assert two.other.session.finals == [FIRST]
        assert two.ears.session.finals == [SECOND]


async def test_both_ears_dead_is_a_call_that_says_goodbye(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemblyai_outage, "LOST_SECS", 3.0)
    await at_once(_says_goodbye(status, tmp_path / str(status)) for status in (401, 503))


async def _says_goodbye(status: int, folder: Path) -> None:
    async with two_ears(folder, lambda ears: ears.refuse_handshakes(status, None)) as two:
        two.other.refuse_handshakes(status, None)
        await two.call.until_over(20)
        assert (two.call.reason or "").startswith("the agent cannot hear any more")
