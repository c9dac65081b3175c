"""Checking costs little more than reading YAML and applying the schema, also for large files and many of them."""

from __future__ import annotations

import pytest

from tests.bench.check_large import folder_seconds, large, ratio


@pytest.mark.alone
def test_thousand_lines_take_at_most_six_times_bare_yaml_and_schema() -> None:
    for text in (large(), large(fault=True)):
        bare, whole = ratio(text)
        assert whole < 6 * bare, (whole, bare)


@pytest.mark.alone
def test_two_hundred_agents_take_less_than_five_seconds_and_150_megabytes() -> None:
    seconds, memory = folder_seconds()
    assert seconds < 5
    assert memory < 150 * 2**20
