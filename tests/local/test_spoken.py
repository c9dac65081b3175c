"""What is written is said the way people say it."""

from __future__ import annotations

import doctest

import pytest

from runner.local import spoken as room
from runner.local import wording
from runner.local.spoken import spoken


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Is it maya.lopez@northwind.com?", "Is it maya dot lopez at northwind dot com?"),
        ("I have j_smith-22@mail.example.org.", "I have j underscore smith dash two two at mail dot example dot org."),
        ("See https://www.northwind.com/help. Thanks", "See northwind dot com slash help. Thanks"),
        ("Your order is 98213, right?", "Your order is nine eight two one three, right?"),
        ("Order number 4512 is here.", "Order number four five one two is here."),
        ("Your code is 0471.", "Your code is zero four seven one."),
        ("RMA-4451 is ready.", "R M A four four five one is ready."),
        ("Call 555-123-4567.", "Call five five five, one two three, four five six seven."),
        ("Call +1 (555) 123-4567.", "Call plus one, five five five, one two three, four five six seven."),
        ("**Great!** Use `this`.", "Great! Use this."),
        ("- one\n- two", "one\ntwo"),
        ("Read [our terms](https://northwind.com/terms).", "Read our terms."),
    ],
)
def test_what_reads_badly_is_written_out(written: str, said: str) -> None:
    assert spoken(written) == said


@pytest.mark.parametrize(
    "text",
    [
        "That is $12345 in 2024, or 1,250,000 dollars, or 12.50.",
        "At 10:30 on 2024-10-12.",
        "It takes 3 to 5 days, 50% of the time.",
        "Dr. Smith's well-known snake_case costs 5*3.",
        "",
    ],
)
def test_what_the_voice_reads_well_itself_is_left_alone(text: str) -> None:
    assert spoken(text) == text


@pytest.mark.parametrize("module", [room, wording])
def test_examples_in_the_docstrings_are_true(module: object) -> None:
    result = doctest.testmod(module)  # pyright: ignore[reportArgumentType]
    assert result.attempted
    assert not result.failed
