// The page at `/`: agents and saves from the server above, the call below, the transcript between them.

import { render } from "preact";
import { comeBackAfterLoading, runnerStats } from "./call";
import { follow } from "./server";
import "./style.css";
import { Dock } from "./view/Dock";
import { Header } from "./view/Header";
import { Notices } from "./view/Notices";
import { Transcript } from "./view/Transcript";

declare global {
  interface Window {
    /** What arrived of the agent's voice: bytes, energy and the way it came. Browser tests read it. */
    runnerStats: typeof runnerStats;
  }
}

window.runnerStats = runnerStats;
follow();
comeBackAfterLoading();
render(
  <>
    <Header />
    <Notices />
    <Transcript />
    <Dock />
  </>,
  document.getElementById("page")!,
);
