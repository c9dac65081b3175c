// The transcript as data. In: what RTVI says was heard and spoken. Out: the signal `items`, in the order of the conversation.

import { signal } from "@preact/signals";

/** A piece the agent says, usually a sentence. `spoken` counts the characters that were audible so far. */
interface Segment {
  id: number | string;
  text: string;
  spoken: number;
}

export interface Latency {
  ms: number;
  /** `owner` is what sets that time, such as a key of the file. */
  parts: { name: string; ms: number; owner?: string }[];
}

export interface Line {
  kind: "line";
  key: number;
  who: "caller" | "agent";
  /** The caller's finished words; the agent's are in `segments`. */
  text: string;
  /** Words the ears may still change. */
  interim: string;
  segments: Segment[];
  typed: boolean;
  interrupted: boolean;
  version: number;
  stage: string;
  latency?: Latency;
  /** What is known of the caller's words, where the ears tell voices or languages apart. */
  heard?: Heard;
}

/** `turn` is the number of the caller's turn, `was` whom it was taken for before it was corrected. */
export interface Heard {
  turn: number;
  speaker?: string;
  name?: string;
  was?: string;
  language?: string;
  confidence?: number;
  answered?: boolean;
  /** It only showed that the caller listens; the agent spoke on. */
  backchannel?: boolean;
}

export interface Divider {
  kind: "divider";
  key: number;
  what: "start" | "back" | "stage" | "language" | "version" | "problem" | "mended" | "end";
  text: string;
  details: string[];
}

export type Item = Line | Divider;

/** A pause after which the agent's next words are another line, in milliseconds. */
const NEW_LINE_AFTER = 700;

export const items = signal<Item[]>([]);

/** What the call waits for while nobody speaks, and since when (`performance.now()`). It stands where the next words will. */
export const waits = signal<{ awaited: string; since: number } | undefined>(undefined);

let nextKey = 1;
let waitingLatency: Latency | undefined;
let agentQuietSince = 0;
/** The agent was quiet for so long that what it says now is another line. */
let agentPaused = false;
/** The version and the stage of the call now. */
export const now = { version: 0, stage: "" };
/** The version that began the agent's turn: a save in the middle of a sentence does not speak the rest of it. */
let turnVersion = 0;

function change(line: Line, patch: Partial<Line>): void {
  items.value = items.value.map((item) => (item.key === line.key ? { ...line, ...patch } : item));
}

function addLine(who: Line["who"], patch: Partial<Line>): void {
  const line: Line = {
    kind: "line",
    key: nextKey++,
    who,
    text: "",
    interim: "",
    segments: [],
    typed: false,
    interrupted: false,
    version: now.version,
    stage: now.stage,
    ...patch,
  };
  items.value = [...items.value, line];
}

export function addDivider(what: Divider["what"], text: string, details: string[] = []): void {
  items.value = [...items.value, { kind: "divider", key: nextKey++, what, text, details }];
}

function joined(left: string, right: string): string {
  return left && right ? `${left} ${right}` : left || right;
}

/** The caller line that still waits for its final words, else the last item if it is a spoken caller line. */
function openCallerLine(): Line | undefined {
  const waiting = items.value.findLast((item) => item.kind === "line" && item.who === "caller" && item.interim !== "");
  const last = waiting ?? items.value.at(-1);
  return last?.kind === "line" && last.who === "caller" && !last.typed && !last.heard ? last : undefined;
}

/** Words heard from the caller. A final text replaces the interim one and is appended to the same turn. */
export function heard(text: string, final: boolean): void {
  const words = text.trim();
  const line = openCallerLine();
  if (!line) {
    if (words) addLine("caller", final ? { text: words } : { interim: words });
  } else if (final) {
    change(line, { text: joined(line.text, words), interim: "" });
  } else {
    change(line, { interim: words });
  }
}

/** Who said the caller's last words, and in which language. Words of two people that came as one become two lines. */
export function knownOf(text: string, known: Heard): void {
  const words = text.trim();
  const line = items.value.findLast(
    (item): item is Line => item.kind === "line" && item.who === "caller" && !item.heard && item.text.startsWith(words),
  );
  if (!line) return;
  const rest = line.text.slice(words.length).trim();
  change(line, { text: words, heard: known, ...(rest && { interim: "" }) });
  if (!rest) return;
  const other: Line = { ...line, key: nextKey++, text: rest };
  items.value = items.value.flatMap((item) => (item.key === line.key ? [item, other] : [item]));
}

/** It was somebody else who said that. */
export function corrected(turn: number, speaker: string, before: string): void {
  const line = items.value.findLast((item): item is Line => item.kind === "line" && item.heard?.turn === turn);
  if (line?.heard) change(line, { heard: { ...line.heard, speaker, name: "", was: before } });
}

export function typed(text: string): void {
  settleInterim();
  addLine("caller", { text, typed: true });
}

/** Interim words that no final text will follow (the call ended) stay as they were heard. */
function settleInterim(): void {
  for (const item of items.value) {
    if (item.kind === "line" && item.interim) change(item, { text: joined(item.text, item.interim), interim: "" });
  }
}

/**
 * Words of the agent, from RTVI `bot-output`.
 * `id` names the piece; `spoken` is how much of it was audible, all of it when the voice has no word times.
 */
