"""The caller's sound over websocket, at the rate the call runs at, whatever rate the client sends."""

from __future__ import annotations

from pipecat.audio.resamplers.soxr_stream_resampler import SOXRStreamAudioResampler
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.serializers.protobuf import ProtobufFrameSerializer


class ClientSerializer(ProtobufFrameSerializer):
    """Pipecat's serializer for RTVI clients. Pipecat 1.14 hands on their sound as it comes, and voice activity detection takes
    it for sound of the call's own rate (`audio.in_sample_rate`)."""

    def __init__(self) -> None:
        super().__init__()
        self._rate = 0
        self._resampler = SOXRStreamAudioResampler()

    async def setup(self, setup: FrameProcessorSetup) -> None:
        await super().setup(setup)
        self._rate = setup.audio_in_sample_rate

    async def deserialize(self, data: str | bytes) -> Frame | None:
        frame = await super().deserialize(data)
        if isinstance(frame, InputAudioRawFrame) and self._rate and frame.sample_rate != self._rate:
            sound = await self._resampler.resample(frame.audio, frame.sample_rate, self._rate)
            return InputAudioRawFrame(sound, self._rate, frame.num_channels) if sound else None
        return frame
