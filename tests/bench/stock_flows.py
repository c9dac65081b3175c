"""The agent of `stage_latency.py` as Pipecat's own documentation builds one: its services, its FlowManager, its defaults.

Comes in: a port and the addresses of the vendors. Goes out: one call after another over websocket, as the page's clients
speak it. Run by `stage_latency.py`.
"""

from __future__ import annotations

import argparse
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.flows import FlowArgs, FlowManager, FlowsFunctionSchema, NodeConfig
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frameworks.rtvi.frames import RTVIServerMessageFrame
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.services.assemblyai.stt import AssemblyAISTTService
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

ROLE = "You are a friendly voice assistant."
STAGES: dict[str, dict[str, str]] = {
    "start": {
        "prompt": "Find out what the caller wants.",
        "refund": "The caller wants a refund",
        "parcel": "The caller asks for a parcel",
    },
    "refund": {"prompt": "Get the order number.", "start": "The caller wants something else"},
    "parcel": {"prompt": "Help with the parcel.", "start": "The caller wants something else"},
}


def node(stage: str, say: str, *, opening: bool = False) -> NodeConfig:
    ways = {to: when for to, when in STAGES[stage].items() if to != "prompt"}
    config: NodeConfig = {
        "name": stage,
        "role_message": ROLE,
        "task_messages": [{"role": "developer", "content": STAGES[stage]["prompt"]}],
        "functions": [_way(to, when, say) for to, when in ways.items()],
        "respond_immediately": stage != "parcel" and not opening,
    }
    if stage == "parcel":
        config["pre_actions"] = [{"type": "tts_say", "text": say}]
    return config


def _way(to: str, when: str, say: str) -> FlowsFunctionSchema:
    async def chosen(_args: FlowArgs, flow: FlowManager) -> tuple[None, NodeConfig]:
        await flow.worker.queue_frame(RTVIServerMessageFrame(data={"type": "stage", "to": to}))
        return None, node(to, say)

    return FlowsFunctionSchema(name=f"go_to_{to}", description=when, properties={}, required=[], handler=chosen)


async def talk(socket: WebSocket, options: argparse.Namespace) -> None:
    transport = FastAPIWebsocketTransport(
        websocket=socket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=ProtobufFrameSerializer()
        ),
    )
    ears = AssemblyAISTTService(api_key=options.ear_key, api_endpoint_base_url=options.ears)
    mind = OpenAILLMService(
        api_key=options.mind_key, base_url=options.mind, settings=OpenAILLMService.Settings(model="gpt-4o")
    )
    voice = CartesiaTTSService(
        api_key=options.voice_key, url=options.voice, settings=CartesiaTTSService.Settings(voice="a")
    )
    pair = LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer(params=VADParams(start_secs=0.13))),
    )
    steps: list[Any] = [transport.input(), ears, pair.user(), mind, voice, transport.output(), pair.assistant()]
    worker = PipelineWorker(
        Pipeline(steps), params=PipelineParams(audio_in_sample_rate=16_000, enable_metrics=True), idle_timeout_secs=None
    )
    flow = FlowManager(llm=mind, context_aggregator=pair, worker=worker)

    @transport.event_handler("on_client_connected")
    async def connected(*_: object) -> None:
        await flow.initialize(node("start", options.say, opening=True))
        await worker.queue_frame(RTVIServerMessageFrame(data={"type": "stage", "to": "start"}))

    @transport.event_handler("on_client_disconnected")
    async def disconnected(*_: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False, handle_sigterm=False)
    await runner.add_workers(worker)
    await runner.run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "ears", "mind", "voice", "ear-key", "mind-key", "voice-key", "say"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    app = FastAPI()

    @app.websocket("/ws")
    async def call(socket: WebSocket) -> None:
        await socket.accept()
        await talk(socket, options)

    uvicorn.run(app, host="127.0.0.1", port=int(options.port), log_level="warning")


if __name__ == "__main__":
    main()
