import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const server = process.env.BURNISH_SERVER ?? "http://127.0.0.1:8420";
const passed = { target: server, changeOrigin: true, headers: { origin: server } };

/** What Home needs comes in two files that are read and compiled beside each other: dozens of small ones wait in line for
 * the six connections of a browser. That of the packages stays the same when only the page changes. */
const FIRST = [
  { name: "packages", tags: ["$initial" as const], test: /node_modules/, priority: 2 },
  { name: "first", tags: ["$initial" as const], priority: 1 },
];

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: "../src/burnish/server/static",
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0, // the policy of the page allows no data: scripts or styles
    modulePreload: { polyfill: false }, // its script would be inline
    manifest: true, // the test of the size of the first load reads it
    rolldownOptions: { output: { codeSplitting: { groups: FIRST } } },
  },
  server: { host: "127.0.0.1", port: 5273, proxy: { "/api": passed, "/v1": passed, "/health": passed } },
  test: { environment: "happy-dom", include: ["tests/**/*.test.{ts,tsx}"], restoreMocks: true, testTimeout: 30_000 },
});
