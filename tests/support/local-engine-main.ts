/** The engine of this repository as a program for tests: `<this> engine serve`, in a mount namespace of its own. */
import { namespaceVariable } from "../../src/cli/engine/reexec.ts";
import { serveEngine } from "../../src/cli/engine/serve.ts";
import { createLocalEngine } from "../../src/engine/local-engine.ts";

const log = (line: string): void => console.error(line);

async function main(): Promise<void> {
  const { env } = process;
  if (env[namespaceVariable] !== "own") throw new Error("started outside a mount namespace");
  process.on("unhandledRejection", (error) =>
    log(`unhandled: ${error instanceof Error ? error.stack : String(error)}`),
  );
  await serveEngine({
    env,
    createEngine: async ({ dataRoot, runRoot }) =>
      await createLocalEngine({
        dataRoot,
        runRoot,
        log,
        privateMounts: true,
        runtime: env["TSCOMPOSE_RUNTIME"],
        usernsRemap: env["TSCOMPOSE_USERNS_REMAP"],
        cgroupDriver: env["TSCOMPOSE_CGROUP_DRIVER"],
        cdiDirectories: env["TSCOMPOSE_CDI_SPEC_DIRS"]?.split(":"),
      }),
    log,
  });
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
