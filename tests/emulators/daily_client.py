"""Daily's native client (`daily.CallClient`), as far as Pipecat's transport calls it, without a network: who comes into a room
and what happens there is said by the test.

Comes in: what the transport calls. Goes out: the client's events, from a thread of its own as the native one does, and what the
transport asked for. Whether somebody may come in is asked of the REST emulator (`DailyEmulator.may_join`), so that a token for
another room or one that has expired is refused here too. The sentences of refusals are ours.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from pipecat.transports.daily import transport

from .daily import DailyEmulator

Completion = Callable[..., None]


class RoomClient:
    """One who has come into a room by `daily.CallClient`, here: the agent.

    name, url, token: as it came in. inside: it is in the room. dialled: settings of calls out.
    """

    def __init__(self, building: DailyBuilding, event_handler: Any) -> None:
        self._building, self._handler = building, event_handler
        self._thread = ThreadPoolExecutor(1, "daily-events")
        self.name = self.url = ""
        self.token: str | None = None
        self.inside = self.released = self.transcribing = False
        self.settings: dict[str, Any] = {}
        self.dialled: list[dict[str, Any]] = []
        self.tones: list[dict[str, Any]] = []
        self.heard_from: list[str] = []
        self._voice: Loudspeaker | None = None

    @property
    def loudness(self) -> int:
        """Of the loudest sample that it sent."""
        return self._voice.loudness if self._voice else 0

    # what the transport calls

    def set_user_name(self, name: str) -> None:
        self.name = name

    def update_subscription_profiles(self, profiles: object) -> None: ...

    def update_subscriptions(self, **settings: Any) -> None:
        settings["completion"](None)

    def join(self, url: str, token: str | None, *, completion: Completion, client_settings: dict[str, Any]) -> None:
        self.url, self.token, self.settings = url, token, client_settings
        self._voice = self._building.voices[client_settings["inputs"]["microphone"]["settings"]["customTrack"]["id"]]
        if self._building.unreachable:
            return
        refused = self._building.why_not(url, token)
        self.inside = refused is None
        completion({"participants": {"local": {"id": "agent"}}, "meetingSession": {"id": "m"}}, refused)

    def leave(self, *, completion: Completion) -> None:
        self.inside = False
        self.event("call_state_updated", "left")
        completion(None)

    def release(self) -> None:
        self.inside, self.released = False, True
        self._thread.shutdown(wait=False)

    def send_app_message(self, _message: object, _who: object, *, completion: Completion) -> None:
        completion(None)

    def set_audio_renderer(self, who: str, *_: Any, **__: Any) -> None:
        self.heard_from.append(who)

    def start_transcription(self, *, settings: object, completion: Completion) -> None:
        self.transcribing = True
        completion(None)

    def start_dialout(self, settings: dict[str, Any], *, completion: Completion) -> None:
        self.dialled.append(settings)
        owner = self._building.rest is None or self._building.rest.is_owner(self.token)
        completion("out", None) if owner else completion("", "only owners may dial out")

    def send_dtmf(self, settings: dict[str, Any], *, completion: Completion) -> None:
        self.tones.append(settings)
        completion(None)

    # what a test makes happen

    def event(self, name: str, *values: Any) -> None:
        """Daily's client reports something: `on_NAME` of its event handler, from its own thread."""
        self._thread.submit(getattr(self._handler, f"on_{name}"), *values)

    def comes(self, who: str) -> None:
        self.event("participant_joined", {"id": who, "info": {"userName": who}})

    def goes(self, who: str) -> None:
        self.event("participant_left", {"id": who, "info": {"userName": who}}, "leftCall")

    def put_out(self) -> None:
        """The room ends underneath the agent."""
        self.inside = False
        self.event("call_state_updated", "left")


class DailyBuilding:
    """All rooms: a test's own `daily.CallClient`. clients: in the order in which they were made. unreachable: nobody answers."""

    def __init__(self, rest: DailyEmulator | None = None) -> None:
        self.rest = rest
        self.unreachable = False
        self.refusal: str | None = None
        self.clients: list[RoomClient] = []
        self.voices: dict[str, Loudspeaker] = {}

    @property
    def client(self) -> RoomClient:
        """The only one."""
        (client,) = self.clients
        return client

    def why_not(self, url: str, token: str | None) -> str | None:
        return self.refusal or (self.rest.may_join(url, token) if self.rest else None)

    def make(self, *, event_handler: Any) -> RoomClient:
        self.clients.append(RoomClient(self, event_handler))
        return self.clients[-1]

    def track(self, voice: Loudspeaker) -> Track:
        track = Track()
        self.voices[track.id] = voice
        return track


class Loudspeaker:
    """In the place of `daily.CustomAudioSource`: takes sound as slowly as it would be played."""

    def __init__(self, rate: int, *_: Any) -> None:
        self.rate = rate
        self.loudness = 0

    def write_frames(self, sound: bytes, *, completion: Completion) -> None:
        samples = np.frombuffer(sound, dtype=np.int16).astype(np.int32)
        self.loudness = max(self.loudness, int(np.abs(samples).max(initial=0)))
        asyncio.get_running_loop().call_later(len(samples) / self.rate, completion, len(samples))


class Track:
    def __init__(self) -> None:
        self.id = str(uuid.uuid4())


def install(monkeypatch: pytest.MonkeyPatch, rest: DailyEmulator | None = None) -> DailyBuilding:
    """From now on Pipecat's Daily transport has clients of this building."""
    building = DailyBuilding(rest)
    monkeypatch.setattr(transport, "CallClient", building.make)
    monkeypatch.setattr(transport, "CustomAudioSource", Loudspeaker)
    monkeypatch.setattr(transport, "CustomAudioTrack", building.track)
    return building
