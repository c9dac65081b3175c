"""Between the caller's finished turn and the model: every spoken or typed turn passes here once, before a request is made."""

from __future__ import annotations

from pipecat.frames.frames import Frame, InputAudioRawFrame, InputDTMFFrame, LLMContextFrame, LLMMessagesAppendFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from runner.compiler.authorship import Authorship
from runner.compiler.callers.answered import Callers
from runner.compiler.conversation import Conversation
from runner.compiler.keypad import Keypad


class CallerTurns(FrameProcessor):
    """Tells the conversation each new turn of the callers, and lets through the requests that it wants made.

    A turn is new when the context holds more messages of the caller than at the last request: the same context passes again
    after a stage was entered or a function was called.

    The caller's sound ends here: nobody after this place listens to it, and Pipecat 1.14 would carry 50 pieces a second through
    the model, the voice and back to the carrier.

    Keys that the caller presses end here too and become a turn. The first of them silences the agent, as a voice would.
    """

    def __init__(self, conversation: Conversation, callers: Callers, authorship: Authorship) -> None:
        super().__init__()
        self._conversation = conversation
        self._callers = callers
        self._authorship = authorship
        self.keypad = Keypad(self._pressed)

    async def cleanup(self) -> None:
        self.keypad.close()
        await super().cleanup()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            return
        if isinstance(frame, InputDTMFFrame):
            await self._press(frame)
            return
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM and not frame.speculation:
            async for request in self._callers.requests(frame):
                self._authorship.stamp(request)
                await self.push_frame(request, direction)
            return
        self._callers.notice(frame)
        if isinstance(frame, LLMContextFrame):
            self._authorship.stamp(frame)
        await self.push_frame(frame, direction)

    async def _press(self, frame: InputDTMFFrame) -> None:
        now = self._conversation.now
        if now.end:
            return
        if now.turns.barge_in and not self.keypad.is_being_used:
            await self.broadcast_interruption()
        await self.keypad.press(frame.button)

    async def _pressed(self, said: str) -> None:
        turn = LLMMessagesAppendFrame(messages=[{"role": "user", "content": said}], run_llm=True)
        await self.push_frame(turn, FrameDirection.UPSTREAM)
