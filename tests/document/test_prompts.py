"""Texts are filled in, and nothing in them can run for ever, grow without end or reach outside."""

from __future__ import annotations

import time

import pytest

from runner.prompts import PromptError, render, undeclared

NAMES = {"company": "Northwind", "who": "Maya"}


def test_names_are_filled_in_and_the_rest_stays() -> None:
    assert render("Hi, {{ who }} from {{ company | upper }}.\n", NAMES) == "Hi, Maya from NORTHWIND.\n"
    assert render('{"json": 1} and {one brace}', NAMES) == '{"json": 1} and {one brace}'


def test_conditions_and_loops_work() -> None:
    text = "{% for n in [1, 2, 3] %}{{ n }}{{ ', ' if not loop.last }}{% endfor %}{% if who == 'Maya' %}!{% endif %}"
    assert render(text, NAMES) == "1, 2, 3!"
    assert render("{{ who ~ '-' ~ 3 }} {{ [1, 2] | join('+') }}", NAMES) == "Maya-3 1+2"


def test_what_a_caller_says_is_never_a_template() -> None:
    assert render("You said: {{ said }}", {"said": "{{ company }} {% for"}) == "You said: {{ company }} {% for"


def test_undefined_name_is_an_error_with_its_line() -> None:
    with pytest.raises(PromptError) as caught:
        render("One\n{{ nobody }}", NAMES)
    assert (caught.value.message, caught.value.line) == ('"nobody" is not a variable.', 2)


def test_needed_names_come_with_their_lines() -> None:
    found = undeclared(
        "{{ a }}\n{% for x in b %}{{ x }}{% endfor %}\n{{ c | default('d') }}{% if e is defined %}{% endif %}"
    )
    assert [(name.name, name.line) for name in found] == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% set s = 'a' * 10 %}",
        "{% set s = 'aaaaaaaa' %}" + "{% set s = s ~ s %}" * 40 + "{{ s }}",
        "{% set s = 'aaaaaaaa' %}" + "{% set s = s + s %}" * 40 + "{{ s }}",
        "{% set s = 'aaaaaaaa' %}" + "{% set s = s | replace('a', s) %}" * 9 + "{{ s }}",
        "{% set s = [1, 1, 1, 1] %}" + "{% set s = [s, s, s, s] %}" * 20 + "{{ s }}",
        "{% set s = [1, 1, 1, 1] %}" + "{% set s = [s, s, s, s] %}" * 20 + "{{ s | join }}",
        "{% set s %}aaaa{% endset %}" + "{% set s %}{{ s }}{{ s }}{% endset %}" * 40 + "{{ s }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ range(10 ** 12) | list }}",
        "{{ range(100000000) | list }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ 'a'.ljust(999999999) }}",
        "{{ 'a' | center(999999999) }}",
        "{{ 'a' | indent(999999999) }}",
        "{{ 'a'.join(['b']) }}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "-" * 50000 + "1 }}",
        "{% for x in 'a' %}" * 500 + "{% endfor %}" * 500,
    ],
)
@pytest.mark.alone
def test_text_that_never_ends_or_grows_fails_quickly(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(PromptError):
        render(text, NAMES)
    assert time.perf_counter() - began < 3


@pytest.mark.parametrize(
    "text",
    [
        "{{ who.__class__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ self }}",
        "{{ self.__init__ }}",
        "{{ _clock }}",
        "{{ range.__globals__ }}",
        "{{ cycler }}",
        "{{ lipsum.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'x' as y %}",
        "{{ loop }}",
        "{{ who | attr('__class__') }}",
        "{{ who['__class__'] }}",
    ],
)
def test_text_cannot_reach_outside(text: str) -> None:
    with pytest.raises(PromptError):
        render(text, NAMES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ who }", "One } is not enough here: what begins with {{ ends with }}."),
        ("{{ who", "Something is opened with {{ or {% here and never closed."),
        ("{% if who %}x", "Something is opened with {{ or {% here and never closed."),
        ("{{ first name }}", '"name" is not expected here. Between {{ and }} stands the name of a variable.'),
        ("{% greet %}", '"greet" cannot stand after {%.'),
        ("{{ who.name }}", "Something in this line has no value. A variable is a plain text; it has no parts."),
        ("{{ [1, 2] }}", "A list cannot be spoken as it is. Write | join(', ') after its name."),
    ],
)
def test_broken_text_is_explained(text: str, message: str) -> None:
    with pytest.raises(PromptError) as caught:
        render(text, NAMES)
    assert caught.value.message == message
