import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { peerPrograms } from "../../support/peers.ts";
import { Workspace, finish } from "../../support/workspace.ts";
import type { Outcome } from "../../support/workspace.ts";

const bin = peerPrograms();
if (bin === undefined)
  console.warn("not run: no peer (../shared/peers): docker CLI and Docker Compose against our engine");

describe.skipIf(bin === undefined)("Docker's own clients on our engine", () => {
  let workspace: Workspace;
  let home: string;
  beforeAll(async () => {
    workspace = await Workspace.create({
      "compose.yaml": [
        "name: by-docker",
        "services:",
        "  store:",
        "    image: busybox",
        "    command: sh -c 'echo ready; touch /tmp/ok; exec sleep 1000'",
        "    stop_grace_period: 0s",
        "    healthcheck: { test: [CMD, test, -e, /tmp/ok], interval: 1s, retries: 20 }",
        "    volumes: [data:/data]",
        "  web:",
        "    image: busybox",
        "    command: sh -c 'ping -c 1 -W 5 store && echo found; exec sleep 1000'",
        "    stop_grace_period: 0s",
        "    depends_on: { store: { condition: service_healthy } }",
        "volumes: { data: {} }",
        "",
      ].join("\n"),
    });
    home = mkdtempSync(join(tmpdir(), "docker-home-"));
    await workspace.loadBusybox();
  });
  afterAll(async () => {
    try {
      await vi.waitFor(async () => expect(await workspace.leaks()).toEqual([]), { timeout: 10_000 });
    } finally {
      await workspace.dispose();
      rmSync(home, { recursive: true, force: true });
    }
  });

  function start(program: string, args: readonly string[]): ReturnType<typeof spawn> {
    return spawn(join(bin ?? "", program), args, {
      cwd: workspace.project,
      env: { PATH: `${bin}:${process.env["PATH"]}`, HOME: home, DOCKER_HOST: `unix://${workspace.socket}` },
      stdio: ["pipe", "pipe", "pipe"],
    });
  }
  const run = (args: readonly string[], input?: string): Promise<Outcome> => finish(start("docker", args), input);
  async function docker(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await run(args);
    expect(`${stderr}${exitCode}`, args.join(" ")).toMatch(/0$/);
    return stdout.trim();
  }
  async function compose(...args: readonly string[]): Promise<Outcome> {
    return await finish(start("docker-compose", args));
  }

  test("version and info say who answers", async () => {
    expect(await docker("version", "--format", "{{.Server.APIVersion}} {{.Server.Os}}")).toBe("1.51 linux");
    expect(await docker("info", "--format", "{{.OSType}} {{.Swarm.LocalNodeState}} {{len .Warnings}}")).toMatch(
      /^linux inactive \d+$/,
    );
  });

  test("run --rm prints, passes the exit code on and leaves nothing", async () => {
    expect(await docker("run", "--rm", "busybox", "echo", "hi")).toBe("hi");
    const failed = await run(["run", "--rm", "busybox", "sh", "-c", "echo out; echo bad >&2; exit 3"]);
    expect(failed).toMatchObject({ exitCode: 3, stdout: "out\n", stderr: "bad\n" });
    expect(await run(["run", "-i", "--rm", "busybox", "cat"], "over the wire\n")).toMatchObject({
      exitCode: 0,
      stdout: "over the wire\n",
    });
    expect((await run(["run", "--rm", "busybox", "/nonexistent"])).exitCode).toBe(127);
    expect((await run(["run", "--rm", "busybox", "/etc"])).exitCode).toBe(126);
    expect((await run(["run", "--rm", "--memory", "nonsense", "busybox", "true"])).exitCode).toBe(125);
    expect(await docker("ps", "-aq")).toBe("");
  });

  test("run -it gives a terminal of the asked size", async () => {
    const command = `stty rows 30 cols 90; exec ${bin}/docker run --rm -it busybox sh -c 'stty size; test -t 0 && echo terminal; exit 5'`;
    const terminal = spawn("script", ["-qec", command, "/dev/null"], {
      env: { PATH: process.env["PATH"], HOME: home, DOCKER_HOST: `unix://${workspace.socket}`, TERM: "xterm" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const output: string[] = [];
    terminal.stdout.on("data", (chunk: unknown) => output.push(String(chunk)));
    const exitCode = await new Promise((resolve) => terminal.on("close", resolve));
    expect([exitCode, output.join("")]).toEqual([5, expect.stringMatching(/30 90\r\nterminal/)]);
  });

  test("a container goes through its life", async () => {
    const id = await docker(
      "run",
      "-d",
      "--name",
      "life",
      "-l",
      "a=b",
      "busybox",
      "sh",
      "-c",
      "echo started; exec sleep 1000",
    );
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await docker("ps", "--filter", "label=a=b", "--format", "{{.Names}} {{.State}} {{.Image}}")).toBe(
      "life running busybox",
    );
    expect(await docker("inspect", "--format", "{{.State.Status}} {{.Config.Image}} {{.Name}}", "life")).toBe(
      "running busybox /life",
    );
    await expect.poll(() => docker("logs", "life")).toBe("started");
    expect((await run(["exec", "life", "sh", "-c", "echo in; exit 4"])).exitCode).toBe(4);
    expect(await run(["exec", "-i", "life", "cat"], "typed")).toMatchObject({ exitCode: 0, stdout: "typed" });
    expect(
      await docker("exec", "-e", "X=1", "-w", "/tmp", "-u", "app", "life", "sh", "-c", "echo $X $PWD $(id -u)"),
    ).toBe("1 /tmp 1000");
    expect(await docker("top", "life")).toMatch(/PID[^]*sleep 1000/);
    expect(await docker("stats", "--no-stream", "--format", "{{.Name}}", "life")).toBe("life");
    await docker("pause", "life");
    expect(await docker("ps", "--format", "{{.Status}}")).toMatch(/\(Paused\)$/);
    await docker("unpause", "life");
    await docker("rename", "life", "renamed");
    await docker("update", "--memory", "64m", "--memory-swap", "64m", "renamed");
    await docker("restart", "-t", "0", "renamed");
    expect(await docker("stop", "-t", "0", "renamed")).toBe("renamed");
    expect(await docker("wait", "renamed")).toBe("137");
    expect(await docker("ps", "-a", "--format", "{{.Status}}")).toMatch(/^Exited \(137\)/);
    await docker("start", "renamed");
    await docker("kill", "renamed");
    await docker("rm", "renamed");
  });

  test("cp copies files and folders both ways", async () => {
    const here = join(workspace.project, "copies");
    mkdirSync(join(here, "folder/below"), { recursive: true });
    writeFileSync(join(here, "folder/below/file"), "content");
    await docker("create", "--name", "copied", "busybox", "true");
    await docker("cp", join(here, "folder"), "copied:/srv");
    await docker("cp", "copied:/srv/below/file", join(here, "back"));
    expect(readFileSync(join(here, "back"), "utf8")).toBe("content");
    await docker("cp", "copied:/srv", join(here, "tree"));
    expect(readFileSync(join(here, "tree/below/file"), "utf8")).toBe("content");
    expect((await run(["cp", "copied:/nope", here])).exitCode).toBe(1);
    expect(await docker("diff", "copied")).toMatch(/A \/srv/);
    await docker("rm", "copied");
  });

  test("commit makes an image, diff and export show what changed", async () => {
    await docker("run", "--name", "changed", "busybox", "sh", "-c", "echo x > /new; rm /etc/group");
    expect((await docker("diff", "changed")).split("\n")).toEqual(expect.arrayContaining(["A /new", "D /etc/group"]));
    const id = await docker("commit", "-a", "who", "-m", "why", "-c", "CMD cat /new", "changed", "from-changed:1");
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await docker("run", "--rm", "from-changed:1")).toBe("x");
    expect(await docker("history", "--format", "{{.Comment}}", "from-changed:1")).toMatch(/^why/);
    await docker("export", "-o", join(home, "exported.tar"), "changed");
    expect(readFileSync(join(home, "exported.tar")).includes("new")).toBe(true);
    await docker("rm", "changed");
    await docker("rmi", "from-changed:1");
  });

  test("events are told in order", async () => {
    const events = start("docker", ["events", "--filter", "label=told", "--format", "{{.Action}}"]);
    const seen: string[] = [];
    events.stdout?.on("data", (chunk: unknown) => seen.push(...String(chunk).trim().split("\n")));
    await docker("run", "--rm", "-l", "told", "busybox", "true");
    await docker("run", "--rm", "-l", "told", "busybox", "true");
    await expect.poll(() => seen.filter((action) => action === "destroy").length).toBeGreaterThan(0);
    events.kill();
    await new Promise((resolve) => events.on("close", resolve));
    const last = seen.slice(seen.lastIndexOf("create"));
    expect(last.filter((action) => ["create", "attach", "start", "die", "destroy"].includes(action))).toEqual([
      "create",
      "attach",
      "start",
      "die",
      "destroy",
    ]);
  });

  test("an image of another platform says so, and is never taken for one of this machine's", async () => {
    const [ours, other] = process.arch === "arm64" ? ["linux/arm64", "linux/amd64"] : ["linux/amd64", "linux/arm64"];
    const noFiles = "\0".repeat(1024);
    const imported = await run(["import", "--platform", other, "-", "foreign:1"], noFiles);
    expect(imported.stderr).toBe("");
    const format = ["--format", "{{.Os}}/{{.Architecture}}"];
    expect(await docker("image", "inspect", ...format, "foreign:1")).toBe(other);
    expect(await docker("image", "inspect", "--platform", other, ...format, "foreign:1")).toBe(other);
    expect(await docker("history", "--platform", other, "-q", "foreign:1")).not.toBe("");
    const archive = join(home, "foreign.tar");
    await docker("save", "--platform", other, "-o", archive, "foreign:1");
    expect(await docker("load", "--platform", other, "-i", archive)).toBe("Loaded image: foreign:1");
    expect(await docker("image", "ls", "--tree")).toMatch(new RegExp(`└─ ${other} +[0-9a-f]{12}`));

    const refused = `does not provide the specified platform (${ours})`;
    for (const args of [
      ["image", "inspect", "--platform", ours, "foreign:1"],
      ["history", "--platform", ours, "foreign:1"],
      ["save", "--platform", ours, "-o", archive, "foreign:1"],
      ["push", "--platform", ours, "foreign:1"],
    ]) {
      const { exitCode, stderr } = await run(args);
      expect(exitCode, args.join(" ")).not.toBe(0);
      expect(stderr, args.join(" ")).toContain(refused);
    }
    await docker("save", "-o", archive, "foreign:1");
    expect((await run(["load", "--platform", ours, "-i", archive])).stderr).toContain(
      `the archive holds no image for ${ours}`,
    );
    await docker("rmi", "foreign:1");
  });

  test("networks, volumes and images are listed, made and removed", async () => {
    await docker("network", "create", "--label", "x=y", "made");
    expect(await docker("network", "ls", "--filter", "label=x=y", "--format", "{{.Name}} {{.Driver}}")).toBe(
      "made bridge",
    );
    await docker(
      "run",
      "-d",
      "--name",
      "server",
      "--network",
      "made",
      "--network-alias",
      "alias",
      "busybox",
      "sleep",
      "1000",
    );
    expect(await docker("run", "--rm", "--network", "made", "busybox", "ping", "-c", "1", "-W", "5", "alias")).toMatch(
      /1 packets received/,
    );
    expect((await run(["network", "rm", "made"])).stderr).toMatch(/active endpoints/);
    await docker("rm", "-f", "server");
    await docker("network", "rm", "made");
    await docker("volume", "create", "made");
    await docker("run", "--rm", "-v", "made:/data", "busybox", "touch", "/data/x");
    expect(await docker("run", "--rm", "-v", "made:/data", "busybox", "ls", "/data")).toBe("x");
    await docker("volume", "rm", "made");
    await docker("tag", "busybox", "other:1");
    expect(await docker("images", "--format", "{{.Repository}}:{{.Tag}}")).toMatch(/other:1/);
    await docker("rmi", "other:1");
    await docker("save", "-o", join(home, "saved.tar"), "busybox");
    expect(await docker("load", "-i", join(home, "saved.tar"))).toMatch(/Loaded image: busybox:latest/);
    expect(await docker("system", "df", "--format", "{{.Type}}")).toMatch(/Images\nContainers\nLocal Volumes/);
  });

  test("refusals read as with Docker", async () => {
    const said = async (...args: readonly string[]): Promise<string> => (await run(args)).stderr;
    expect(await said("inspect", "nope")).toMatch(/no such object: nope/i);
    expect(await said("logs", "nope")).toMatch(/No such container: nope/);
    expect(await said("rmi", "nope")).toMatch(/No such image: nope:latest/);
    expect(await said("network", "rm", "nope")).toMatch(/network nope not found/);
    expect(await said("volume", "rm", "nope")).toMatch(/no such volume/);
    await docker("create", "--name", "taken", "busybox");
    expect(await said("create", "--name", "taken", "busybox")).toMatch(
      /Conflict. The container name "\/taken" is already in use by container/,
    );
    expect(await said("exec", "taken", "true")).toMatch(/is not running/);
    await docker("rm", "taken");
    expect(await said("node", "ls")).toMatch(/not a swarm manager/);
  });

  test("Docker Compose brings a project up, shows it and takes it down", async () => {
    const up = await compose("up", "-d", "--wait");
    expect(`${up.exitCode} ${up.stderr}`).toMatch(/^0 /);
    const ids = await docker("ps", "-q");
    expect(ids.split("\n")).toHaveLength(2);
    const ps = await compose("ps", "--format", "{{.Service}} {{.State}} {{.Health}}");
    expect(ps.stdout.trim().split("\n").toSorted()).toEqual(
      ["store running healthy", "web running "].map((line) => line.trim()),
    );
    await expect.poll(async () => (await compose("logs", "--no-color", "web")).stdout).toMatch(/web-1\s+\| found/);
    expect(await compose("exec", "-T", "web", "sh", "-c", "echo inside; exit 3")).toMatchObject({
      exitCode: 3,
      stdout: "inside\n",
    });
    expect((await compose("up", "-d")).exitCode).toBe(0);
    expect(await docker("ps", "-q")).toBe(ids);
    expect((await compose("run", "--rm", "-T", "web", "echo", "once")).stdout).toBe("once\n");
    const down = await compose("down", "-v");
    expect(down.exitCode).toBe(0);
    expect(await docker("ps", "-aq")).toBe("");
    expect(await docker("network", "ls", "-q", "--filter", "label=com.docker.compose.project")).toBe("");
    expect(await docker("volume", "ls", "-q")).toBe("");
  });
});
