// The way to the server: one connection of one call, by WebRTC or over a websocket. In: which call. Out: a client that is ready,
// or why there is none.

import { LogLevel, PipecatClient } from "@pipecat-ai/client-js";
import type { RTVIEventCallbacks, RTVIMessage } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";
import { asMediaManager } from "./microphone";
import type { TransportName } from "./returning";
import { serverPath } from "./server";
import * as transcript from "./transcript";
import { WebsocketTransport } from "./websocketTransport";

/** How long the server may take to answer the offer: the first call of a start loads models. */
const ANSWER_WITHIN = 20_000;
/** How long WebRTC may take from the answer to an open data channel before the websocket is tried. */
const WEBRTC_WITHIN = 5_000;
/** Every place for a call is taken, or no new calls are (HTTP). */
const NO_PLACE = 503;
/** How long the agent may take from the open connection to its ready message. */
const READY_WITHIN = 30_000;

/** Its message is a sentence for the page. */
export class CallError extends Error {}

/** The server answered, and takes no call: another way to it would be refused as well. */
export class RefusedError extends CallError {}

export class Client extends PipecatClient {
  readonly carrier: SmallWebRTCTransport | WebsocketTransport;

  constructor(carrier: SmallWebRTCTransport | WebsocketTransport, callbacks: RTVIEventCallbacks) {
    // The call opens the microphone itself, so the client must not.
    super({ transport: carrier, enableMic: false, enableCam: false, callbacks });
    this.carrier = carrier;
    this.setLogLevel(LogLevel.WARN);
  }

  protected override handleMessage(message: RTVIMessage): void {
    // client-js 1.13 speaks RTVI 2.1 and drops this message of 2.2.
    if ((message.type as string) === "bot-interrupted") transcript.interrupted();
    super.handleMessage(message);
  }
}

/** What the library keeps private (small-webrtc-transport 1.10.8). */
interface Inside {
  pc: RTCPeerConnection | null;
  _lastNegotiationError: unknown;
}

function inside(carrier: SmallWebRTCTransport): Inside {
  return carrier as unknown as Inside;
}

export function peer(carrier: SmallWebRTCTransport): RTCPeerConnection | null {
  return inside(carrier).pc;
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Resolves with a reason as soon as it is clear that this WebRTC connection will not come about; never when it does. */
async function hindrance(carrier: SmallWebRTCTransport): Promise<string> {
  const started = performance.now();
  let answered = 0;
  for (;;) {
    await sleep(100);
    const connection = peer(carrier);
    if (carrier.state === "connected" || carrier.state === "ready") return new Promise(() => {});
    // The library would ask three times more, two seconds apart.
    const failed = inside(carrier)._lastNegotiationError !== null;
    if (failed || carrier.state === "disconnected" || carrier.state === "error") return "The server refused the call.";
    if (!connection) continue;
    const answer = connection.remoteDescription;
    // aiortc puts all its addresses into the answer, and never 127.0.0.1: on a machine without a network there are none.
    if (answer && !answer.sdp.includes("a=candidate")) return "WebRTC has no network.";
    if (answer && !answered) answered = performance.now();
    if (answered && performance.now() - answered > WEBRTC_WITHIN) return "WebRTC did not connect.";
    if (performance.now() - started > ANSWER_WITHIN) return "The server did not answer.";
  }
}

/** The server's own words, a sentence or two, "" when it gave none. `answer`: to a WebRTC offer. */
async function whyRefused(answer: unknown): Promise<string> {
  // A browser does not tell a page how its websocket was refused.
  const asked = answer instanceof Response ? answer : await fetch(serverPath("/api/calls")).catch(() => undefined);
  if (!asked || asked.ok || (asked !== answer && asked.status !== NO_PLACE)) return "";
  const { detail } = (await asked.json().catch(() => ({}))) as { detail?: unknown };
  if (typeof detail !== "string") return "";
  return asked.status === NO_PLACE ? `${detail} Try again in a moment.` : detail;
}

/** `way`: `call`, the key that the call may be found by again, or `back`, the key of one that goes on. */
export async function connectBy(
  name: TransportName,
  agentName: string,
  way: Record<string, string>,
  callbacks: RTVIEventCallbacks,
): Promise<Client> {
  const carrier =
    name === "webrtc"
      ? new SmallWebRTCTransport({ mediaManager: asMediaManager, waitForICEGathering: false })
      : new WebsocketTransport();
  const one = new Client(carrier, callbacks);
  let parameters: unknown;
  if (name === "webrtc") {
    const endpoint = new URL(serverPath("/api/offer", { agent: agentName, ...way }), location.href).href;
    parameters = { webrtcRequestParams: { endpoint } };
  } else {
    const url = new URL(serverPath(`/ws-client/${encodeURIComponent(agentName)}`, way), location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    parameters = { url: url.href };
  }
  const ready = one.connect(parameters);
  ready.catch(() => {});
  const tooLate = async () => {
    await sleep(READY_WITHIN);
    return "The agent did not answer.";
  };
  const webrtc = carrier instanceof SmallWebRTCTransport ? [hindrance(carrier)] : [];
  try {
    const failure = await Promise.race([ready.then(() => ""), tooLate(), ...webrtc]);
    if (failure) throw new CallError(failure);
  } catch (error) {
    const negotiation = carrier instanceof SmallWebRTCTransport ? inside(carrier)._lastNegotiationError : undefined;
    await one.disconnect().catch(() => {});
    // The library forgets the answer when it stops by itself, but keeps it with its error.
    const refusal = await whyRefused(negotiation ?? (error instanceof Error ? error.cause : undefined));
    throw refusal ? new RefusedError(refusal) : error;
  }
  return one;
}

