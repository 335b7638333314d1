import { defineConfig } from "vitest/config";

/** Four projects by what a test needs: `unit` no root; `conformance` the peers' answers; `integration` and `scenarios`
 *  root and a real kernel, so they run one file at a time. */
export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["tests/unit/**/*.test.ts"], testTimeout: 20_000 } },
      { test: { name: "conformance", include: ["tests/conformance/**/*.test.ts"], testTimeout: 300_000 } },
      {
        test: {
          name: "integration",
          include: ["tests/integration/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          globalSetup: ["tests/support/global-setup.ts"],
        },
      },
      {
        test: {
          name: "scenarios",
          include: ["tests/scenarios/**/*.test.ts"],
          testTimeout: 240_000,
          hookTimeout: 240_000,
          fileParallelism: false,
          globalSetup: ["tests/support/global-setup.ts"],
        },
      },
    ],
  },
});
