"""What sounds complete in a dictation, and what does not."""

from __future__ import annotations

import pytest

from runner.compiler.turns.dictation import sounds_complete
from runner.definition import ListenFor

COMPLETE: list[tuple[ListenFor, str]] = [
    ("email", "jane at northwind dot com."),
    ("email", "Jane@Northwind.com"),
    ("email", "It's jane.doe@mail.northwind.co.uk."),
    ("email", "j a n e at n o r t h dot c o m"),
    ("email", "jane at northwind dot co dot uk"),
    ("email", "My address is jane at web dot at"),
    ("email", "jane@web.at, thank you."),
    ("email", "jane punkt doe ät web punkt de, danke"),
    ("email", "jane dot doe at northwind dot org, that's it"),
    ("phone", "415-267-1234."),
    ("phone", "four one five, two six seven, one two three four"),
    ("phone", "four one five double two seven one two three four"),
    ("phone", "My number is plus 1 415 267 1234"),
    ("phone", "555 no wait, 415 267 1234"),
    ("date", "May 3rd, 1980."),
    ("date", "I was born on the third of May nineteen eighty five"),
    ("date", "the twenty-first of june two thousand and four"),
    ("date", "3. Mai 1980"),
    ("date", "05/03/1980"),
    ("date", "1980-05-03"),
]

UNFINISHED: list[tuple[ListenFor, str]] = [
    ("email", ""),
    ("email", "jane"),
    ("email", "jane at"),
    ("email", "jane at northwind"),
    ("email", "jane at northwind dot"),
    ("email", "jane@northwind."),
    ("email", "jane at northwind dot co"),
    ("email", "j a n e at n o r t h dot c o"),
    ("email", "jane at northwind dot com slash"),
    ("email", "jane at northwind dot com or was it"),
    ("email", "dot com"),
    ("email", "at northwind dot com"),
    ("email", "northwind.com"),
    ("phone", "415 267 123"),
    ("phone", "415 267 12345"),
    ("phone", "+49 151 1234567"),
    ("phone", "030 1234567"),
    ("phone", "415 267 1234 extension"),
    ("date", "May"),
    ("date", "the third of May"),
    ("date", "the third of May nineteen"),
    ("date", "the third of May nineteen eighty"),
    ("date", "the third of May two thousand"),
    ("date", "05/03/19"),
    ("date", "next Tuesday"),
    ("number", "4711"),
    ("name", "Jane Doe"),
    ("address", "12 Main Street, Springfield 12345"),
]


@pytest.mark.parametrize(("kind", "text"), COMPLETE)
def test_what_has_its_plain_end_is_complete(kind: ListenFor, text: str) -> None:
    assert sounds_complete(kind, text)


@pytest.mark.parametrize(("kind", "text"), UNFINISHED)
def test_what_may_go_on_is_not_complete(kind: ListenFor, text: str) -> None:
    assert not sounds_complete(kind, text)
