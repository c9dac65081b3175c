"""Which way a caller means, judged on sentences that did not choose the thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.definition import Transition
from runner.local.meaning import Meaning

SAYINGS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("sayings.yaml").read_text(encoding="utf-8"))


def ways(stage: str) -> list[Transition]:
    return [
        Transition(to, when=way["when"], examples=tuple(way.get("examples", ())))
        for to, way in SAYINGS["stages"][stage].items()
    ]


def cases(part: str) -> Iterator[tuple[str, str, str]]:
    """(stage, the way meant or `nothing`, what is said)."""
    for stage, meant in SAYINGS[part].items():
        for to, said in meant.items():
            yield from ((stage, to, sentence) for sentence in said)


def chosen(stage: str, said: str) -> str:
    way = Meaning().choose(said, ways(stage))
    return way.to if way else "nothing"


@pytest.mark.parametrize(("part", "least"), [("tune", 0.95), ("judge", 0.85)])
def test_ways_are_chosen_as_meant(part: str, least: float) -> None:
    wrong = [(stage, to, said, chosen(stage, said)) for stage, to, said in cases(part) if chosen(stage, said) != to]
    total = sum(1 for _ in cases(part))
    print(f"{part}: {total - len(wrong)} of {total}", *wrong, sep="\n  ")
    assert 1 - len(wrong) / total >= least, wrong
