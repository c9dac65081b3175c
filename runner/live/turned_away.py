"""What who is not admitted is answered. One answer for every carrier that comes by HTTP or websocket."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from fastapi.websockets import WebSocketState

from runner.live.admission import NotAdmitted

_TRY_AGAIN_LATER = 1013
"""The websocket close code for it (IANA's registry of RFC 6455 codes)."""


def answer_who_is_not_admitted(app: FastAPI) -> None:
    """A route that lets `NotAdmitted` through answers 503 with `Retry-After`; a websocket that is not accepted yet the same
    (a denial response), an accepted one is closed with 1013."""

    @app.exception_handler(NotAdmitted)
    async def turn_away(connection: Request | WebSocket, why: NotAdmitted) -> Response | None:
        response = JSONResponse({"detail": str(why)}, 503, headers={"Retry-After": str(why.retry_after)})
        if not isinstance(connection, WebSocket):
            return response
        if connection.client_state is WebSocketState.CONNECTING:
            await connection.send_denial_response(response)
        else:
            await connection.close(_TRY_AGAIN_LATER, "All lines are busy")
        return None
