/** A running engine for a command: the one that answers, else one that is started. */
import { connect } from "node:net";
import { TscomposeError } from "../../errors.ts";
import { resolveRoots } from "./roots.ts";
import type { Environment } from "./roots.ts";

/** Gives the socket of the engine of this environment's run root, which answers. When `signal` fires it stops waiting.
 *  @throws what keeps it from starting: host/permission, host/unsupported, engine/failed with the end of its log. */
export async function ensureEngine(
  env: Environment,
  options: { readonly signal?: AbortSignal } = {},
): Promise<{ readonly socketPath: string }> {
  const roots = resolveRoots(env);
  if (!(await engineAnswers(roots.socketPath))) {
    const { launchEngine } = await import("./launch.ts");
    await launchEngine(roots, env, options.signal);
  }
  return { socketPath: roots.socketPath };
}

/** Whether somebody takes connections at the socket.
 *  @throws host/permission when this user may not ask. */
export function engineAnswers(socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EACCES") return resolve(false);
      reject(
        new TscomposeError("host/permission", `no permission to use the engine at unix://${socketPath}`, {
          cause: error,
          hint: "run the command as root, or as a member of the group that owns the socket",
        }),
      );
    });
  });
}
