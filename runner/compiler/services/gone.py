"""What a service tells about itself when a call suffers from it, beside the errors that only tell.

Comes in: a service that gave up. Goes out: an `ErrorFrame` that travels upstream like every other. A part with a service to
fall back to takes it before it reaches the end of the pipeline; what does reach it is acted upon by `live.lifeline`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import ErrorFrame

from runner.catalog import Part


@dataclass
class ServiceGone(ErrorFrame):
    """`part` does not work any more in this call, and waiting does not help: a refused key, an account that is used up, a
    connection that does not come back. `error` is the vendor's own sentence."""

    part: Part = "stt"

    @property
    def why(self) -> str:
        return self.error


@dataclass
class AnswerLost(ErrorFrame):
    """What the agent wanted to say was not heard, or not to its end, and nothing more will come of it by itself. The service
    works, or may work again with the next turn. `error` is the vendor's own sentence, or what was waited for in vain."""
