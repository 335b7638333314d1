/** What a service with `use_api_socket` is given. */
import type { ApiAccess } from "../compose/api-socket.ts";

import { resolveRoots } from "./engine/roots.ts";
import type { Globals } from "./globals.ts";
import { credentialFile } from "./registry-credentials.ts";

/** Of an engine elsewhere the socket is where Docker's is. */
const usualSocket = "/var/run/docker.sock";

/** @throws request/invalid for docker's configuration file that is not JSON */
export async function apiAccess(
  { host = "" }: Pick<Globals, "host">,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<ApiAccess> {
  const own = host === "" ? resolveRoots(environment).socketPath : usualSocket;
  const socketPath = host.startsWith("unix://") ? host.slice("unix://".length) : own;
  return { socketPath, dockerConfig: await credentialFile(environment) };
}
