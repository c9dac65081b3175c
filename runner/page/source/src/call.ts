// One call at a time. In: Talk, Hang up, mute, typed text. Out: signals about the call, and lines of the transcript.

import type { BotOutputData, RTVIEventCallbacks } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";
import { batch, effect } from "@preact/signals";
import { CallError, connectBy, peer, RefusedError, sleep } from "./connecting";
import type { Client } from "./connecting";
import { forgetLevels, measureTrack } from "./levels";
import { takeServerMessage } from "./messages";
import type { ServerMessage } from "./messages";
import { microphone, MicrophoneError } from "./microphone";
import { leave, newKey, takeLeft, tellHungUp, whyOver } from "./returning";
import type { Left, TransportName } from "./returning";
import { agent, loaded, onlyTransport, serverLost } from "./server";
import {
  activity,
  callVersion,
  ending,
  keepsVersion,
  mic,
  micProblem,
  phase,
  reason,
  returning,
  soundBlocked,
  stage,
  transportName,
} from "./state";
import * as transcript from "./transcript";
import { WebsocketTransport } from "./websocketTransport";

/** How long this page tries to get back to a call whose connection broke off: longer than most calls wait for it. */
const BACK_WITHIN = 60_000;

/** Plays the agent's voice of a WebRTC call. */
const loudspeaker = new Audio();
loudspeaker.autoplay = true;

let client: Client | undefined;
let counting: ReturnType<typeof setInterval> | undefined;
let meters: AudioContext | undefined;
/** Changes with every start and hang up, so that what was begun before can see that it is out of date. */
let attempt = 0;
let webrtcFailed = false;
/** How the call can be found again. */
let current: Left | undefined;
let lastStats = { bytesReceived: 0, totalAudioEnergy: 0, transport: "" as TransportName | "" };

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
    onBotDisconnected: live(() => {
      ending.reason ||= "the agent hung up";
    }),
    onDisconnected: live(() => {
      if (phase.value !== "connected") return;
      const carrier = client?.carrier;
      if (carrier instanceof WebsocketTransport && carrier.takenOver) ending.reason ||= "it goes on in another window";
      if (ending.reason || !current) finish(ending.reason || "the connection broke off");
      else void comeBack(current, "Connection lost, going back to the call");
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

function pin(): Record<string, string> {
  return keepsVersion.value ? { pin: "1" } : {};
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
  ending.reason = "";
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
      const one = await connectBy(name, chosen.name, { call: key, ...pin() }, callbacks(mine, false));
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
      if (error instanceof RefusedError) break;
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
    returning.value = "";
  });
  // A connection that is over can no longer be asked.
  counting = setInterval(() => void runnerStats(), 1000);
  if (current!.transport === "webrtc" && microphone.track) {
    meters ??= new AudioContext();
    measureTrack("caller", meters, microphone.track);
  }
}

/** Go on with a call whose connection is gone, as long as the server keeps it. `what`: what the page says meanwhile. */
async function comeBack(left: Left, what: string): Promise<void> {
  release();
  const mine = attempt;
  current = left;
  ending.reason = "";
  batch(() => {
    phase.value = "connecting";
    returning.value = what;
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
        const one = await connectBy(left.transport, left.agent, { back: left.key }, callbacks(mine, true));
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
      if (phase.value === "idle") void comeBack(left, "Going back to the call");
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
  returning.value = "";
  soundBlocked.value = false;
  transcript.waits.value = undefined;
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
    if (returning.value) return finish("you hung up");
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
