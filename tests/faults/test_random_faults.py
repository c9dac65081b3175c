"""A part of `tests/bench/random_faults.py`: whatever breaks at the ear's vendor, every sentence is written down once."""

from __future__ import annotations

import asyncio

from tests.bench.random_faults import call


async def test_every_sentence_is_written_down_once_whatever_breaks() -> None:
    for outcome in await asyncio.gather(*(call(seed, 11) for seed in (3, 8))):
        assert outcome.turns, outcome
        assert outcome.is_right, outcome
        assert outcome.faults
        assert not outcome.gone, outcome.gone
