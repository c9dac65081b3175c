"""A server like the one in Pipecat Cloud's base image (`daily-co/pipecat-cloud-images`, `pipecat-base/app.py`): the same routes,
the same arguments of the package `pipecatcloud`, the same call of `bot` from a file `bot.py` in the working folder.

Started as `python cloud_entry.py PORT`; `bot.py` is found through PYTHONPATH.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Annotated, Any

import uvicorn
from bot import bot  # pyright: ignore[reportMissingImports]
from fastapi import BackgroundTasks, FastAPI, Header, Query, Request, WebSocket
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import SmallWebRTCRequest, SmallWebRTCRequestHandler
from pipecatcloud.agent import (
    DailySessionArguments,
    PipecatSessionArguments,
    SmallWebRTCSessionArguments,
    WebSocketSessionArguments,
)

app = FastAPI()
webrtc = SmallWebRTCRequestHandler()


@app.post("/bot")
async def start(
    body: dict[str, Any],
    x_daily_room_url: Annotated[str | None, Header()] = None,
    x_daily_room_token: Annotated[str | None, Header()] = None,
    x_daily_session_id: Annotated[str | None, Header()] = None,
) -> dict[str, Any]:
    if x_daily_room_url and x_daily_room_token:
        args = DailySessionArguments(
            session_id=x_daily_session_id, room_url=x_daily_room_url, token=x_daily_room_token, body=body
        )
    else:
        args = PipecatSessionArguments(session_id=x_daily_session_id, body=body)
    await bot(args)
    return {}


@app.websocket("/ws")
async def websocket(
    ws: WebSocket, x_daily_session_id: Annotated[str | None, Header()] = None, body: str = Query(None)
) -> None:
    await ws.accept()
    decoded = json.loads(base64.b64decode(body)) if body else None
    await bot(WebSocketSessionArguments(session_id=x_daily_session_id, websocket=ws, body=decoded))


@app.post("/api/offer")
async def offer(
    request: Request, tasks: BackgroundTasks, x_daily_session_id: Annotated[str | None, Header()] = None
) -> dict[str, str] | None:
    wanted = SmallWebRTCRequest.from_dict(await request.json())

    async def connected(connection: SmallWebRTCConnection) -> None:
        args = SmallWebRTCSessionArguments(
            session_id=x_daily_session_id, webrtc_connection=connection, body=wanted.request_data
        )
        tasks.add_task(bot, args)

    return await webrtc.handle_web_request(wanted, connected)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), ws_per_message_deflate=False)
