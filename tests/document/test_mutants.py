"""Right files with one small mistake: never an exception, never a hang, nearly always found where it is.

The full run of 10,000 is `python -m tests.bench.mutants`; here is a part of it.
"""

from __future__ import annotations

import pytest

from tests.document.mutants import Score, judged, mutants

SEED = 3
COUNT = 1_500


@pytest.fixture(scope="module")
def score() -> Score:
    """Reading raises nothing, or every test of this file fails."""
    score = judged(mutants(SEED, COUNT))
    print(f"seed {SEED}: {score}")
    return score


def test_mutants_are_many_and_most_of_them_are_invalid(score: Score) -> None:
    assert score.count == COUNT
    assert score.invalid > COUNT // 2
    assert all(score.by_kind[kind] for kind in score.by_kind)


def test_no_mutant_takes_a_second(score: Score) -> None:
    assert score.slowest < 1


def test_file_that_no_yaml_reader_takes_is_never_taken_in_silence(score: Score) -> None:
    assert not [mutant.text for mutant in score.silent]


def test_invalid_mutant_is_reported_where_the_mistake_is(score: Score) -> None:
    assert score.found / score.invalid >= 0.97, [(m.file.name, m.kind, sorted(m.where)) for m in score.missed]


def test_misspelled_name_gets_the_right_guess(score: Score) -> None:
    assert score.renamed > 100
    assert score.guessed / score.renamed >= 0.9, [m.meant for m in score.unguessed]
