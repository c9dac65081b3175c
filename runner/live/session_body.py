"""What the body of a session asks of its call: which agent, and values for its variables. One reading for all who bring one:
`POST /start`, a WebRTC offer, and the hosts that call `bot()`.

Comes in: the body, as Pipecat's clients and Pipecat Cloud hand it on: `{"agent": "support", "variables": {"company": "Acme"}}`.
Goes out: a `Wish`, or `BadBody` with what is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from runner.catalog import CALL_VARIABLES
from runner.definition import AgentDefinition
from runner.document.names import closest
from runner.effective import effective
from runner.problem import Mendable
from runner.prompts import PromptError

_OWN = ("agent", "variables")


class BadBody(Mendable):
    """The body asks in a way that means nothing; the text says what is wrong and what it may hold."""


@dataclass(frozen=True, slots=True)
class Wish:
    """name: of the agent, None leaves the choice open. variables: as `--var` takes them.

    unknown: a sentence about what else the body holds, "" for nothing.
    """

    name: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    unknown: str = ""


def read_wish(body: Mapping[str, object], *, besides: Collection[str] = ()) -> Wish:
    """Read a body. besides: what it may hold that is not the call's but the carrier's.

    Raises:
        BadBody: the agent's name is no text, or a variable has no text for a value.
    """
    name, variables = body.get("agent"), cast("object", body.get("variables") or {})
    if name is not None and not isinstance(name, str):
        raise BadBody(f'The session\'s body says "agent": {name!r}. It takes the name of an agent.')
    if not isinstance(variables, Mapping):
        raise BadBody('The session\'s body takes "variables" as names with a text each.')
    named = cast("Mapping[object, object]", variables)
    if wrong := [str(key) for key, value in named.items() if not isinstance(value, str | int | float)]:
        raise BadBody(f"The session's body gives no text for these variables: {', '.join(wrong)}.")
    known = (*_OWN, *besides)
    unknown = ""
    if others := sorted(str(key) for key in body if key not in known):
        unknown = f'The session\'s body holds "{others[0]}". It may hold {", ".join(known)}.'
    return Wish(name, {str(key): _text(value) for key, value in named.items()}, unknown)


def check_variables(agent: AgentDefinition, given: Mapping[str, str]) -> None:
    """Whether a call of `agent` can run with these values, which win over the file's and over `--var` (`Line.given`).

    Raises:
        BadBody: the file has no such variable, or a text of it cannot be filled in with the value.
    """
    for name in given:
        if name not in agent.variables and name not in CALL_VARIABLES:
            close = closest(name, agent.variables)
            guess = f' Did you mean "{close}"?' if close else ""
            raise BadBody(f'{agent.name} has no variable "{name}".{guess}')
    filled = replace(agent, variables={**agent.variables, **given})
    if not given:
        return
    try:
        for stage in agent.stages or (None,):
            for language in (None, *agent.languages):
                effective(filled, stage, language)
        for speaker in agent.speakers.people:
            effective(filled, agent.first_stage, None, speaker)
    except PromptError as error:
        raise BadBody(f"{agent.name} cannot be filled in with these variables: {error.message}") from None


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
