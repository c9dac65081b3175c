// What the server knows about the agents. In: GET /api/agents and the stream /api/events. Out: signals.

import { computed, signal } from "@preact/signals";

export interface Problem {
  file: string;
  /** From 1. */
  line: number;
  /** From 1, in characters. */
  column: number;
  path: string;
  code: string;
  severity: "error" | "warning";
  message: string;
  hint: string;
  /** The line of the file as it stands there, "" when there is none. */
  snippet?: string;
  /** How many characters the caret underlines. */
  length?: number;
}

/** Who does one part of the agent's work, and why that one. */
export interface Service {
  part: string;
  name: string;
  why: string;
  /** On this machine, in place of the vendor that the file names. A server that lists only such ones leaves it out. */
  local?: boolean;
}

export interface Agent {
  name: string;
  description: string;
  /** One good state of the file, from 1; 0 when there has not been one since start. */
  version: number;
  stages: string[];
  problems: Problem[];
  services: Service[];
}

interface AgentEvent extends Agent {
  type: "agent";
  changes?: string[];
  /** What came of it for the running calls: told after the changes, when they have been applied. */
  confirmed?: string[];
}

const query = new URLSearchParams(location.search);
const token = query.get("token");

/** `?transport=webrtc` or `?transport=websocket` on the page's URL allows only that one. */
export const onlyTransport = query.get("transport");

/** A path of the server with the page's own token and more query parameters. */
export function serverPath(path: string, parameters: Record<string, string> = {}): string {
  const all = new URLSearchParams(parameters);
  if (token) all.set("token", token);
  const text = all.toString();
  return text ? `${path}?${text}` : path;
}

export const agents = signal<Agent[]>([]);
export const loaded = signal(false);
/** The server does not answer (stopped, or the network is gone). */
export const serverLost = signal(false);
/** The server refused the page: its token is missing or from an earlier start. */
export const refused = signal(false);
/** What the last good save changed. */
export const saved = signal<{ agent: string; version: number; changes: string[] } | null>(null);

const chosen = signal(query.get("agent") ?? "");
export const agent = computed(() => agents.value.find((one) => one.name === chosen.value) ?? agents.value[0]);

export function chooseAgent(name: string): void {
  chosen.value = name;
  const url = new URL(location.href);
  url.searchParams.set("agent", name);
  history.replaceState(null, "", url);
}

function filled(one: Partial<Agent> & { name: string }): Agent {
  return {
    name: one.name,
    description: one.description ?? "",
    version: one.version ?? 0,
    stages: one.stages ?? [],
    problems: one.problems ?? [],
    services: one.services ?? [],
  };
}

function take(event: AgentEvent): void {
  const before = agents.value.find((one) => one.name === event.name);
  const after = filled(event);
  agents.value = before ? agents.value.map((one) => (one === before ? after : one)) : [...agents.value, after];
  if (before && after.version > before.version) {
    saved.value = { agent: after.name, version: after.version, changes: event.changes ?? [] };
  } else if (before && event.confirmed?.length && saved.value?.version === after.version) {
    saved.value = { ...saved.value, changes: [...(event.changes ?? []), ...event.confirmed] };
  }
}

async function load(): Promise<void> {
  try {
    const answer = await fetch(serverPath("/api/agents"));
    refused.value = answer.status === 401 || answer.status === 403;
    if (answer.ok) {
      const body = (await answer.json()) as { agents: (Partial<Agent> & { name: string })[] };
      agents.value = body.agents.map(filled);
      serverLost.value = false;
    } else {
      serverLost.value = !refused.value;
    }
  } catch {
    serverLost.value = true;
  } finally {
    loaded.value = true;
  }
}

/** Load the agents and follow every save until the page closes. */
export function follow(): void {
  void load();
  listen();
}

function listen(): void {
  const events = new EventSource(serverPath("/api/events"));
  events.onopen = () => {
    if (serverLost.value) void load();
    serverLost.value = false;
  };
  events.onmessage = (message) => {
    const event = JSON.parse(message.data as string) as AgentEvent;
    if (event.type === "agent") take(event);
  };
  events.onerror = () => {
    if (!refused.value) serverLost.value = true;
    // A browser reconnects by itself after a broken stream, but gives up after an answer that is no stream.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}
