"""The providers that come with Pipecat: `providers.json` in, one `Provider` out. Read only when a file names such a provider.

The data is written by `schema/generate_providers.py` from Pipecat's own registry and settings classes.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any, cast

from runner.catalog import PARTS, Field, Part, Provider, Service

_FILE = Path(__file__).with_name("providers.json")


@cache
def _data() -> dict[str, dict[str, Any]]:
    return json.loads(_FILE.read_text(encoding="utf-8"))


@cache
def provider(part: Part, name: str) -> Provider:
    """One provider of one part.

    Raises:
        KeyError: Pipecat 1.14 has no such provider; the schema refuses such a file before.
    """
    made = cast("dict[str, Any]", _data()[part][name])
    keys = cast("dict[str, str]", made.get("keys", {}))
    return Provider(
        part=part,
        name=name,
        title=made["title"],
        key=next((variable for variable in keys.values() if is_secret(variable)), next(iter(keys.values()), "")),
        fields={setting: _field(setting, facts) for setting, facts in made["settings"].items()},
        service=Service(
            module=made["module"],
            name=made["class"],
            extras=tuple(made["extras"]),
            packages=tuple(made.get("packages", ())),
            python=made.get("python", ""),
            keys=keys,
            optional=made.get("optional", {}),
            endpoint=made.get("endpoint", ""),
            takes=frozenset(made.get("takes", ())),
            unset={setting: facts["unset"] for setting, facts in made["settings"].items() if "unset" in facts},
            choices={setting: facts["choice"] for setting, facts in made["settings"].items() if "choice" in facts},
            languages=frozenset(setting for setting, facts in made["settings"].items() if "language" in facts),
        ),
    )


def names(part: Part) -> tuple[str, ...]:
    """The providers of one part, in the order of Pipecat's registry."""
    return tuple(_data()[part])


def variables() -> tuple[str, ...]:
    """Every variable of the environment that some provider reads, each once."""
    found = [
        variable
        for part in PARTS
        for made in _data()[part].values()
        for group in ("keys", "optional")
        for variable in made.get(group, {}).values()
    ]
    return tuple(dict.fromkeys(found))


def is_secret(variable: str) -> bool:
    """Whether a variable holds what nobody may see: a key, not a region or an address."""
    return variable.endswith(("_KEY", "_KEY_ID", "_TOKEN", "_SECRET", "_CREDENTIALS"))


def missing_packages(provider: Provider) -> tuple[str, ...]:
    """The packages of a provider that are not installed here. Nothing is imported."""
    return tuple(name for name in provider.service.packages if not _installed(name)) if provider.service else ()


def needs_newer_python(provider: Provider) -> str:
    """The lowest Python that a provider's packages run on, "" when this one will do."""
    lowest = provider.service.python if provider.service else ""
    return lowest if lowest and sys.version_info[:2] < tuple(map(int, lowest.split("."))) else ""


def _installed(package: str) -> bool:
    from importlib.metadata import PackageNotFoundError, distribution  # `runner check` does without

    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def _field(name: str, facts: dict[str, Any]) -> Field:
    rest = facts.get("rest")
    return Field(name, facts["when"], tuple(cast("list[str]", rest)) if isinstance(rest, list) else rest)
