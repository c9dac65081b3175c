// Who one talks to: the agent (a choice when several run), its version, its stages, who does the work.

import { agent, agents, chooseAgent } from "../server";
import { callVersion, phase, stage } from "../state";

const PARTS: Record<string, string> = { stt: "Ears", llm: "Language model", tts: "Voice" };

function Services() {
  const services = agent.value?.services ?? [];
  if (services.length === 0) return null;
  const local = services.filter((one) => one.local !== false).length;
  return (
    <details class="services">
      <summary>
        {local === 0 ? "Services" : local === 1 ? "One service runs on this machine" : `${local} services run on this machine`}
      </summary>
      <dl>
        {services.map((one) => (
          <div key={one.part}>
            <dt>{PARTS[one.part] ?? one.part}</dt>
            <dd>
              {one.name} {one.why && <span class="why">{one.why}</span>}
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

function Stages() {
  const stages = agent.value?.stages ?? [];
  const running = phase.value === "connected" || phase.value === "ended";
  if (stages.length < 2) return null;
  return (
    <ol class="stages" aria-label="Stages">
      {stages.map((name) => (
        <li key={name} aria-current={running && name === stage.value ? "step" : undefined}>
          {name}
        </li>
      ))}
    </ol>
  );
}

export function Header() {
  const busy = phase.value === "connecting" || phase.value === "connected";
  const one = agent.value;
  const version = callVersion.value || one?.version || 0;
  return (
    <header class="header">
      <div class="title">
        {agents.value.length > 1 ? (
          <>
            <h1 class="hidden">{one?.name}</h1>
            <label class="choice">
              <span class="hidden">Agent</span>
              <select
                id="agent"
                disabled={busy}
                title={busy ? "Hang up to choose another agent" : undefined}
                value={one?.name}
                onChange={(event) => chooseAgent(event.currentTarget.value)}
              >
                {agents.value.map(({ name, problems }) => (
                  <option key={name} value={name}>
                    {problems.length ? `${name} (${problems.length} ${problems.length === 1 ? "problem" : "problems"})` : name}
                  </option>
                ))}
              </select>
            </label>
          </>
        ) : (
          <h1>{one?.name ?? "runner"}</h1>
        )}
        {version > 0 && (
          <span class="version" title="The version of the file, numbered since start">
            version <span id="version">{version}</span>
          </span>
        )}
      </div>
      {one?.description && <p class="description">{one.description}</p>}
      <Stages />
      <Services />
    </header>
  );
}
