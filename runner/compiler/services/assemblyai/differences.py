"""What has to be said to a session of AssemblyAI so that it runs with what is wanted, and whether it takes another session.

Comes in: two addresses, that is the parameters of a connection as they stand in its address. Goes out: the fields of one live
update. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.compiler.services.assemblyai.settings import CLEARED, LIVE

Address = Mapping[str, str]

_NOTHING = (None, "", "[]")
_SILENCES = ("min_turn_silence", "max_turn_silence")


def difference(wanted: Address, has: Address, typed: Callable[[str], object]) -> tuple[dict[str, object], bool]:
    """The fields to update, and whether something else differs too.

    typed: the value of a wanted field as an update says it. Where both silences are the same (pipecat turn detection) they are
    always told together. `agent_context` alone is never taken back: the agent's next words replace it.
    """
    fields: dict[str, object] = {}
    reopens = False
    for name in sorted(wanted.keys() | has.keys()):
        now, then = wanted.get(name), has.get(name)
        if now == then or (now in _NOTHING and then in _NOTHING):
            continue
        if name not in LIVE:
            reopens = True
        elif now not in _NOTHING:
            fields[name] = typed(name)
        elif name in CLEARED:
            fields[name] = CLEARED[name]
        elif name != "agent_context":
            reopens = True
    shortest, longest = (wanted.get(name) for name in _SILENCES)
    if fields.keys() & set(_SILENCES) and shortest == longest:
        fields |= {name: typed(name) for name in _SILENCES}
    return fields, reopens


def fixed(address: Address) -> dict[str, str]:
    """What an open session cannot change."""
    return {name: value for name, value in address.items() if name not in LIVE and value not in _NOTHING}


def live(address: Address) -> dict[str, str]:
    """What an open session can change."""
    return {name: value for name, value in address.items() if name in LIVE}


def names_of(one: Address, other: Address) -> set[str]:
    """The parameters that differ."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