export function said(id: number | string | undefined, text: string, spoken: number): void {
  const words = text.trim();
  if (!words) return;
  const known = items.value.findLast(
    (item): item is Line => item.kind === "line" && item.segments.some((one) => one.id === id || (!id && one.text === words)),
  );
  if (known) {
    const segments = known.segments.map((one) =>
      one.id === id ? { ...one, text: words, spoken: Math.max(one.spoken, spoken) } : one,
    );
    change(known, { segments });
    return;
  }
  const segment = { id: id ?? `said-${nextKey}`, text: words, spoken };
  const last = items.value.findLast((item) => item.kind === "line" || item.what !== "version");
  notePause();
  if (agentPaused) agentTurnBegins();
  if (last?.kind === "line" && last.who === "agent" && !last.interrupted && !agentPaused && last.version === turnVersion) {
    change(last, { segments: [...last.segments, segment] });
  } else {
    addLine("agent", { segments: [segment], version: turnVersion, ...(waitingLatency && { latency: waitingLatency }) });
    waitingLatency = undefined;
  }
  agentPaused = false;
}

function notePause(): void {
  if (agentQuietSince > 0 && performance.now() - agentQuietSince > NEW_LINE_AFTER) agentPaused = true;
}

/** The model begins an answer, or the agent speaks up by itself: what it says now is the work of the version of now. */
export function agentTurnBegins(): void {
  turnVersion = now.version;
}

/** Which version made what the agent has just said to its end. */
export function madeBy(version: number): void {
  const last = items.value.findLast((item): item is Line => item.kind === "line" && item.who === "agent");
  if (last && last.version !== version) change(last, { version });
}

/** Another version has the call from now on. */
export function versionChanged(version: number, changes: string[]): void {
  now.version = version;
  addDivider("version", `version ${version}`, changes);
}

/** The call is in another stage; the first stage of a call comes without a line of its own. */
export function stageChanged(stage: string, first: boolean): void {
  now.stage = stage;
  agentTurnBegins();
  if (!first) addDivider("stage", stage);
}

/** The agent goes over to what the caller speaks; "" is its own language. */
export function languageChanged(language: string): void {
  addDivider("language", language || "the agent's own");
}

/** The agent became audible (true) or fell silent (false): then everything it began was said. */
export function agentSpeaks(speaks: boolean): void {
  notePause();
  agentQuietSince = speaks ? 0 : performance.now();
  const last = items.value.findLast((item): item is Line => item.kind === "line" && item.who === "agent");
  if (speaks || !last || last.interrupted) return;
  change(last, { segments: last.segments.map((one) => ({ ...one, spoken: one.text.length })) });
}

/** The caller cut the agent short: what was not audible yet stays unspoken. */
export function interrupted(): void {
  const last = items.value.findLast((item): item is Line => item.kind === "line" && item.who === "agent");
  if (last && last.segments.some((one) => one.spoken < one.text.length)) change(last, { interrupted: true });
}

/** How long the caller waited for the agent's words: marks the line of this turn, or the next one if it is not there yet. */
export function waited(latency: Latency): void {
  const last = items.value.findLast((item): item is Line => item.kind === "line" && (item.who === "agent" || !item.interim));
  if (last?.who === "agent" && !last.latency && !last.interrupted) change(last, { latency });
  else waitingLatency = latency;
}

/** What was said before, as the server remembers it. */
export interface Past extends Partial<Heard> {
  who: "caller" | "agent" | "stage" | "language" | "version" | "problem" | "mended";
  text: string;
  stage?: string | null;
  version: number;
  interrupted?: boolean;
  details?: string[];
}

function addPast({ who, text, stage, version, interrupted, details, ...known }: Past): void {
  const then = { version, stage: stage ?? "" };
  if (who === "language") languageChanged(text);
  else if (who === "caller") addLine(who, { ...then, text, heard: { turn: 0, ...known } });
  else if (who === "agent") {
    const segment = { id: `past-${nextKey}`, text, spoken: text.length };
    addLine(who, { ...then, segments: [segment], interrupted: interrupted ?? false });
  } else addDivider(who, text, details);
}

/** The caller is back in the call after so many seconds. A page that was loaded again has nothing of it yet. */
export function restore(lines: Past[], seconds: number): void {
  settleInterim();
  const start = items.value.findLastIndex((item) => item.kind === "divider" && item.what === "start");
  const shown = items.value.slice(Math.max(0, start)).filter((item) => item.kind === "line").length;
  if (start < 0) addDivider("start", "Call");
  if (shown < lines.filter((line) => line.who === "caller" || line.who === "agent").length) {
    items.value = items.value.slice(0, Math.max(0, start) + 1);
    for (const line of lines) addPast(line);
  }
  addDivider("back", `Back after ${Math.round(seconds)} s`);
  agentTurnBegins();
}

export function callStarted(text: string): void {
  agentTurnBegins();
  waitingLatency = undefined;
  agentQuietSince = 0;
  agentPaused = false;
  addDivider("start", text);
}

export function callEnded(text: string): void {
  settleInterim();
  agentSpeaks(false);
  addDivider("end", text);
}

export function clearTranscript(): void {
  items.value = [];
}

export function agentText(line: Line): string {
  return line.segments.map((one) => one.text).join(" ");
}

/** `Caller`, `Caller B`, `Caller Ben`. */
export function whoOf(line: Line): string {
  if (line.who === "agent") return "Agent";
  return ["Caller", line.heard?.name || line.heard?.speaker].filter(Boolean).join(" ");
}

/** `es 0.93` */
export function languageOf(line: Line): string {
  const { language, confidence } = line.heard ?? {};
  return language ? [language, confidence?.toFixed(2)].filter(Boolean).join(" ") : "";
}

/** The transcript as plain text, for the clipboard. */
export function asText(): string {
  return items.value
    .map((item) => {
      if (item.kind === "divider") return `--- ${[item.text, ...item.details].join("; ")}`;
      const text = item.who === "agent" ? agentText(item) : joined(item.text, item.interim);
      return `[${[whoOf(item).toLowerCase(), languageOf(item)].filter(Boolean).join(" ")}] ${text}`;
    })
    .join("\n");
}
