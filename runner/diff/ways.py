"""How the ways out of a stage became others, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from runner.definition import Transition
from runner.diff.words import list_change, quoted, text_change
from runner.wording import joined


def ways(value: object) -> tuple[Transition, ...]:
    return cast("tuple[Transition, ...]", value or ())


def way_changes(before: tuple[Transition, ...], after: tuple[Transition, ...], lead: str) -> Iterator[str]:
    """A sentence for every way that came, went or is recognised otherwise."""
    gone = [way for way in before if way not in after]
    come = [way for way in after if way not in before]
    for way in list(come):
        near = [w for w in gone if w.to == way.to and bool(w.when) == bool(way.when)]
        near = [w for w in near if w.when == way.when] or near
        if not near or not way.when:
            continue
        gone.remove(near[0])
        come.remove(way)
        yield f"{lead}the way to {way.to} {_recognised(near[0], way)}"
    for way in come:
        yield f"{lead}goes to {way.to} {_case(way)}"
    for way in gone:
        yield f"{lead}no longer goes to {way.to} {_case(way)}"
    if sorted(map(repr, before)) == sorted(map(repr, after)):
        yield f"{lead}the ways out are tried in another order: {joined([way.to for way in after])}"
    elif not gone and not come and set(before) == set(after):
        yield f"{lead}a way out is written another number of times"


def _recognised(before: Transition, after: Transition) -> str:
    came, went = list_change(before.examples, after.examples)
    said: list[str] = []
    if before.when != after.when:
        said.append(f"{text_change(before.when, after.when)} in its case")
    if came:
        said.append(f"is also known by {joined(came)}")
    if went:
        said.append(f"is no longer known by {joined(went)}")
    return joined(said) or "has its examples in another order"


def _case(way: Transition) -> str:
    if way.otherwise:
        return "when a turn fits nothing else"
    if way.after_tries is not None:
        return f"after {way.after_tries} {'try' if way.after_tries == 1 else 'tries'}"
    return f"when {quoted(way.when)}"
