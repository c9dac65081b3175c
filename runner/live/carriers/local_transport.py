"""Pipecat's transport for this machine's sound, which closes the loudspeaker only when nothing is written to it any more.

Pipecat 1.14 writes in a thread and closes the stream from another one while that thread may still write; PortAudio then writes
into memory that it has given back, and the process is killed (`malloc_consolidate(): unaligned fastbin chunk detected`).
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from pipecat.transports.local.audio import LocalAudioOutputTransport, LocalAudioTransport, LocalAudioTransportParams


class _Loudspeaker(LocalAudioOutputTransport):
    async def cleanup(self) -> None:
        stream, self._out_stream = cast("Any", self._out_stream), None
        try:
            await super().cleanup()
        finally:
            await asyncio.to_thread(_close, self._executor, stream)


class MachineTransport(LocalAudioTransport):
    """This machine's microphone and loudspeaker. `sound` is its PyAudio, which ends with the process."""

    def __init__(self) -> None:
        super().__init__(LocalAudioTransportParams(audio_in_enabled=True, audio_out_enabled=True))
        self.sound: Any = self._pyaudio
        self._output = _Loudspeaker(self._pyaudio, self._params)


def _close(executor: Any, stream: Any) -> None:
    executor.shutdown(wait=True)
    if stream:
        stream.stop_stream()
        stream.close()
