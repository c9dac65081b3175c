// What a person has to know now: the problems of the last save, what a good save changed, a lost server, a silent microphone.

import { useEffect } from "preact/hooks";
import { allowSound } from "../call";
import { agent, agents, loaded, refused, saved, serverLost } from "../server";
import type { Problem } from "../server";
import { micProblem, phase, reason, soundBlocked } from "../state";

const NOTICE_STAYS = 9_000;

/** How many characters the caret line marks: what the server says, else to the end of the word. */
function caretLength(problem: Problem): number {
  if (problem.length) return problem.length;
  const rest = (problem.snippet ?? "").slice(problem.column - 1);
  return Math.max(1, /^[\w.-]+/.exec(rest)?.[0].length ?? 1);
}

function Snippet({ problem }: { problem: Problem }) {
  if (!problem.snippet) return null;
  const gutter = `${problem.line}`.padStart(4) + "  ";
  // A tab stays a tab, so that the caret stands under its letter.
  const before = problem.snippet.slice(0, problem.column - 1).replace(/[^\t]/g, " ");
  return (
    <pre class="snippet" tabIndex={0}>
      <span class="gutter" aria-hidden="true">
        {gutter}
      </span>
      {problem.snippet}
      {"\n"}
      <span class="caret" aria-hidden="true">
        {" ".repeat(gutter.length) + before + "^".repeat(caretLength(problem))}
      </span>
    </pre>
  );
}

function ProblemList({ problems }: { problems: Problem[] }) {
  return (
    <ul>
      {problems.map((problem) => (
        <li key={`${problem.file}:${problem.line}:${problem.column}:${problem.code}`} class={`problem ${problem.severity}`}>
          <p class="place">
            {problem.file}:{problem.line}:{problem.column}
          </p>
          <Snippet problem={problem} />
          <p class="message">
            {problem.message} {problem.hint && <span class="hint">{problem.hint}</span>}
          </p>
        </li>
      ))}
    </ul>
  );
}

/** Errors stand open; advice is a line that opens, because it stays as long as the file does. */
function Problems() {
  const one = agent.value;
  const problems = one?.problems ?? [];
  const errors = problems.filter((problem) => problem.severity !== "warning").length;
  return (
    <section id="problems" class={errors ? "problems errors" : "problems"} hidden={problems.length === 0} aria-label="Problems of the file">
      <div role="alert">
        {errors > 0 && (
          <h2>
            {errors} {errors === 1 ? "problem" : "problems"} in the last save.{" "}
            {one?.version ? `Version ${one.version} keeps answering.` : "There is no good version to call yet."}
          </h2>
        )}
      </div>
      {errors > 0 ? (
        <ProblemList problems={problems} />
      ) : (
        <details>
          <summary>
            {problems.length} {problems.length === 1 ? "piece" : "pieces"} of advice on this file
          </summary>
          <ProblemList problems={problems} />
        </details>
      )}
    </section>
  );
}

function Saved() {
  const last = saved.value;
  useEffect(() => {
    if (!last) return;
    const timer = setTimeout(() => (saved.value = null), NOTICE_STAYS);
    return () => clearTimeout(timer);
  }, [last]);
  return (
    <div id="saved" class="notice good" role="status" hidden={!last}>
      {last && (
        <>
          <strong>
            {agents.value.length > 1 && `${last.agent}: `}version {last.version}
          </strong>
          {last.changes.length > 0 && <ChangeList changes={last.changes} />}
        </>
      )}
    </div>
  );
}

export function ChangeList({ changes }: { changes: string[] }) {
  return (
    <ul class="changes">
      {changes.map((change) => (
        <li key={change}>{change}</li>
      ))}
    </ul>
  );
}

function trouble(): string {
  if (refused.value) return "This page is from an earlier start of runner. Open the address that the terminal shows now.";
  if (serverLost.value) return "runner does not answer. Is it still running in the terminal? This page connects again by itself.";
  if (loaded.value && agents.value.length === 0) return "No agent is running. The terminal says why.";
  if (phase.value === "failed") return `The call did not start. ${reason.value}`;
  return "";
}

export function Notices() {
  return (
    <div class="notices">
      <div id="trouble" class="notice bad" role="alert" hidden={!trouble()}>
        {trouble()}
      </div>
      <div id="mic-problem" class="notice bad" role="alert" hidden={!micProblem.value}>
        {micProblem.value}
      </div>
      <div class="notice" role="alert" hidden={!soundBlocked.value}>
        The browser holds the agent's voice back.{" "}
        <button type="button" class="link" onClick={allowSound}>
          Play it
        </button>
      </div>
      <Problems />
      <Saved />
    </div>
  );
}
