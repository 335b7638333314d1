/** Programs that keep credentials: `docker-credential-NAME get|store|erase|list`. Input by stdin, never as an argument; bounded in time
 *  and output; with the environment that key rings need and no more. Source: docker-credential-helpers, README. */
import { TscomposeError } from "../../../errors.ts";
import type { Environment } from "./credentials.ts";

const timeoutMs = 15_000;
const passedOn = [
  "HOME",
  "PATH",
  "DOCKER_CONFIG",
  "XDG_RUNTIME_DIR",
  "DBUS_SESSION_BUS_ADDRESS",
  "GNUPGHOME",
  "PASSWORD_STORE_DIR",
];

/** @throws request/invalid: it would be looked up as a program */
export function assertHelperName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) return;
  throw new TscomposeError(
    "request/invalid",
    `docker's config file names the strange credential helper ${JSON.stringify(name)}`,
  );
}

/** @returns what it printed
 *  @throws request/invalid for its name; host/command-failed */
export async function runHelper(
  name: string,
  verb: "get" | "store" | "erase" | "list",
  { input, env }: { readonly input: string; readonly env: Environment },
): Promise<string> {
  assertHelperName(name);
  const handed = Object.fromEntries(passedOn.flatMap((key) => (env[key] === undefined ? [] : [[key, env[key]]])));
  // Few commands need it, and it loads the system call library.
  const { runCommand } = await import("../../../host/command.ts");
  const { stdout } = await runCommand([`docker-credential-${name}`, verb], { input, env: handed, timeoutMs });
  return stdout.toString("utf8");
}
