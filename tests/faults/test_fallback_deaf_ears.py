"""An ear stays connected and hears nothing any more: another one that the file names hears what it did not, in both ways of
finding the caller's turns, whoever makes it."""

from __future__ import annotations

import asyncio
import time
from itertools import product
from pathlib import Path

import pytest

from runner.compiler.turns import taking as turn_taking
from tests.emulators import sound, until
from tests.emulators.loudness import Loudness
from tests.faults.test_fallback import at_once
from tests.faults.two_ears import MODES, always_deaf, two_ears
from tests.faults.two_sentences import load_voice, say_first

pytestmark = pytest.mark.alone

SILENT = "it sent nothing although the caller spoke"


@pytest.fixture(autouse=True)
def _many_calls_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "SECONDS_A_CHARACTER", 0.01)
    monkeypatch.setattr(turn_taking, "SteadyVAD", Loudness)
    load_voice()


async def test_deaf_ear_is_followed_by_the_next_and_two_are_a_call_that_says_goodbye(tmp_path: Path) -> None:
    works = [_heard_whole(mode, after, tmp_path / f"{mode} {after}") for mode, after in product(MODES, (None, 0.9))]
    works += [_says_goodbye(mode, tmp_path / mode) for mode in MODES]
    await at_once(works)


async def _heard_whole(mode: str, after: float | None, folder: Path) -> None:
    """after: seconds from the sentence's first sound to the ear's last word; None: it never hears."""
    async with two_ears(folder, file=MODES[mode]) as two:
        call, ears = two.call, two.ears
        if after is None:
            always_deaf(ears)
        await until(lambda: ears.sessions and ears.session.sent, 20)
        speaking = asyncio.create_task(say_first(call, two.timeline))
        if after is not None:
            await asyncio.sleep(after)
            always_deaf(ears)
        ended = await speaking
        await until(lambda: call.line.loudspeaker.voiced or call.reason, 20)
        silent = call.line.loudspeaker.voiced[0][0] - ended
        assert silent < 10, (folder.name, silent)
        await two.both_sentences()
        assert len([one for one in ears.sessions if one.frames]) == 2, "it was tried a second time"
        assert two.told(f"{SILENT}. AssemblyAI (universal-3-6-pro) goes on."), call.problems


async def _says_goodbye(mode: str, folder: Path) -> None:
    async with two_ears(folder, always_deaf, file=MODES[mode]) as two:
        call = two.call
        always_deaf(two.other)
        await until(lambda: two.ears.sessions and two.ears.session.sent, 20)
        ended = await say_first(call, two.timeline)
        await until(lambda: call.line.loudspeaker.voiced, 20)
        silent = call.line.loudspeaker.voiced[0][0] - ended
        await call.until_over()
        assert (call.reason or "").startswith("the agent cannot hear any more"), call.reason
        assert silent < 10, (mode, silent, time.monotonic() - ended)
