// What runner tells of a call beside RTVI. In: the data of a `server-message`. Out: signals, and lines of the transcript.

import { activity, callVersion, ending, stage } from "./state";
import * as transcript from "./transcript";

/** What runner sends as RTVI `server-message`. */
export type ServerMessage =
  | { type: "stage"; from?: string | null; to: string; version?: number }
  | { type: "version"; version: number; stage?: string | null; changes?: string[] }
  | { type: "agent"; version: number; stage?: string | null }
  | { type: "latency"; ms: number; parts?: transcript.Latency["parts"] }
  | ({ type: "caller"; text: string; stage?: string | null; version: number } & transcript.Heard)
  | { type: "correction"; turn: number; text: string; before: string | null; speaker: string; version: number }
  | { type: "language"; from: string | null; to: string | null; version: number }
  | { type: "problem"; message: string; mended?: boolean }
  | { type: "silence"; message: string; awaited: string; ms: number }
  | { type: "silence-over" }
  | { type: "back"; stage?: string | null; version: number; seconds: number; lines: transcript.Past[] }
  | { type: "end"; reason?: string }
  | { type: "said"; text: string };

export function takeServerMessage(message: ServerMessage): void {
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
      transcript.languageChanged(message.to ?? "");
      break;
    case "problem":
      transcript.addDivider(message.mended ? "mended" : "problem", message.message);
      break;
    case "silence":
      transcript.waits.value = { awaited: message.awaited, since: performance.now() - message.ms };
      break;
    case "silence-over":
      transcript.waits.value = undefined;
      // Whoever speaks is told next.
      if (activity.value === "thinking") activity.value = "listening";
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
      ending.reason = message.reason ?? "";
      break;
  }
}

