import { Docker } from "../client/docker.ts";

import type { Globals } from "./globals.ts";

/** The engine that `-H` or TSCOMPOSE_HOST names, else our own, started if need be. DOCKER_HOST alone does not count: it would
 *  silently lead commands to another engine. */
export async function connect(
  { host }: Pick<Globals, "host">,
  environment: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<Docker> {
  if (host !== undefined && host !== "") return new Docker({ host });
  const { ensureEngine } = await import("./engine/ensure.ts");
  const { socketPath, connection } = await ensureEngine(environment, { signal });
  return new Docker({ socketPath, ...(connection === undefined ? {} : { connection }) });
}
