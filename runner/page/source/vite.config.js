import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Writes the sha256 of every source file, so that a test without Node can tell a stale build. */
function fingerprint() {
  return {
    name: "fingerprint",
    apply: "build",
    writeBundle() {
      const files = ["index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.js"];
      for (const entry of readdirSync(here("src"), { recursive: true, withFileTypes: true })) {
        if (entry.isFile()) files.push(join(entry.parentPath, entry.name).slice(here("./").length));
      }
      const sums = files.sort().map((file) => [file, createHash("sha256").update(readFileSync(here(file))).digest("hex")]);
      writeFileSync(here("../static/sources.json"), JSON.stringify(Object.fromEntries(sums), null, 1) + "\n");
    },
  };
}

export default defineConfig({
  base: "/static/",
  // Oxc reads `jsx` from tsconfig.json.
  plugins: [fingerprint()],
  resolve: {
    // small-webrtc-transport imports daily-js only for its default microphone manager, which the page replaces. daily-js
    // fetches code from a CDN and reports to Sentry.
    alias: { "@daily-co/daily-js": here("src/dailyStub.ts") },
  },
  worker: { format: "es" },
  build: {
    outDir: here("../static"),
    emptyOutDir: true,
    target: "es2023",
    assetsDir: ".",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
    reportCompressedSize: true,
  },
});
