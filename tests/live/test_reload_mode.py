"""What a save does is the agent's own choice, unless the command line says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.definition import ReloadMode
from runner.live.reload import Agents, reader
from tests.cloud.vendors import KEYS, Ports
from tests.running import Running, free_port


def opened(folder: Path, mode: str) -> tuple[Agents, Path]:
    file = folder / "agent.yaml"
    file.write_text(f"prompt: Be kind.\nreload: {mode}\n")
    agents = Agents(reader({}, {}, lambda: {}))
    assert agents.open(file) == ()
    return agents, file


@pytest.mark.parametrize("mode", ["live", "next-call", "off"])
@pytest.mark.parametrize("said", [None, "live", "next-call", "off"])
async def test_command_line_wins_over_the_file(tmp_path: Path, mode: ReloadMode, said: ReloadMode | None) -> None:
    agents, file = opened(tmp_path, mode)
    agents.reload = said
    (agent,) = agents
    assert agents.mode(agent) == (said or mode)
    file.write_text(file.read_text().replace("kind", "brief"))
    taken = await agents.take(frozenset({file}))
    deaf = (said or mode) == "off"
    assert len(taken) == (0 if deaf else 1)
    assert agent.version == (1 if deaf else 2)
    assert agent.definition.prompt == ("Be kind." if deaf else "Be brief.")
    assert agents.deaf(frozenset({file})) == ([agent] if deaf else [])


async def test_file_that_takes_no_saves_is_not_looked_at_again_either(tmp_path: Path) -> None:
    agents, file = opened(tmp_path, "off")
    file.write_text("prompt: Be brief.\n")
    assert await agents.look_again() == []
    assert next(iter(agents)).version == 1


def test_what_becomes_of_a_save_is_told(tmp_path: Path) -> None:
    for mode in ("off", "next-call"):
        (tmp_path / mode).mkdir()
        opened(tmp_path / mode, mode)[1].rename(tmp_path / f"{mode}.yaml")
    with Running(
        tmp_path, "--no-browser", "--port", free_port(), *Ports.free().arguments, cwd=tmp_path, env=KEYS
    ) as running:
        running.wait_for("ready")
        (tmp_path / "off.yaml").write_text("prompt: Be brief.\n")
        told = running.wait_for("[saved] off")
        (tmp_path / "next-call.yaml").write_text("prompt: Be brief.\nreload: next-call\n")
        running.wait_for("[saved] next-call is now version 2")
        running.wait_for("prompt from the next call")
    assert told.endswith(": not applied, its file says reload: off. Start runner again to use it.")
