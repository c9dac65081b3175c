"""Portions of `tests/bench/random_faults.py` and `faulty_dialogue.py`: whatever breaks, every sentence is written down once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.bench.faulty_dialogue import dialogue
from tests.bench.random_faults import call


async def test_every_sentence_is_written_down_once_whatever_breaks() -> None:
    for outcome in await asyncio.gather(*(call(seed, 11) for seed in (3, 8))):
        assert outcome.turns, outcome
        assert outcome.is_right, outcome
        assert outcome.faults
        assert not outcome.gone, outcome.gone


@pytest.mark.alone
async def test_whole_call_goes_on_whatever_breaks_and_writes_every_sentence_down_once(tmp_path: Path) -> None:
    outcome = await dialogue(21, 25, tmp_path)
    assert len(outcome.turns) >= 2, outcome
    assert outcome.is_right, outcome
    assert len(outcome.faults) >= 2, outcome
