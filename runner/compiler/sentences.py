"""Text that comes in pieces, cut into what is spoken at once.

Comes in: pieces of an answer. Goes out: sentences, each as soon as it is certain that it has ended. Pipecat 1.14's own cutting.
"""

from __future__ import annotations

from pipecat.frames.frames import AggregatedTextFrame
from pipecat.utils.text.base_text_aggregator import Aggregation
from pipecat.utils.text.skip_tags_aggregator import SkipTagsAggregator


class Sentences:
    """One answer at a time."""

    def __init__(self) -> None:
        self._cutter = SkipTagsAggregator([("<spell>", "</spell>")])

    @property
    def holds(self) -> bool:
        """Whether a sentence has begun."""
        return bool(self._cutter.text.text)

    async def take(self, text: str) -> list[AggregatedTextFrame]:
        """The sentences that have ended with this piece."""
        return [_frame(one) async for one in self._cutter.aggregate(text)]

    async def rest(self) -> list[AggregatedTextFrame]:
        """What is left at the end of the answer."""
        left = await self._cutter.flush()
        return [_frame(left)] if left and left.text.strip() else []

    async def forget(self) -> None:
        """Nobody will say what is left."""
        await self._cutter.reset()


def sentence(text: str) -> AggregatedTextFrame:
    """A text as one thing to be spoken."""
    return _frame(Aggregation(text=text, type="sentence"))


def _frame(one: Aggregation) -> AggregatedTextFrame:
    frame = AggregatedTextFrame(text=one.text, text_type=one.type, raw_text=one.text)
    frame.append_to_context = True
    return frame
