"""Which way out is worth getting ready for, by the caller's words alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.compiler.likely import likely
from runner.definition import Transition

SAYINGS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "local" / "sayings.yaml").read_text(encoding="utf-8"))

REFUND = Transition(to="refund", when="The caller wants a refund", examples=("I want my money back",))
PARCEL = Transition(to="parcel", when="The caller asks for a parcel", examples=("Where is my parcel?",))
DONE = Transition(to="done", when="The caller confirmed it", examples=("Yes that is right",))
LOST = Transition(to="lost", after_tries=3)


def ways_of(stage: str) -> list[Transition]:
    return [
        Transition(to=to, when=way["when"], examples=tuple(way.get("examples", ())))
        for to, way in SAYINGS["stages"][stage].items()
    ]


def guesses(part: str) -> list[tuple[str, str]]:
    """What was meant and what was guessed, for every sentence of one part of the sayings."""
    found: list[tuple[str, str]] = []
    for stage, meant in SAYINGS[part].items():
        for to, sentences in meant.items():
            for sentence in sentences:
                way = likely(sentence, ways_of(stage))
                found.append((to, way.to if way else "nothing"))
    return found


@pytest.mark.parametrize("part", ["tune", "judge"])
def test_most_callers_are_guessed_right_and_hardly_anyone_is_guessed_for_nothing(part: str) -> None:
    found = guesses(part)
    wanted = [guess == meant for meant, guess in found if meant != "nothing"]
    needless = [guess != "nothing" for meant, guess in found if meant == "nothing"]
    wrong = [guess not in (meant, "nothing") for meant, guess in found if meant != "nothing"]
    assert sum(wanted) / len(wanted) >= 0.85
    assert sum(needless) / len(needless) <= 0.05
    assert sum(wrong) / len(wrong) <= 0.05


@pytest.mark.parametrize(
    ("said", "way"),
    [
        ("Hi there, I'd like my money back please.", REFUND),
        ("Could I have a refund?", REFUND),
        ("So where is my parcel then?", PARCEL),
        ("Yes.", DONE),
        ("Yeah, right.", DONE),
        ("No, that is wrong.", None),
        ("I do not want a refund.", None),
        ("What are your opening hours?", None),
        ("", None),
    ],
)
def test_words_alike_point_to_a_way(said: str, way: Transition | None) -> None:
    assert likely(said, [REFUND, PARCEL, DONE, LOST]) is way


def test_ways_without_a_when_are_nobodys_wish() -> None:
    assert likely("Bananas.", [LOST, Transition(to="lost", otherwise=True)]) is None
    assert likely("Bananas.", []) is None


def test_words_of_other_languages_count_too() -> None:
    way = Transition(to="geld", when="Der Anrufer will sein Geld zurück", examples=("Ich möchte mein Geld zurück",))
    assert likely("Ich möchte bitte mein Geld zurück haben.", [way]) is way
    assert likely("Wann haben Sie geöffnet?", [way]) is None
