/** A program for tests of the engine process: `ensure` starts an engine on demand and prints its socket, `engine serve` is that
 *  engine, with the memory engine inside. FAIL in the environment's data root name makes it die while it starts. */
import { TscomposeError, isTscomposeError } from "../../src/errors.ts";
import { ensureEngine } from "../../src/cli/engine/ensure.ts";
import { namespaceVariable } from "../../src/cli/engine/reexec.ts";
import { serveEngine } from "../../src/cli/engine/serve.ts";
import { createMemoryEngine } from "./memory-engine.ts";

async function main(): Promise<void> {
  const { env, argv } = process;
  if (argv[2] === "ensure") {
    console.log((await ensureEngine(env)).socketPath);
    return;
  }
  if (env[namespaceVariable] !== "own") throw new Error("started outside a mount namespace");
  await serveEngine({
    env,
    createEngine: ({ dataRoot }) => {
      if (dataRoot.endsWith("refuses")) {
        throw new TscomposeError("host/unsupported", "this kernel is too old", { hint: "get a newer one" });
      }
      if (dataRoot.endsWith("dies")) {
        console.error("something went terribly wrong");
        process.kill(process.pid, "SIGKILL");
      }
      return Promise.resolve(createMemoryEngine());
    },
    log: (line) => console.error(line),
  });
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(isTscomposeError(error) ? `${error.code}: ${error.message} (${error.hint ?? "no hint"})` : error);
    process.exit(1);
  },
);
