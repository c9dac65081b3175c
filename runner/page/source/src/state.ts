// What the page knows of the call, for everything that shows it. Written by `call`, `messages` and `connecting`.

import { signal } from "@preact/signals";
import type { TransportName } from "./returning";

export type Phase = "idle" | "connecting" | "connected" | "ended" | "failed";

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
/** What a page does that has lost its call or was loaded again in it; "" when it is not on its way back. */
export const returning = signal("");
/** Why the call ends, as the server or the carrier said before its end. */
export const ending = { reason: "" };
/** The browser wants a click before it plays sound. */
export const soundBlocked = signal(false);

