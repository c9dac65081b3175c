"""Between the caller's finished turn and the model: every spoken or typed turn passes here once, before a request is made."""

from __future__ import annotations

from pipecat.frames.frames import Frame, InputAudioRawFrame, InputDTMFFrame, LLMContextFrame, LLMMessagesAppendFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from runner.compiler.authorship import Authorship
from runner.compiler.conversation import Conversation
from runner.compiler.keypad import Keypad


class CallerTurns(FrameProcessor):
    """Tells the conversation each new turn of the caller, and lets through the request that the conversation wants made.

    A turn is new when the context holds more messages of the caller than at the last request: the same context passes again
    after a stage was entered or a function was called.

    The caller's sound ends here: nobody after this place listens to it, and Pipecat 1.14 would carry 50 pieces a second through
    the model, the voice and back to the carrier.

    Keys that the caller presses end here too and become a turn. The first of them silences the agent, as a voice would.
    """

    def __init__(self, conversation: Conversation, authorship: Authorship) -> None:
        super().__init__()
        self._conversation = conversation
        self._authorship = authorship
        self._heard = 0
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
            said = self._new_turn(frame.context)
            if said:
                request = await self._conversation.heard(said, frame)
                if request is None:
                    return
                frame = request
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

    def _new_turn(self, context: LLMContext) -> str:
        turns = [m for m in context.messages if isinstance(m, dict) and m.get("role") == "user"]
        new, self._heard = turns[self._heard :], len(turns)
        return " ".join(text for turn in new if isinstance(text := turn.get("content"), str))
