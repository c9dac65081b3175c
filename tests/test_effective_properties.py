"""`change(a, b)` is whole: for every pair of moments of every right example file, what it tells turns a into b and nothing else.

How a change is carried out on real services is tests/test_effective_in_services.py; that every key of an agent file is told,
tests/test_effective_every_key.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import combinations, product
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner import wording
from runner.catalog import PARTS, PROVIDERS, Part, When
from runner.definition import AgentDefinition, Limits, Only, Service, Setting, Stage, Turns
from runner.effective import Change, Effective, FieldChange, change, effective, file_changes
from tests.moments import ANY_TURNS, AT_ENTRY, PLAIN, all_moments, applied, settings_of


def compare(before: Effective, after: Effective) -> None:
    """Raises AssertionError when the change between two moments is not exactly their difference."""
    changed = change(before, after)
    assert settings_of(applied(before, changed)) == settings_of(after)
    assert bool(changed) == (settings_of(before) != settings_of(after))
    assert all(field.before != field.after and wording.moment(field.path, field.when) for field in changed.fields)
    back = change(after, before)
    assert settings_of(applied(after, back)) == settings_of(before)
    if all(before.service(part).provider == after.service(part).provider for part in PARTS):
        assert {(f.path, f.before, f.after) for f in _hashed(changed)} == {
            (f.path, f.after, f.before) for f in _hashed(back)
        }


def _hashed(changed: Change) -> list[FieldChange]:
    return [replace(field, before=repr(field.before), after=repr(field.after)) for field in changed.fields]


def test_change_turns_any_moment_of_any_agent_into_any_other() -> None:
    moments = all_moments()
    assert len(moments) > 50
    for before, after in combinations(moments, 2):  # `compare` looks at both directions
        compare(before, after)


def test_nothing_differs_between_a_moment_and_itself() -> None:
    for moment, again in zip(all_moments(), all_moments(), strict=True):
        assert change(moment, again).fields == ()


def test_from_nothing_everything_that_is_set_is_told() -> None:
    for moment in all_moments():
        told = change(None, moment)
        nothing = replace(
            moment,
            prompt="",
            ways=(),
            listen_for=None,
            turns=Turns(),
            limits=Limits(),
            **{part: replace(moment.service(part), endpoint=None, settings={}) for part in PARTS},
        )
        assert settings_of(applied(nothing, told)) == settings_of(moment)


@pytest.mark.parametrize("record", [Effective, Turns, Limits])
def test_no_part_of_a_moment_is_forgotten(record: type) -> None:
    """A field that is added to a moment is told, or stands among those that are carried out on entering."""
    told = {field.path for moment in all_moments() for field in change(None, moment).fields}
    where = {Effective: "", Turns: "turns.", Limits: "limits."}[record]
    names = {"ways": "next"}
    for field in fields(record):
        path = where + names.get(field.name, field.name)
        covered = any(told_path == path or told_path.startswith(f"{path}.") for told_path in told)
        assert covered or (record is Effective and field.name in AT_ENTRY), path


# any agent: values that no example has

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "tuple": st.lists(st.text(min_size=1, max_size=5), max_size=3, unique=True).map(tuple),
    "text": st.text(max_size=5),
    "number": st.one_of(st.integers(0, 9), st.floats(0, 9)),
    "truth": st.booleans(),
}


def _settings(part: Part, provider: str) -> st.SearchStrategy[dict[str, Setting]]:
    table = PROVIDERS[part, provider].fields

    def values(name: str) -> st.SearchStrategy[Any]:
        rest = table[name].rest
        if name in ("keyterms", "language_codes") or isinstance(rest, tuple):
            return VALUES["tuple"]
        if name in ("min_turn_silence", "max_turn_silence"):
            return st.integers(50, 10_000)
        return st.one_of(VALUES["text"], VALUES["number"], VALUES["truth"])

    names = st.sets(st.sampled_from(sorted(table)), max_size=6)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: values(name) for name in sorted(chosen)}))


def _delta(part: Part, provider: str) -> st.SearchStrategy[dict[str, Setting]]:
    def only(settings: dict[str, Setting]) -> dict[str, Setting]:
        return {n: Only(v) if isinstance(v, tuple) and len(v) % 2 else v for n, v in settings.items()}  # type: ignore[arg-type]

    return _settings(part, provider).map(only)


NAMES: tuple[tuple[Part, str], ...] = (("stt", "assemblyai"), ("llm", "openai"), ("tts", "cartesia"))


@st.composite
def any_agent(draw: st.DrawFn) -> AgentDefinition:
    """An agent with any settings, in and outside its two stages; also those that no file could hold together."""
    stages = {
        name: Stage(
            name,
            prompt=draw(st.sampled_from([None, "Ask.", "Ask {{ what }}."])),
            listen_for=draw(st.sampled_from([None, "email", "date"])),
            turns=draw(ANY_TURNS),
            **{part: draw(_delta(part, provider)) for part, provider in NAMES},
        )
        for name in ("a", "b")
    }
    agent = replace(PLAIN, stages=stages, variables={"what": draw(st.sampled_from(["tea", "milk"]))})
    for part, provider in NAMES:
        service: Service = getattr(agent, part)
        agent = replace(
            agent, **{part: replace(service, settings={**service.settings, **draw(_settings(part, provider))})}
        )
    return agent


@given(any_agent(), any_agent())
@settings(max_examples=50)
def test_change_is_whole_for_any_two_agents(one: AgentDefinition, other: AgentDefinition) -> None:
    moments = [effective(agent, stage) for agent in (one, other) for stage in ("a", "b")]
    for before, after in product(moments, repeat=2):
        compare(before, after)


@given(any_agent(), any_agent())
@settings(max_examples=50)
def test_every_difference_of_two_files_is_told_with_a_moment(one: AgentDefinition, other: AgentDefinition) -> None:
    changed = file_changes(one, other)
    assert bool(changed) == (_plain(one) != _plain(other))
    assert {field.when for field in changed.fields} <= set(get_args(When))
    words = " ".join(wording.from_the_next_call(changed))
    assert all(wording.short_name(field.path) in words for field in changed.fields)
    assert not file_changes(one, one)


def _plain(value: Any) -> Any:
    """A definition as plain groups, without what is not set: None and a missing setting mean the same."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    return value
