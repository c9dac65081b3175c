"""What differs in the lists of services that take over, in words."""

from __future__ import annotations

from runner.catalog import PROVIDERS, Part
from runner.definition import Service
from runner.wording import joined


def list_said(part: Part, before: tuple[Service, ...], after: tuple[Service, ...]) -> str:
    """`OpenAI (gpt-4o-mini) and Anthropic take over when llm fails, instead of nobody`"""
    if not after:
        return f"nobody takes over any more when {part} fails"
    was = f", instead of {_names(part, before)}" if before else ""
    return f"{_names(part, after)} {'takes' if len(after) == 1 else 'take'} over when {part} fails{was}"


def _names(part: Part, services: tuple[Service, ...]) -> str:
    return joined([_name(part, one) for one in services])


def _name(part: Part, one: Service) -> str:
    title = PROVIDERS[part, one.provider].title
    told = next((str(one.settings[name]) for name in ("model", "voice") if name in one.given), one.endpoint)
    return f"{title} ({told})" if told else title
