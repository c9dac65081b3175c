// One call at a time. In: Talk, Hang up, mute, typed text. Out: signals about the call, and lines of the transcript.

import { LogLevel, PipecatClient } from "@pipecat-ai/client-js";
import type { BotOutputData, RTVIEventCallbacks, RTVIMessage } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";
import { batch, effect, signal } from "@preact/signals";
import { forgetLevels, measureTrack } from "./levels";
import { asMediaManager, microphone, MicrophoneError } from "./microphone";
import { leave, newKey, takeLeft, tellHungUp, whyOver } from "./returning";
import type { Left, TransportName } from "./returning";
import { agent, loaded, onlyTransport, serverLost, serverPath } from "./server";
import * as transcript from "./transcript";
import { WebsocketTransport } from "./websocketTransport";

export type Phase = "idle" | "connecting" | "connected" | "ended" | "failed";

/** How long the server may take to answer the offer: the first call of a start loads models. */
const ANSWER_WITHIN = 20_000;
/** How long WebRTC may take from the answer to an open data channel before the websocket is tried. */
const WEBRTC_WITHIN = 5_000;
/** How long this page tries to get back to a call whose connection broke off: longer than most calls wait for it. */
const BACK_WITHIN = 60_000;
/** How long the agent may take from the open connection to its ready message. */
const READY_WITHIN = 30_000;

export const phase = signal<Phase>("idle");
/** Why the call did not start, a sentence or "". */
export const reason = signal("");
/** off: a typed call, or no call. */
export const mic = signal<"off" | "on" | "muted">("off");
export const micProblem = signal("");
export const transportName = signal<TransportName | "">("");
export const activity = signal<"listening" | "hearing" | "thinking" | "speaking">("listening");
export const stage = signal("");
/** The version that speaks in the call; 0 outside a call. */
export const callVersion = signal(0);
/** The next call keeps the version it begins with, whatever is saved. */
export const keepsVersion = signal(false);
/** The browser wants a click before it plays sound. */
export const soundBlocked = signal(false);

/** Plays the agent's voice of a WebRTC call. */
export const loudspeaker = new Audio();
loudspeaker.autoplay = true;

let client: Client | undefined;
let counting: ReturnType<typeof setInterval> | undefined;
let meters: AudioContext | undefined;
/** Changes with every start and hang up, so that what was begun before can see that it is out of date. */
let attempt = 0;
let webrtcFailed = false;
/** How the call can be found again. */
let current: Left | undefined;
let endReason = "";
let lastStats = { bytesReceived: 0, totalAudioEnergy: 0, transport: "" as TransportName | "" };

/** What runner sends as RTVI `server-message`. */
type ServerMessage =
  | { type: "stage"; from?: string | null; to: string; version?: number }
  | { type: "version"; version: number; stage?: string | null; changes?: string[] }
  | { type: "agent"; version: number; stage?: string | null }
  | { type: "latency"; ms: number; parts?: transcript.Latency["parts"] }
  | ({ type: "caller"; text: string; stage?: string | null; version: number } & transcript.Heard)
  | { type: "correction"; turn: number; text: string; before: string | null; speaker: string; version: number }
  | { type: "language"; from: string | null; to: string | null; version: number }
  | { type: "problem"; message: string }
  | { type: "back"; stage?: string | null; version: number; seconds: number; lines: transcript.Past[] }
  | { type: "end"; reason?: string }
  | { type: "said"; text: string };

/** Its message is a sentence for the page. */
class CallError extends Error {}

