"""What of a call's frames is told to its observers.

Comes in: Pipecat's worker. Goes out: the same worker, whose observers are woken for what one of them looks at.

Pipecat 1.14 puts every frame into every observer's queue twice for each of the processors it passes, also the caller's sound: 50
frames a second through a dozen processors. With ten calls this was a seventh of all the time a process used.
"""

from __future__ import annotations

from pipecat.frames.frames import InputAudioRawFrame
from pipecat.observers.base_observer import BaseObserver, FrameProcessed, FramePushed
from pipecat.pipeline.worker import PipelineWorker
from pipecat.pipeline.worker_observer import WorkerObserver


class SparingObserver(WorkerObserver):
    """Passes on what is pushed, but for the caller's sound, which none of a call's observers looks at; and what is processed
    only to observers that have something to do then."""

    async def on_process_frame(self, data: FrameProcessed) -> None:
        for observer, proxy in (self._proxies or {}).items():
            if type(observer).on_process_frame is not BaseObserver.on_process_frame:
                await proxy.queue.put(data)

    async def on_push_frame(self, data: FramePushed) -> None:
        if not isinstance(data.frame, InputAudioRawFrame):
            await super().on_push_frame(data)


def spare_observers(worker: PipelineWorker) -> None:
    """Before the worker runs. Observers that are added later are told the same way."""
    worker._observer = SparingObserver(observers=worker._observer._observers)  # pyright: ignore[reportPrivateUsage]
