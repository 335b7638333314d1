import { execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { peerPrograms } from "../../support/peers.ts";
import { startRegistry, type TestRegistry } from "../../support/registry.ts";
import { finish, type Outcome, Workspace } from "../../support/workspace.ts";

const bin = peerPrograms();
if (bin === undefined) console.warn("not run: no peer (../shared/peers): docker login, push, pull and search");
/** Not loopback, where registries may be without TLS and certificates of anybody are taken. */
const address = "198.51.100.7";
const canary = "canary-7Qx9-password";
const canaries = [canary, Buffer.from(`alice:${canary}`).toString("base64")];

describe("a registry with TLS of its own authority and a password", () => {
  let workspace: Workspace;
  let registry: TestRegistry;
  let certificates: string;
  let config: string;
  const said: string[] = [];
  const seenInProcesses = new Set<string>();
  let watch: NodeJS.Timeout;

  beforeAll(async () => {
    execFileSync("ip", ["address", "add", `${address}/32`, "dev", "lo"]);
    registry = await startRegistry({ tls: true, users: { alice: canary }, address });
    workspace = await Workspace.create();
    certificates = join(workspace.root, "certs.d");
    config = join(workspace.root, "docker-config");
    mkdirSync(config);
    workspace.write({
      "compose.yaml": `name: reg\nservices:\n  app:\n    image: ${registry.host}/team/app:1\n    build: .\n`,
      Dockerfile: "FROM busybox\n",
    });
    await workspace.ok(["load", "--quiet", "--input", ".cache/images/busybox.tar"], {
      cwd: join(import.meta.dirname, "../../.."),
      env: environment(),
    });
    watch = setInterval(lookAtProcesses, 25);
  });
  afterAll(async () => {
    clearInterval(watch);
    await workspace?.dispose();
    await registry?.stop();
    execFileSync("ip", ["address", "del", `${address}/32`, "dev", "lo"]);
  });

  function environment(): Readonly<Record<string, string>> {
    return {
      TSCOMPOSE_CERTS_DIR: certificates,
      DOCKER_CONFIG: config,
      PATH: `${workspace.root}/helpers:${process.env["PATH"]}`,
    };
  }
  /** Arguments and environments of every process, this one's aside, which was given the password. */
  function lookAtProcesses(): void {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
      for (const file of ["cmdline", "environ"]) {
        try {
          const text = readFileSync(`/proc/${pid}/${file}`, "latin1");
          if (canaries.some((secret) => text.includes(secret))) seenInProcesses.add(`${file}: ${text}`);
        } catch {
          continue; // it has ended
        }
      }
    }
  }
  async function tscompose(args: readonly string[], input?: string): Promise<Outcome> {
    const outcome = await workspace.run(args, { env: environment(), ...(input === undefined ? {} : { input }) });
    said.push(outcome.stdout, outcome.stderr);
    return outcome;
  }
  async function docker(args: readonly string[], input?: string): Promise<Outcome> {
    const env = { ...environment(), HOME: workspace.root, DOCKER_HOST: `unix://${workspace.socket}` };
    const child = spawn(join(bin ?? "", "docker"), args, { cwd: workspace.project, env });
    const outcome = await finish(child, input);
    said.push(outcome.stdout, outcome.stderr);
    return outcome;
  }
  const succeeded = ({ exitCode, stdout, stderr }: Outcome): string => {
    expect(`${stderr}exit ${exitCode}`).toMatch(/exit 0$/);
    return stdout;
  };
  const name = (repository: string): string => `${registry.host}/${repository}`;

  test("is refused while nobody vouches for its certificate, saying where the certificate belongs", async () => {
    const { exitCode, stderr } = await tscompose(
      ["login", "-u", "alice", "--password-stdin", registry.host],
      `${canary}\n`,
    );
    expect(exitCode).not.toBe(0);
    expect(stderr).toMatch(/self.signed certificate/);
    expect(stderr).toContain("certs.d/<host>/ca.crt");
    mkdirSync(join(certificates, registry.host), { recursive: true });
    writeFileSync(join(certificates, registry.host, "ca.crt"), registry.certificate ?? "");
  });

  test("takes tscompose login, and refuses a wrong password without keeping it", async () => {
    const wrong = await tscompose(["login", "-u", "alice", "--password-stdin", registry.host], "wrong\n");
    expect(wrong.exitCode).not.toBe(0);
    expect(wrong.stderr).toContain("401 Unauthorized");
    expect(existsSync(join(config, "config.json"))).toBe(false);
    const right = await tscompose(["login", "-u", "alice", "--password-stdin", registry.host], `${canary}\n`);
    expect(succeeded(right)).toBe("Login Succeeded\n");
    expect(right.stderr).toContain("stored unencrypted");
    expect(statSync(join(config, "config.json")).mode & 0o777).toBe(0o600);
    expect(succeeded(await tscompose(["login", registry.host]))).toBe("Login Succeeded\n");
  });

  test("takes tscompose push and pull, and gives the digest for config --resolve-image-digests", async () => {
    succeeded(await tscompose(["build", "--quiet"]));
    succeeded(await tscompose(["push"]));
    const resolved = succeeded(await tscompose(["config", "--resolve-image-digests"]));
    expect(resolved).toMatch(new RegExp(`image: ${name("team/app:1")}@sha256:[0-9a-f]{64}\n`));
    const locked = succeeded(await tscompose(["config", "--lock-image-digests"]));
    expect(locked).toMatch(new RegExp(`image: ${name("team/app:1")}@sha256:[0-9a-f]{64}\n`));
    succeeded(await tscompose(["pull"]));
  });

  test("tscompose logout forgets the credentials, and a push is refused from then on", async () => {
    expect(succeeded(await tscompose(["logout", registry.host]))).toContain("Removing login credentials for");
    expect(succeeded(await tscompose(["logout", registry.host]))).toContain("Not logged in to");
    expect(JSON.parse(readFileSync(join(config, "config.json"), "utf8"))).toEqual({ auths: {} });
    const { exitCode, stderr } = await tscompose(["push"]);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain(`log in to ${registry.host}`);
  });

  test("credentials go to the helper that docker's configuration names, by its standard input", async () => {
    const helpers = join(workspace.root, "helpers");
    const kept = join(workspace.root, "kept.json");
    mkdirSync(helpers);
    const script = [
      "#!/bin/sh",
      `{ tr '\\0' ' ' < /proc/$$/cmdline; env; } >> ${join(helpers, "seen")}`,
      `case $1 in store) cat > ${kept};; get) cat > /dev/null; cat ${kept} 2> /dev/null || { echo "credentials not found"; exit 1; };;`,
      `erase) cat > /dev/null; rm -f ${kept};; esac`,
    ];
    writeFileSync(join(helpers, "docker-credential-test"), `${script.join("\n")}\n`);
    chmodSync(join(helpers, "docker-credential-test"), 0o755);
    writeFileSync(join(config, "config.json"), JSON.stringify({ credsStore: "test", detachKeys: "ctrl-x" }));
    succeeded(await tscompose(["login", "-u", "alice", "--password-stdin", registry.host], canary));
    expect(JSON.parse(readFileSync(kept, "utf8"))).toEqual({
      ServerURL: registry.host,
      Username: "alice",
      Secret: canary,
    });
    const written = JSON.parse(readFileSync(join(config, "config.json"), "utf8")) as unknown;
    expect(written).toEqual({ credsStore: "test", detachKeys: "ctrl-x", auths: { [registry.host]: {} } });
    succeeded(await tscompose(["push", "--quiet"]));
    succeeded(await tscompose(["logout", registry.host]));
    expect(existsSync(kept)).toBe(false);
    const seen = readFileSync(join(helpers, "seen"), "utf8");
    expect(seen).not.toContain(canary);
    expect(seen).not.toContain("TSCOMPOSE_");
    rmSync(join(config, "config.json"));
  });

  test("a helper that fails is named, and its output, which may hold the secret, is not shown", async () => {
    const helpers = join(workspace.root, "helpers");
    writeFileSync(join(helpers, "docker-credential-broken"), "#!/bin/sh\ncat\ncat >&2\nexit 3\n");
    chmodSync(join(helpers, "docker-credential-broken"), 0o755);
    writeFileSync(join(config, "config.json"), JSON.stringify({ credHelpers: { [registry.host]: "broken" } }));
    const { exitCode, stderr } = await tscompose(["login", "-u", "alice", "--password-stdin", registry.host], canary);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain("docker-credential-broken failed with exit code 3");
    rmSync(join(config, "config.json"));
  });

  describe.skipIf(bin === undefined)("with the docker CLI", () => {
    test("docker login tells a wrong password from a right one", async () => {
      const wrong = await docker(["login", "-u", "alice", "--password-stdin", registry.host], "wrong");
      expect(wrong.exitCode).not.toBe(0);
      expect(wrong.stderr).toContain("401 Unauthorized");
      const right = await docker(["login", "-u", "alice", "--password-stdin", registry.host], canary);
      expect(succeeded(right)).toContain("Login Succeeded");
    });

    test("docker push and pull move an image, and a second repository gets its layers by a mount", async () => {
      succeeded(await docker(["tag", "busybox", name("team/box:1")]));
      expect(succeeded(await docker(["push", name("team/box:1")]))).toMatch(/1: digest: sha256:[0-9a-f]{64} size: \d+/);
      succeeded(await docker(["tag", "busybox", name("other/box:2")]));
      expect(succeeded(await docker(["push", name("other/box:2")]))).toContain("Mounted from team/");
      succeeded(await docker(["rmi", name("team/box:1"), name("other/box:2"), name("team/app:1")]));
      expect(succeeded(await docker(["pull", name("team/box:1")]))).toContain("Downloaded newer image");
      expect(succeeded(await docker(["pull", name("team/box:1")]))).toContain("Image is up to date");
      expect(succeeded(await docker(["run", "--rm", "--network", "none", name("team/box:1"), "echo", "hi"]))).toBe(
        "hi\n",
      );
    });

    test("docker search finds it in the registry's catalogue", async () => {
      const found = succeeded(await docker(["search", "--format", "{{.Name}}", `${registry.host}/box`]));
      expect(found.trim().split("\n")).toEqual([name("other/box"), name("team/box")]);
    });

    test("what is not there is 404 for pull and distribution, 401 without a password", async () => {
      const missing = await docker(["pull", name("team/nothing:1")]);
      expect(missing.exitCode).toBe(1);
      expect(missing.stderr).toMatch(/not found/);
      succeeded(await docker(["logout", registry.host]));
      const refused = await docker(["pull", name("team/box:9")]);
      expect(refused.stderr).toMatch(/pull access denied|no basic auth credentials/);
    });
  });

  test("the password was in no argument, no environment, no message, no log and no file of the engine", async () => {
    expect([...seenInProcesses]).toEqual([]);
    expect(said.filter((text) => canaries.some((secret) => text.includes(secret)))).toEqual([]);
    const images = await tscompose(["images", "--format", "json"]);
    expect(images.exitCode).toBe(0);
    for (const secret of canaries) {
      const hits = await finish(spawn("grep", ["-rlaF", secret, workspace.dataRoot, workspace.runRoot]));
      expect(hits.stdout).toBe("");
    }
  });
});