class Client extends PipecatClient {
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

function takeServerMessage(message: ServerMessage): void {
  switch (message.type) {
    case "stage":
      if (message.version) callVersion.value = transcript.now.version = message.version;
      stage.value = message.to;
      transcript.stageChanged(message.to, !message.from);
      break;
    case "version":
      if (message.version === callVersion.value && !message.changes?.length) break;
      callVersion.value = message.version;
      // A renamed stage goes on under its new name.
      if (message.stage) stage.value = transcript.now.stage = message.stage;
      transcript.versionChanged(message.version, message.changes ?? []);
      break;
    case "agent":
      transcript.madeBy(message.version);
      break;
    case "latency":
      transcript.waited({ ms: message.ms, parts: message.parts ?? [] });
      break;
    case "caller":
      transcript.knownOf(message.text, message);
      break;
    case "correction":
      transcript.corrected(message.turn, message.speaker, message.before ?? "nobody");
      break;
    case "language":
      transcript.addDivider("language", message.to ?? "the agent's own");
      break;
    case "problem":
      transcript.addDivider("problem", message.message);
      break;
    case "back":
      callVersion.value = transcript.now.version = message.version;
      stage.value = transcript.now.stage = message.stage ?? "";
      transcript.restore(message.lines, message.seconds);
      break;
    case "said":
      transcript.said(undefined, message.text, message.text.length);
      break;
    case "end":
      endReason = message.reason ?? "";
      break;
  }
}

function takeBotOutput(data: BotOutputData): void {
  const progress = data.spoken_progress;
  const silent = data.will_be_spoken === false || data.spoken_status === "completed" || !progress;
  transcript.said(data.segment_id, data.text, silent ? data.text.length : progress.accumulated_text.length);
}

function callbacks(mine: number, goesOn: boolean): RTVIEventCallbacks {
  const { name } = agent.value!;
  const live = <Arguments extends unknown[]>(take: (...values: Arguments) => void) => {
    return (...values: Arguments) => {
      if (mine === attempt) batch(() => take(...values));
    };
  };
  return {
    onConnected: live(() => {
      if (!goesOn) transcript.callStarted(`Call with ${name}`);
    }),
    onServerMessage: live((message: unknown) => takeServerMessage(message as ServerMessage)),
    onUserTranscript: live((data) => transcript.heard(data.text, data.final)),
    onBotOutput: live(takeBotOutput),
    onUserStartedSpeaking: live(() => (activity.value = "hearing")),
    onUserStoppedSpeaking: live(() => (activity.value = "thinking")),
    onBotLlmStarted: live(() => {
      transcript.agentTurnBegins();
      if (activity.value !== "speaking") activity.value = "thinking";
    }),
    onBotStartedSpeaking: live(() => {
      transcript.agentSpeaks(true);
      activity.value = "speaking";
    }),
    onBotStoppedSpeaking: live(() => {
      transcript.agentSpeaks(false);
      activity.value = "listening";
    }),
    onTrackStarted: live((track, participant) => {
      if (!participant?.local && track.kind === "audio") playAgent(track);
    }),
    onError: live((message) => {
      const { message: text } = message.data as { message?: string };
      if (text && phase.value === "connected") transcript.addDivider("problem", text);
    }),
    onBotDisconnected: live(() => {
      endReason ||= "the agent hung up";
    }),
    onDisconnected: live(() => {
      if (phase.value !== "connected") return;
      const carrier = client?.carrier;
      if (carrier instanceof WebsocketTransport && carrier.takenOver) endReason ||= "it goes on in another window";
      if (endReason || !current) finish(endReason || "the connection broke off");
      else void comeBack(current);
    }),
  };
}

function playAgent(track: MediaStreamTrack): void {
  loudspeaker.srcObject = new MediaStream([track]);
  loudspeaker.play().catch(() => (soundBlocked.value = true));
  meters ??= new AudioContext();
  measureTrack("agent", meters, track);
}

export function allowSound(): void {
  soundBlocked.value = false;
  void loudspeaker.play();
}

/** What the library keeps private (small-webrtc-transport 1.10.8). */
interface Inside {
  pc: RTCPeerConnection | null;
  _lastNegotiationError: unknown;
}

function inside(carrier: SmallWebRTCTransport): Inside {
  return carrier as unknown as Inside;
}

function peer(carrier: SmallWebRTCTransport): RTCPeerConnection | null {
  return inside(carrier).pc;
}

function sleep(milliseconds: number): Promise<void> {
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

function pin(): Record<string, string> {
  return keepsVersion.value ? { pin: "1" } : {};
}

/** `way`: `call`, the key that the call may be found by again, or `back`, the key of one that goes on. */
async function connectBy(name: TransportName, agentName: string, mine: number, way: Record<string, string>): Promise<Client> {
  const carrier =
    name === "webrtc"
      ? new SmallWebRTCTransport({ mediaManager: asMediaManager, waitForICEGathering: false })
      : new WebsocketTransport();
  const one = new Client(carrier, callbacks(mine, "back" in way));
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
    await one.disconnect().catch(() => {});
    throw error;
  }
  return one;
}

/** Start a call with the chosen agent. Without a microphone it is a typed call, in which Talk can open one later. */
export async function start(withMicrophone: boolean): Promise<void> {
  const chosen = agent.value;
  if (!chosen || phase.value === "connecting" || phase.value === "connected") return;
  const mine = ++attempt;
  batch(() => {
    phase.value = "connecting";
    reason.value = micProblem.value = transportName.value = "";
    stage.value = chosen.stages[0] ?? "";
    activity.value = "listening";
    callVersion.value = chosen.version;
  });
  transcript.now.version = chosen.version;
  transcript.now.stage = stage.value;
  endReason = "";
  lastStats = { bytesReceived: 0, totalAudioEnergy: 0, transport: "" };

  const both: TransportName[] = webrtcFailed || !("RTCPeerConnection" in window) ? ["websocket"] : ["webrtc", "websocket"];
  const tries = onlyTransport === "webrtc" || onlyTransport === "websocket" ? [onlyTransport as TransportName] : both;
  let failure = "";
  for (const name of tries) {
    try {
      // Again for each try: the library stops the microphone with a connection that failed.
      if (withMicrophone) await microphone.open();
      if (mine !== attempt) return microphone.close();
      // Each try is a call of its own until one of them is taken.
      const key = newKey();
      const one = await connectBy(name, chosen.name, mine, { call: key, ...pin() });
      if (mine !== attempt) return void one.disconnect();
      if (name === "websocket" && tries.length > 1) webrtcFailed = true;
      current = { key, agent: chosen.name, transport: name, microphone: withMicrophone };
      connected(one);
      return;
    } catch (error) {
      if (mine !== attempt) return;
      const known = error instanceof CallError || error instanceof MicrophoneError;
      failure = known ? error.message : `The server did not take the call (${String(error)}).`;
      if (error instanceof MicrophoneError) {
        micProblem.value = failure;
        release();
        phase.value = "idle";
        return;
      }
    }
  }
  release();
  reason.value = failure;
  phase.value = "failed";
}

function connected(one: Client): void {
  client = one;
  batch(() => {
    transportName.value = current!.transport;
    mic.value = current!.microphone ? "on" : "off";
    phase.value = "connected";
  });
  // A connection that is over can no longer be asked.
  counting = setInterval(() => void runnerStats(), 1000);
  if (current!.transport === "webrtc" && microphone.track) {
    meters ??= new AudioContext();
    measureTrack("caller", meters, microphone.track);
  }
}

/** Go on with a call whose connection is gone, as long as the server keeps it. */
export async function comeBack(left: Left): Promise<void> {
  release();
  const mine = attempt;
  current = left;
  endReason = "";
  batch(() => {
    phase.value = "connecting";
    reason.value = micProblem.value = "";
    transportName.value = left.transport;
    activity.value = "listening";
  });
  const started = performance.now();
  for (;;) {
    const over = await whyOver(left.key);
    if (mine !== attempt) return;
    if (over) return finish(over);
    if (over === "") {
      try {
        if (left.microphone) await microphone.open();
      } catch (error) {
        left = current = { ...left, microphone: false };
        if (error instanceof MicrophoneError) micProblem.value = error.message;
      }
      try {
        if (mine !== attempt) return microphone.close();
        const one = await connectBy(left.transport, left.agent, mine, { back: left.key });
        return mine === attempt ? connected(one) : void one.disconnect();
      } catch {
        if (mine !== attempt) return;
      }
    }
    if (performance.now() - started > BACK_WITHIN) return finish("the connection broke off");
    await sleep(1000);
  }
}

/** A page that was loaded again in the middle of a call goes on with it. */
export function comeBackAfterLoading(): void {
  const left = takeLeft();
  if (!left) return;
  const stop = effect(() => {
    if (!loaded.value || !agent.value) return;
    queueMicrotask(() => {
      stop();
      if (phase.value === "idle") void comeBack(left);
    });
  });
}

function release(): void {
  attempt++;
  client = undefined;
  current = undefined;
  clearInterval(counting);
  microphone.close();
  loudspeaker.srcObject = null;
  forgetLevels();
  void meters?.close();
  meters = undefined;
  mic.value = "off";
  soundBlocked.value = false;
}

/** `why` as the server says it: a fragment (`the call reached its longest time`) or a sentence. */
function finish(why: string): void {
  // A websocket call is counted before the first await, so to its end.
  void runnerStats();
  batch(() => {
    transcript.callEnded(`Call ended: ${why.replace(/\.$/, "")}`);
    phase.value = "ended";
    callVersion.value = 0;
    release();
  });
}

export async function hangUp(): Promise<void> {
  if (phase.value === "connecting") {
    if (current) tellHungUp(current.key);
    release();
    phase.value = "idle";
    return;
  }
  if (phase.value !== "connected") return;
  const ending = client;
  if (current) tellHungUp(current.key);
  finish("you hung up");
  await ending?.disconnect().catch(() => {});
}

/** Talk: start a call, or open the microphone in a typed one. */
export async function talk(): Promise<void> {
  if (phase.value !== "connected") return start(true);
  try {
    const track = await microphone.open();
    const carrier = client?.carrier;
    if (!carrier) return microphone.close();
    micProblem.value = "";
    if (carrier instanceof WebsocketTransport) await carrier.capture(track);
    else {
      await peer(carrier)?.getTransceivers()[0]?.sender.replaceTrack(track);
      meters ??= new AudioContext();
      measureTrack("caller", meters, track);
    }
    client?.enableMic(true);
    mic.value = "on";
    if (current) current.microphone = true;
  } catch (error) {
    micProblem.value = error instanceof Error ? error.message : String(error);
  }
}

export function toggleMute(): void {
  if (mic.value === "off") return;
  const mute = mic.value === "on";
  client?.enableMic(!mute);
  mic.value = mute ? "muted" : "on";
}

/** Say typed words in the call, starting one without a microphone if there is none. False when that failed. */
export async function say(text: string): Promise<boolean> {
  if (phase.value !== "connected") await start(false);
  if (phase.value !== "connected" || !client) return false;
  batch(() => {
    transcript.typed(text);
    activity.value = "thinking";
  });
  await client.sendText(text, { run_immediately: true, audio_response: true });
  return true;
}

/** What arrived of the agent's voice in this call, or in the last one. Energy as `totalAudioEnergy` of WebRTC's statistics. */
export async function runnerStats() {
  const carrier = client?.carrier;
  if (carrier instanceof WebsocketTransport) {
    const { bytesReceived, totalAudioEnergy } = carrier;
    lastStats = { bytesReceived, totalAudioEnergy, transport: "websocket" };
  } else if (carrier) {
    const report = await peer(carrier)?.getStats();
    report?.forEach((entry) => {
      if (entry.type !== "inbound-rtp" || entry.kind !== "audio") return;
      lastStats = {
        bytesReceived: entry.bytesReceived ?? 0,
        totalAudioEnergy: entry.totalAudioEnergy ?? 0,
        transport: "webrtc",
      };
    });
  }
  return lastStats;
}

// A server that came back may take the call now.
effect(() => {
  if (!serverLost.value && phase.peek() === "failed") phase.value = "idle";
});

addEventListener("pagehide", () => {
  if (!client || !current || phase.value !== "connected") return;
  leave(current);
  // The server knows at once that nobody listens; a websocket is closed by the browser.
  if (client.carrier instanceof SmallWebRTCTransport) peer(client.carrier)?.close();
});
// A page that the browser had kept is still this one.
addEventListener("pageshow", ({ persisted }) => void (persisted && takeLeft()));
