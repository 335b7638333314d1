/** SSH agents for a build: the one of the environment, or one of our own with the key of a file. Keys stay in agents. */
import { lstatSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SshAgents, SshSource } from "../compose/context.ts";
import { errorMessage, TscomposeError } from "../errors.ts";
import { spawnPiped } from "../host/child.ts";
import { runCommand } from "../host/command.ts";

interface Agent {
  readonly socket: string;
  close(): void;
}

/** @throws build/invalid */
export async function sshAgents(
  sources: readonly SshSource[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<SshAgents> {
  const agents: (readonly [string, Agent])[] = [];
  const close = (): void => {
    for (const [, agent] of agents) agent.close();
  };
  try {
    for (const { id, path } of sources) {
      const found = path ?? environment["SSH_AUTH_SOCK"] ?? "";
      agents.push([id, await agentAt(id, found)]);
    }
    return { sockets: Object.fromEntries(agents.map(([id, { socket }]) => [id, socket])), close };
  } catch (error) {
    close();
    throw error;
  }
}

async function agentAt(id: string, path: string): Promise<Agent> {
  if (path === "") {
    throw new TscomposeError("build/invalid", `ssh ${id}: there is no SSH agent: SSH_AUTH_SOCK is not set`, {
      hint: `start one with ssh-agent, or name a key: ${id}=/path/to/key`,
    });
  }
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isSocket() === true) return { socket: path, close: () => undefined };
  if (stat?.isFile() === true) return await ownAgent(id, path);
  throw new TscomposeError(
    "build/invalid",
    `ssh ${id}: ${path} is neither the socket of an agent nor a file with a key`,
  );
}

/** Ends with `close`, and holds nothing but the one key. */
async function ownAgent(id: string, key: string): Promise<Agent> {
  const directory = mkdtempSync(join(tmpdir(), "tscompose-ssh-"));
  const socket = join(directory, "agent");
  const child = spawnPiped(["ssh-agent", "-D", "-a", socket], { stdin: false, stdout: false, stderr: false });
  let ended: string | undefined;
  child.exited.then(
    (code) => (ended = `it ended with code ${code}`),
    (error: unknown) => (ended = errorMessage(error)),
  );
  const close = (): void => {
    child.kill("SIGTERM");
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    for (let tries = 0; lstatSync(socket, { throwIfNoEntry: false }) === undefined; tries += 1) {
      if (ended !== undefined || tries > 200) throw new Error(`ssh-agent did not start: ${ended ?? "no socket"}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await runCommand(["ssh-add", "-q", key], {
      env: { SSH_AUTH_SOCK: socket, SSH_ASKPASS: "/bin/false", SSH_ASKPASS_REQUIRE: "force" },
      timeoutMs: 20_000,
    });
    return { socket, close };
  } catch (error) {
    close();
    throw new TscomposeError("build/invalid", `ssh ${id}: cannot use the key ${key}: ${errorMessage(error)}`, {
      cause: error,
      hint: "install openssh-client; a key with a passphrase has to be in an agent: ssh-add it, and write the id alone",
    });
  }
}
