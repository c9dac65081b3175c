"""Pipecat's messages to a client, without the keys that a vendor may repeat in an error.

Comes in: a call's error frames, and the keys of its services. Goes out: RTVI's `error` message, as Pipecat 1.14 sends it, with
the names of the variables in the keys' places.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipecat.frames.frames import ErrorFrame
from pipecat.processors.frameworks.rtvi import RTVIProcessor

from runner.masking import masked


class DiscreetRTVI(RTVIProcessor):
    """keys: variable name -> key."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        self._keys = keys

    async def _send_error_frame(self, frame: ErrorFrame) -> None:
        await super()._send_error_frame(ErrorFrame(masked(frame.error, self._keys), fatal=frame.fatal))
