"""Random saves over several calls at once; the same run with a thousand saves and ten calls is tests/bench/thousand_saves.py."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.bench.thousand_saves import save_and_save

GROWTH = 0.15
"""More than the bar of the long run: in a short one the last things that are loaded late still count."""


@pytest.mark.slow
async def test_calls_live_through_random_saves_and_the_process_does_not_grow(tmp_path: Path) -> None:
    seed = int(os.environ.get("SAVES_SEED") or random.randrange(10**6))
    print(f"SAVES_SEED={seed}")
    outcome = await save_and_save(tmp_path, saves=130, calls=4, seed=seed, warm_up=50)
    assert outcome.bad > 20
    assert min(outcome.versions) > 10
    assert outcome.growth < GROWTH, outcome.megabytes
