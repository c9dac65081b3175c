// The way back to a call, for a page that is loaded again or a network that was lost. In: the call that is left. Out: where it
// can be found. Only this tab knows the key; the server gives the call to nobody without it.

import { serverPath } from "./server";

export type TransportName = "webrtc" | "websocket";

export interface Left {
  key: string;
  agent: string;
  transport: TransportName;
  microphone: boolean;
}

const STORED_AS = "runner.call";
const KEY_BYTES = 24;

/** A key that nobody guesses. Not randomUUID: browsers have that on https and this machine only. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_");
}

/** The page is being left in the middle of a call. Not stored before, so that a second tab made of this one does not take it. */
export function leave(left: Left): void {
  sessionStorage.setItem(STORED_AS, JSON.stringify(left));
}

/** The call that this tab left when its page was loaded again. Only once. */
export function takeLeft(): Left | undefined {
  const stored = sessionStorage.getItem(STORED_AS);
  sessionStorage.removeItem(STORED_AS);
  return stored ? (JSON.parse(stored) as Left) : undefined;
}

function pathOf(key: string): string {
  return serverPath(`/api/calls/${key}`);
}

/** "" when the call goes on, otherwise why it does not; undefined when the server does not answer. */
export async function whyOver(key: string): Promise<string | undefined> {
  try {
    const answer = await fetch(pathOf(key));
    if (answer.ok) return "";
    const { detail } = (await answer.json().catch(() => ({}))) as { detail?: string };
    return answer.status === 410 && detail ? detail : "the connection broke off";
  } catch {
    return undefined;
  }
}

/** A closed connection alone would let the call wait for its caller. */
export function tellHungUp(key: string): void {
  fetch(pathOf(key), { method: "DELETE", keepalive: true }).catch(() => {});
}
