import type { Command } from "commander";

import { registryDomain } from "../../engine/images/registry/log-in.ts";
import { TscomposeError } from "../../errors.ts";

import type { App } from "../app.ts";
import { askLine, readSecret } from "../ask.ts";
import type { RunCommand } from "../program.ts";
import { registryCredentials, serverAddress, storeCredentials } from "../registry-credentials.ts";

interface LoginFlags {
  readonly username?: string;
  readonly password?: string;
  readonly passwordStdin?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[server]", "host of the registry; default: Docker Hub")
    .option("-p, --password <password>", "password or token; other users see it among the processes")
    .option("--password-stdin", "read the password from standard input")
    .option("-u, --username <name>", "user name")
    .action((server: string | undefined, flags: LoginFlags) => run((app) => logIn(app, server, flags)));
}

/** Asks the registry through the engine before anything is kept, as `docker login` does. */
async function logIn(app: App, server: string | undefined, flags: LoginFlags): Promise<void> {
  const { stdout, stderr, environment } = app.terminal;
  const registry = registryDomain(server);
  const given = await givenCredentials(app, registry, flags);
  const docker = await app.docker();
  const credentials = { ...given, serveraddress: serverAddress(registry) };
  const { stored: _, ...spoken } = credentials;
  const answer: Promise<{ readonly Status: string }> = docker.checkAuth({ ...spoken, abortSignal: app.signal });
  const { Status } = await answer;
  if (given.password !== undefined && given.username !== undefined && !given.stored) {
    const { username, password } = given;
    const file = await storeCredentials(environment, { registry, username, password });
    if (file !== undefined) {
      stderr.write(`\nWARNING! Your credentials are stored unencrypted in '${file}'.\n`);
      stderr.write("Configure a credential helper (credsStore in that file) to remove this warning.\n\n");
    }
  }
  stdout.write(`${Status}\n`);
}

interface Given {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  /** They came out of docker's configuration. */
  readonly stored: boolean;
}

async function givenCredentials(app: App, registry: string, flags: LoginFlags): Promise<Given> {
  const { stdin, stderr, environment } = app.terminal;
  if (flags.password !== undefined && flags.passwordStdin === true) {
    throw new TscomposeError("compose/usage", "--password and --password-stdin are mutually exclusive");
  }
  if (flags.passwordStdin === true) {
    if (flags.username === undefined) {
      throw new TscomposeError("compose/usage", "must provide --username with --password-stdin");
    }
    return { username: flags.username, password: await readSecret(stdin), stored: false };
  }
  if (flags.password !== undefined) {
    stderr.write("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
    if (flags.username !== undefined) return { username: flags.username, password: flags.password, stored: false };
  }
  if (flags.username === undefined && flags.password === undefined) {
    const known = await registryCredentials(environment, registry);
    if (known !== undefined) {
      stderr.write("Authenticating with existing credentials...\n");
      return { ...known, stored: true };
    }
  }
  if (stdin.isTTY !== true) {
    throw new TscomposeError("compose/usage", "cannot perform an interactive login from a non TTY device", {
      hint: "give --username, and the password on standard input with --password-stdin",
    });
  }
  const username = flags.username ?? (await askLine(app.terminal, "Username: ", { hidden: false }));
  const password = flags.password ?? (await askLine(app.terminal, "Password: ", { hidden: true }));
  if (username === "" || password === "") {
    throw new TscomposeError("compose/usage", "a user name and a password are needed");
  }
  return { username, password, stored: false };
}
