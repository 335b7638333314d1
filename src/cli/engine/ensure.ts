/** A running engine for a command: the one that answers, else one that is started. */
import { connect, type Socket } from "node:net";
import { TscomposeError } from "../../errors.ts";
import { resolveRoots } from "./roots.ts";
import type { Environment } from "./roots.ts";

/** Gives the socket of the engine of this environment's run root, which answers, and the connection that showed it. When `signal` fires it stops waiting.
 *  @throws what keeps it from starting: host/permission, host/unsupported, engine/failed with the end of its log. */
export async function ensureEngine(
  env: Environment,
  options: { readonly signal?: AbortSignal } = {},
): Promise<{ readonly socketPath: string; readonly connection: Socket | undefined }> {
  const roots = resolveRoots(env);
  const connection = await connectTo(roots.socketPath);
  if (connection === undefined) {
    const { launchEngine } = await import("./launch.ts");
    await launchEngine(roots, env, options.signal);
  }
  return { socketPath: roots.socketPath, connection };
}

/** Whether somebody takes connections at the socket.
 *  @throws host/permission when this user may not ask. */
export async function engineAnswers(socketPath: string): Promise<boolean> {
  const connection = await connectTo(socketPath);
  connection?.destroy();
  return connection !== undefined;
}

function connectTo(socketPath: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const fail = (error: NodeJS.ErrnoException): void => {
      if (error.code !== "EACCES") return resolve(undefined);
      reject(
        new TscomposeError("host/permission", `no permission to use the engine at unix://${socketPath}`, {
          cause: error,
          hint: "run the command as root, or as a member of the group that owns the socket",
        }),
      );
    };
    socket.once("connect", () => {
      socket.off("error", fail);
      resolve(socket);
    });
    socket.once("error", fail);
  });
}
