/** The way to a client's SSH agent, with OpenSSH's own agent and tools at both ends. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { forwardAgent, type SshForward } from "../../../src/engine/build/solve/ssh-forward.ts";
import { eventually } from "../../support/workspace.ts";

let directory: string;
let agent: ChildProcess;
let forward: SshForward;
let forwarded: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "tscompose-agent-"));
  for (const name of ["held", "other"])
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", join(directory, name)]);
  const socket = join(directory, "agent");
  agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  await eventually(() => (existsSync(socket) ? true : undefined));
  execFileSync("ssh-add", ["-q", join(directory, "held")], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
  forwarded = join(directory, "step", "agent.0");
  forward = await forwardAgent(socket, forwarded, { uid: 0, gid: 0, mode: 0o600 });
});
afterAll(() => {
  forward.close();
  agent.kill("SIGTERM");
  rmSync(directory, { recursive: true, force: true });
});

/** Not blocking: the forward is served by this process. */
async function run(
  program: string,
  args: readonly string[],
  input = "",
): Promise<{ code: number | null; text: string }> {
  const child = spawn(program, args, { env: { ...process.env, SSH_AUTH_SOCK: forwarded }, cwd: directory });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, text };
}

it("shows the keys of the agent, and signs with them", async () => {
  expect((await run("ssh-add", ["-l"])).text).toContain("held (ED25519)");
  const signed = await run("ssh-keygen", ["-Y", "sign", "-n", "test", "-f", "held.pub"], "content");
  expect(signed).toMatchObject({ code: 0 });
  expect(signed.text).toContain("BEGIN SSH SIGNATURE");
});

it("takes no key, and gives none up", async () => {
  expect((await run("ssh-add", [join(directory, "other")])).code).not.toBe(0);
  expect((await run("ssh-add", ["-D"])).code).not.toBe(0);
  expect((await run("ssh-add", ["-l"])).text).toMatch(/held/);
  expect((await run("ssh-add", ["-l"])).text).not.toMatch(/other/);
});

it("says so when there is no agent", async () => {
  const nowhere = join(directory, "nowhere");
  await expect(forwardAgent(nowhere, `${forwarded}x`, { uid: 0, gid: 0, mode: 0o600 })).rejects.toThrow(
    /cannot reach the SSH agent/,
  );
});
