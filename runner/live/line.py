"""What a carrier knows about a call before it begins, and what becomes of an agent's definition on that line.

Comes in: facts of the carrier. Goes out: the definition that this one call runs, now and after every save.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from runner.catalog import CALL_VARIABLES
from runner.definition import AgentDefinition, Audio

_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Line:
    """rate:  of the sound both ways, Hz, where the carrier decides it; None: as the agent file says (`audio`).
    facts: values for variables that every agent has (`catalog.CALL_VARIABLES`); an empty one leaves the file's own.
    given: values for variables of this agent, from whoever brought the call (`session_body`). They hold through every save.
    placed: the agent calls somebody, nobody calls the agent.
    """

    rate: int | None = None
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    placed: bool = False
    given: Mapping[str, str] = field(default_factory=dict[str, str])

    def definition(self, agent: AgentDefinition) -> AgentDefinition:
        """`agent` as this call runs it."""
        facts = {name: _plain(self.facts.get(name, "")) for name in CALL_VARIABLES}
        variables = {**agent.variables, **self.given, **{name: value for name, value in facts.items() if value}}
        audio = agent.audio if self.rate is None else Audio(self.rate, self.rate)
        return replace(agent, audio=audio, variables=variables)


DIRECT = Line()
"""A carrier that decides nothing: the call is as the file says."""


def _plain(value: str) -> str:
    """What comes from outside is one short line: it becomes part of what the model is told."""
    return "".join(character for character in value if character.isprintable())[:_LONGEST].strip()
