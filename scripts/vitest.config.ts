/**
 * Settings of the test runner. They live here because the top level of the repository holds only
 * what cannot live elsewhere; `npm test` names this file. `dist` must not be searched: it holds a
 * compiled copy of every test.
 */
import { defineConfig } from "vitest/config";
import type { ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});

export default config;
