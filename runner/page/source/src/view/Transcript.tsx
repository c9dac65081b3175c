// The conversation, line by line. It stays when the call ends.

import { effect, signal, useSignal } from "@preact/signals";
import { memo } from "preact/compat";
import { useEffect, useRef } from "preact/hooks";
import { mic, phase } from "../state";
import { agentText, asText, clearTranscript, items, languageOf, waits, whoOf } from "../transcript";
import type { Divider, Latency, Line } from "../transcript";
import { ChangeList } from "./Notices";

const atEnd = signal(true);
const copied = signal(false);

/** Characters of an end's reason that fit between two hairlines. */
const LONG = 60;

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function LatencyMark({ latency, id }: { latency: Latency; id: string }) {
  const longest = Math.max(1, ...latency.parts.map((part) => part.ms));
  return (
    <span class="latency">
      <button type="button" aria-describedby={id} data-ms={latency.ms}>
        <span class="hidden">Answered after </span>
        {seconds(latency.ms)}
      </button>
      <span class="parts" role="tooltip" id={id}>
        <strong>The caller waited {latency.ms} ms</strong>
        {latency.parts.map((part, index) => (
          <span class="part" key={index}>
            <span>
              {part.name} {part.owner && <span class="owner">{part.owner}</span>}
            </span>
            <span class="bar" ref={(bar) => void (bar && (bar.style.width = `${(part.ms / longest) * 100}%`))} />
            <span class="ms">{part.ms} ms</span>
          </span>
        ))}
      </span>
    </span>
  );
}

const LineView = memo(function LineView({ line }: { line: Line }) {
  return (
    <li class={`line${line.interim ? " interim" : ""}`} data-who={line.who} data-version={line.version} data-stage={line.stage}>
      <span class="who">{whoOf(line)}</span>
      <p class="text">
        {line.who === "caller" ? (
          <>
            {line.text}
            {line.text && line.interim && " "}
            {line.interim && <span class="pending">{line.interim}</span>}
          </>
        ) : (
          line.segments.map((segment, index) => (
            <span key={segment.id}>
              {index > 0 && " "}
              {segment.text.slice(0, segment.spoken)}
              {segment.spoken < segment.text.length && (
                <span class={line.interrupted && segment.spoken > 0 ? "unspoken" : "pending"}>{segment.text.slice(segment.spoken)}</span>
              )}
            </span>
          ))
        )}
      </p>
      <span class="meta">
        {languageOf(line) && <span class="language">{languageOf(line)}</span>}
        {line.heard?.was && <span class="corrected">first taken for {line.heard.was}</span>}
        {line.heard?.answered === false && <span>{line.heard.backchannel ? "the agent spoke on" : "not answered"}</span>}
        {line.typed && <span>typed</span>}
        {line.interrupted && <span>interrupted</span>}
        {line.latency && <LatencyMark latency={line.latency} id={`latency-${line.key}`} />}
        {line.who === "agent" && line.version > 0 && <span class="spoke">v{line.version}</span>}
      </span>
    </li>
  );
});

const DividerView = memo(function DividerView({ divider }: { divider: Divider }) {
  const { what, text, details } = divider;
  return (
    <li class={`divider ${what}${what === "end" && text.length > LONG ? " long" : ""}`} data-what={what}>
      <span class="label">
        {(what === "stage" || what === "language") && <span class="kind">{what} </span>}
        {text}
      </span>
      {what === "version" && details.length > 0 && <ChangeList changes={details} />}
    </li>
  );
});

/** What the call waits for while nobody speaks: the last line, until somebody does. */
function Waiting() {
  const waiting = waits.value;
  const passed = useSignal(0);
  useEffect(() => {
    if (!waiting) return;
    const count = () => (passed.value = Math.floor((performance.now() - waiting.since) / 1000));
    count();
    const timer = setInterval(count, 250);
    return () => clearInterval(timer);
  }, [waiting]);
  if (!waiting) return null;
  return (
    <li class="waiting">
      Waiting for {waiting.awaited} <span class="passed">{passed} s</span>
    </li>
  );
}

/** What a screen reader is told: not the words that the agent already speaks aloud, unless the call is a typed one. */
function Announcer() {
  const last = items.value.at(-1);
  let text = "";
  if (waits.value) text = `Waiting for ${waits.value.awaited}`;
  else if (last?.kind === "divider") text = last.what === "stage" ? `Stage ${last.text}` : last.text;
  else if (last?.who === "agent" && mic.value === "off") {
    const done = last.segments.every((segment) => segment.spoken >= segment.text.length);
    if (done) text = `Agent: ${agentText(last)}`;
  }
  return (
    <div class="hidden" aria-live="polite">
      {text}
    </div>
  );
}

async function copy(): Promise<void> {
  await navigator.clipboard.writeText(asText());
  copied.value = true;
  setTimeout(() => (copied.value = false), 2000);
}

function Empty() {
  return (
    <div class="empty">
      <p>Press Talk and speak, or type below.</p>
      <p>Save the agent's file while you talk: the next answer follows it.</p>
    </div>
  );
}

function sizeOf(one: HTMLElement): string {
  return `${one.clientWidth} x ${one.clientHeight}`;
}

export function Transcript() {
  const frame = useRef<HTMLElement>(null);
  const size = useRef("");
  const toEnd = () => frame.current?.scrollTo({ top: frame.current.scrollHeight });
  useEffect(() => {
    // A notice above the transcript takes room from it.
    const resized = new ResizeObserver(() => {
      size.current = sizeOf(frame.current!);
      if (atEnd.peek()) toEnd();
    });
    resized.observe(frame.current!);
    const stop = effect(() => {
      void items.value;
      void waits.value;
      // After the new lines are drawn.
      if (atEnd.peek()) requestAnimationFrame(() => requestAnimationFrame(toEnd));
    });
    return () => {
      resized.disconnect();
      stop();
    };
  }, []);
  const idle = phase.value !== "connected" && phase.value !== "connecting";
  return (
    <main class="middle">
      <section
        class="scroll"
        ref={frame}
        tabIndex={0}
        aria-label="Transcript"
        onScroll={({ currentTarget: one }) => {
          // A browser scrolls by itself when the room changes: a keyboard that opens, a phone that is turned.
          if (size.current === sizeOf(one)) atEnd.value = one.scrollHeight - one.scrollTop - one.clientHeight < 48;
        }}
      >
        {items.value.length === 0 ? (
          <Empty />
        ) : (
          <ol id="transcript" class="transcript">
            {items.value.map((item) =>
              item.kind === "line" ? <LineView key={item.key} line={item} /> : <DividerView key={item.key} divider={item} />,
            )}
            <Waiting />
          </ol>
        )}
        {items.value.length > 0 && idle && (
          <p class="after">
            <button type="button" class="link" onClick={() => void copy()}>
              {copied.value ? "Copied" : "Copy transcript"}
            </button>
            <button type="button" class="link" onClick={clearTranscript}>
              Clear
            </button>
          </p>
        )}
      </section>
      {!atEnd.value && (
        <button type="button" class="to-end" onClick={toEnd}>
          Latest
        </button>
      )}
      <Announcer />
    </main>
  );
}
