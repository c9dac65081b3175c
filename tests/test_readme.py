"""README is tested: every YAML block is an agent that loads, every command it names exists, its files are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from runner.cli import main
from runner.document.load import load
from tests.running import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")
ALL_BLOCKS = re.findall(r"^```yaml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
BLOCKS = [block for block in ALL_BLOCKS if not block.startswith("# .pre-commit-config")]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_yaml_block_is_an_agent_without_problems(block: str, tmp_path: Path) -> None:
    loaded = load(tmp_path / "agent.yaml", text=block)
    assert [problem.message for problem in loaded.problems] == []


def test_the_hook_for_teams_calls_a_command_that_exists(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = [block for block in ALL_BLOCKS if block not in BLOCKS]
    entry = yaml.safe_load(block)["repos"][0]["hooks"][0]["entry"]
    assert main([*entry.split()[1:-1], str(PROJECT / "agents")]) == 0
    assert "no problems" in capsys.readouterr().out


def test_the_readme_has_two_setup_commands() -> None:
    assert README.count("pip install -e ") == 2
    assert "pip install -e '.[local]' && runner agents/support.yaml" in README
    assert "pip install -e '.[local,dev]' && tests/check" in README


def test_every_link_into_the_repository_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", README):
        assert (PROJECT / target).exists(), target


def test_every_room_that_the_architecture_names_exists() -> None:
    picture = README.split("agents/                 the examples")[1].split("```")[0]
    for name in re.findall(r"\b[a-z_]+\.py\b", picture):
        assert list((PROJECT / "runner").rglob(name)), name


def test_ci_runs_the_command_that_the_readme_gives() -> None:
    assert "tests/check" in (PROJECT / ".ci" / "run").read_text()
    assert "-e '.[local,dev]' && tests/check" in (PROJECT / ".ci" / "run").read_text()


def test_every_example_agent_points_editors_at_the_schema() -> None:
    for agent in (PROJECT / "agents").glob("*.yaml"):
        first = agent.read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=../schema/agent.schema.json", agent
