// The bottom of the page: state, meters, Talk, mute, Hang up, and the text input of the same call.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { hangUp, say, talk, toggleMute } from "../call";
import { level } from "../levels";
import type { Side } from "../levels";
import { agent } from "../server";
import { activity, keepsVersion, mic, phase, returning, stage, transportName } from "../state";
import { HangUpIcon, MicrophoneIcon, MutedIcon, SendIcon } from "./icons";

const text = signal("");

function stateText(): string {
  switch (phase.value) {
    case "idle":
      return "Ready";
    case "connecting":
      return returning.value || "Connecting";
    case "ended":
      return "Call ended";
    case "failed":
      return "Not connected";
    case "connected":
      if (activity.value === "speaking") return "Agent speaks";
      if (activity.value === "thinking") return "Agent thinks";
      if (activity.value === "hearing") return "Caller speaks";
      return mic.value === "off" ? "Waiting for your words" : mic.value === "muted" ? "Muted" : "Listening";
  }
}

/** Bars of one side's loudness, drawn without rendering the page again. */
function Meter({ side, label }: { side: Side; label: string }) {
  const bars = useRef<HTMLSpanElement>(null);
  const running = phase.value === "connected";
  useEffect(() => {
    if (!running) return;
    let shown = 0;
    let frame = 0;
    let last = 0;
    const draw = (time: number) => {
      frame = requestAnimationFrame(draw);
      if (time - last < 40) return;
      last = time;
      shown = Math.max(level(side), shown * 0.8);
      bars.current?.style.setProperty("--level", shown.toFixed(3));
    };
    frame = requestAnimationFrame(draw);
    return () => {
      cancelAnimationFrame(frame);
      bars.current?.style.setProperty("--level", "0");
    };
  }, [running, side]);
  return (
    <span class={`meter ${side}`} aria-hidden="true">
      <span class="name">{label}</span>
      <span class="bars" ref={bars} />
    </span>
  );
}

function Status() {
  const running = phase.value === "connected";
  return (
    <div class="status">
      <span
        id="state"
        data-state={phase.value}
        data-activity={running ? activity.value : ""}
        data-transport={transportName.value}
      >
        {stateText()}
      </span>
      {/* Who speaks changes too often to be read out; the transcript announces the start and the end. */}
      <span class="hidden" role="status">
        {phase.value === "connecting" && stateText()}
      </span>
      <span class="stage" hidden={!running || !stage.value}>
        <span class="hidden">Stage </span>
        <span id="stage">{stage.value}</span>
      </span>
      <span class="carrier" hidden={!running || transportName.value !== "websocket"} title="WebRTC could not connect; the sound goes over a websocket">
        websocket
      </span>
      <span class="meters" hidden={!running}>
        <Meter side="caller" label="You" />
        <Meter side="agent" label="Agent" />
      </span>
    </div>
  );
}

async function submit(event: Event): Promise<void> {
  event.preventDefault();
  const words = text.value.trim();
  if (!words || phase.value === "connecting") return;
  text.value = "";
  // Not sent: give the words back, unless something was typed meanwhile.
  if (!(await say(words)) && !text.value) text.value = words;
}

export function Dock() {
  const callable = (agent.value?.version ?? 0) > 0;
  const running = phase.value === "connected";
  const connecting = phase.value === "connecting";
  const talking = running && mic.value !== "off";
  const talkButton = useRef<HTMLButtonElement>(null);
  const hangUpButton = useRef<HTMLButtonElement>(null);

  // A button that disappears under the keyboard hands its focus to the one that follows it.
  const pressed = useRef(false);
  useEffect(() => {
    const focused = document.activeElement;
    if (pressed.current && (focused === document.body || focused?.closest("[hidden]"))) {
      (running || connecting ? hangUpButton : talkButton).current?.focus();
    }
    pressed.current = false;
  }, [running, connecting, talking]);

  return (
    <footer class="dock">
      <Status />
      <div class="controls">
        <button
          id="talk"
          type="button"
          ref={talkButton}
          class="primary"
          hidden={talking || connecting}
          disabled={!callable}
          onClick={() => {
            pressed.current = true;
            void talk();
          }}
        >
          <MicrophoneIcon />
          Talk
        </button>
        <button id="mute" type="button" class="quiet" hidden={!talking} aria-pressed={mic.value === "muted"} onClick={toggleMute}>
          {mic.value === "muted" ? <MutedIcon /> : <MicrophoneIcon />}
          <span>{mic.value === "muted" ? "Muted" : "Mute"}</span>
        </button>
        <button
          id="hangup"
          type="button"
          ref={hangUpButton}
          class="stop"
          hidden={!running && !connecting}
          onClick={() => {
            pressed.current = true;
            void hangUp();
          }}
        >
          <HangUpIcon />
          <span>{connecting ? "Cancel" : "Hang up"}</span>
        </button>
        <form id="say-form" onSubmit={(event) => void submit(event)}>
          <input
            id="say"
            type="text"
            aria-label="Say by typing"
            placeholder={running ? "Type to the agent" : "Or type to the agent"}
            autocomplete="off"
            enterkeyhint="send"
            maxLength={4000}
            disabled={!callable}
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
          <button type="submit" class="send" aria-label="Send" disabled={!callable || connecting || !text.value.trim()}>
            <SendIcon />
          </button>
        </form>
      </div>
      <label class="keep" title="Saves change this call no more: it keeps the version it begins with">
        <input
          id="keep-version"
          type="checkbox"
          checked={keepsVersion.value}
          disabled={running || connecting}
          onChange={(event) => (keepsVersion.value = event.currentTarget.checked)}
        />
        Keep this version during the call
      </label>
    </footer>
  );
}
