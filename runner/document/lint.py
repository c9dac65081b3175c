"""What a schema cannot say: stages that do not exist, names that are no variables, settings that do not go together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.document.source import Path_, Source
from runner.problem import Problem


def lint(
    source: Source, data: Any, variables: Mapping[str, str], prompts: Mapping[Path_, tuple[Path, str]]
) -> list[Problem]:
    return []
