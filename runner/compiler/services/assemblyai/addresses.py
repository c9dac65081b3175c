"""What a session of AssemblyAI is asked for: the settings of the ear, as they stand in the address of a connection.

Comes in: the ear's settings. Goes out: parameters, whole addresses, and the headers of the handshake.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

from pipecat import version as pipecat_version
from pipecat.services.assemblyai.stt import (
    AssemblyAISTTService,
    _prepare_language_codes,  # pyright: ignore[reportPrivateUsage]
    is_u3_pro_model,
)
from websockets.asyncio.client import ClientConnection

from runner.compiler.services.assemblyai.differences import Address
from runner.compiler.services.assemblyai.settings import PARAMETERS, EarSettings, in_address


class MakesAddresses(AssemblyAISTTService):
    """Pipecat's service, that says which session it wants now."""

    Settings = EarSettings
    _settings: EarSettings  # pyright: ignore[reportIncompatibleVariableOverride]

    def wanted(self) -> dict[str, str]:
        """The parameters of a session as the settings are now, as they stand in an address."""
        stored, self._settings = self._settings, self._agreeing()
        try:
            query = super()._build_ws_url().removeprefix(self._api_endpoint_base_url).lstrip("?")
        finally:
            self._settings = stored  # pyright: ignore[reportIncompatibleVariableOverride]
        found = dict(parse_qsl(query, keep_blank_values=True))
        if not is_u3_pro_model(stored.model):
            found.pop("prompt", None)
        if stored.previous_context_n_turns == 0:
            found.pop("agent_context", None)  # said before context was switched off
        for name in PARAMETERS:
            if (value := getattr(stored, name)) is not None:
                found[name] = in_address(value)
        return found

    def typed(self, name: str) -> object:
        """The value of a live field as an update says it."""
        value = getattr(self._agreeing(), name)
        if name == "language_codes":
            return _prepare_language_codes(value)
        return self._clip_agent_context(value) if name == "agent_context" else value

    def _agreeing(self) -> EarSettings:
        """The settings with the silences that go with the turn detection, as Pipecat 1.14 makes them agree when it is
        constructed, and only then."""
        if not self._vad_force_turn_endpoint:
            return self._settings
        agreed = replace(self._settings)
        if is_u3_pro_model(agreed.model):
            shortest = 100 if agreed.min_turn_silence is None else agreed.min_turn_silence
            agreed.min_turn_silence = agreed.max_turn_silence = shortest
        else:
            if agreed.end_of_turn_confidence_threshold is None:
                agreed.end_of_turn_confidence_threshold = 1.0
            if agreed.min_turn_silence is None:
                agreed.min_turn_silence = 160
        return agreed

    def _build_ws_url(self) -> str:
        return self.url_of(self.wanted())

    def url_of(self, address: Address) -> str:
        """A whole address; an endpoint may have parameters of its own."""
        base = self._api_endpoint_base_url
        return f"{base}{'&' if '?' in base else '?'}{urlencode(address)}"

    @property
    def headers(self) -> dict[str, str]:
        """Of the handshake, as Pipecat 1.14 sends them."""
        return {
            "Authorization": self._api_key,
            "User-Agent": f"AssemblyAI/1.0 (integration=Pipecat/{pipecat_version()})",
        }

    async def connect(self, address: Address) -> ClientConnection:
        """A connection on which nothing was said yet."""
        return await self._websocket_connect(self.url_of(address), additional_headers=self.headers)
