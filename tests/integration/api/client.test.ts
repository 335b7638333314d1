import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Docker, demux } from "../../../src/client/docker.ts";
import { isTscomposeError } from "../../../src/errors.ts";
import { makeBusyboxArchive } from "../../support/images.ts";
import { startPeerEngine } from "../../support/peers.ts";
import { Workspace } from "../../support/workspace.ts";

/** The same client against our engine and against Docker's: what holds for both is what the planner may rely on. */
interface Side {
  readonly docker: Docker;
  stop(): Promise<void>;
}

async function startOurs(): Promise<Side> {
  const workspace = await Workspace.create();
  await workspace.loadBusybox();
  return {
    docker: new Docker({ socketPath: workspace.socket }),
    stop: async () => {
      try {
        await vi.waitFor(async () => expect(await workspace.leaks()).toEqual([]), { timeout: 10_000 });
      } finally {
        await workspace.dispose();
      }
    },
  };
}

async function startDockers(): Promise<Side | undefined> {
  const directory = mkdtempSync(join(tmpdir(), "peer-"));
  const peer = startPeerEngine(directory, `peer${process.pid}`);
  if (peer === undefined) return undefined;
  const docker = new Docker({ host: peer.host });
  const archive = await makeBusyboxArchive(directory);
  for await (const message of docker.modem.progress(await docker.loadImage(archive))) void message;
  return {
    docker,
    stop: () => {
      peer.stop();
      rmSync(directory, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
}

const sides: readonly (readonly [name: string, start: () => Promise<Side | undefined>])[] = [
  ["our engine", startOurs],
  ["a Docker Engine", startDockers],
];

describe.each(sides)("the client of %s", (name, start) => {
  let side: Side | undefined;
  let docker: Docker;
  beforeAll(async () => {
    side = await start();
    if (side === undefined) console.warn(`not run: no peer (../shared/peers): the client of ${name}`);
    else docker = side.docker;
  }, 120_000);
  afterAll(async () => {
    docker?.close();
    await side?.stop();
  }, 120_000);
  const check = (title: string, test: () => Promise<void>): void => {
    it(title, async ({ skip }) => {
      if (side === undefined) return skip("no peer");
      await test();
    });
  };
  const text = (stream: PassThrough): string => String(stream.read() ?? "");

  check("runs a container and keeps its outputs apart", async () => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const [result] = await docker.run("busybox", ["sh", "-c", "echo out; echo bad >&2; exit 3"], [stdout, stderr], {
      HostConfig: { AutoRemove: true },
    });
    expect([result.StatusCode, text(stdout), text(stderr)]).toEqual([3, "out\n", "bad\n"]);
  });

  check("gives a terminal", async () => {
    const output = new PassThrough();
    const [, container] = await docker.run("busybox", ["sh", "-c", "test -t 1 && echo yes"], output, { Tty: true });
    expect(text(output)).toBe("yes\r\n");
    await container.remove();
  });

  check("writes stdin and its end", async () => {
    const container = await docker.createContainer({
      Image: "busybox",
      Cmd: ["cat"],
      OpenStdin: true,
      StdinOnce: true,
      AttachStdin: true,
      AttachStdout: true,
    });
    const stream = await container.attach({ stream: true, stdin: true, stdout: true });
    await container.start();
    stream.write("one\n");
    stream.end("two\n");
    let output = "";
    for await (const { data } of demux(stream)) output += data.toString("utf8");
    expect(output).toBe("one\ntwo\n");
    expect((await container.wait()).StatusCode).toBe(0);
    await container.remove();
  });

  check("runs commands in a running container, with input, exit code and output", async () => {
    const container = await docker.createContainer({ Image: "busybox", Cmd: ["sleep", "1000"] });
    await container.start();
    const exec = await container.exec({
      Cmd: ["sh", "-c", "cat; echo bad >&2; exit 4"],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    const stream = await exec.start();
    stream.end("through\n");
    const seen: string[] = [];
    for await (const piece of demux(stream)) seen.push(`${piece.stream} ${piece.data.toString("utf8")}`);
    expect(seen.toSorted()).toEqual(["stderr bad\n", "stdout through\n"]);
    expect(await exec.inspect()).toMatchObject({ Running: false, ExitCode: 4 });
    const missing = await container.exec({ Cmd: ["/nonexistent"], AttachStdout: true, AttachStderr: true });
    const answer = await missing.start();
    for await (const piece of demux(answer)) seen.push(piece.data.toString("utf8"));
    expect(seen.at(-1)).toMatch(/no such file or directory|not found/);
    expect([126, 127]).toContain((await missing.inspect()).ExitCode);
    const detached = await container.exec({ Cmd: ["touch", "/tmp/was-here"] });
    (await detached.start({ Detach: true })).resume();
    await expect.poll(async () => (await detached.inspect()).ExitCode).toBe(0);
    expect(await container.infoArchive({ path: "/tmp/was-here" })).toMatchObject({ name: "was-here", size: 0 });
    await container.remove({ force: true });
  });

  check("reads logs whole, by their end, and as they come", async () => {
    const container = await docker.createContainer({
      Image: "busybox",
      Cmd: ["sh", "-c", "for i in 1 2 3; do echo $i; done; sleep 0.3; echo late"],
    });
    await container.start();
    const stream = await container.logs({ stdout: true, stderr: true, follow: true });
    let followed = "";
    for await (const { data } of demux(stream)) followed += data.toString("utf8");
    expect(followed).toBe("1\n2\n3\nlate\n");
    expect((await container.logs({ stdout: true, tail: 1 })).subarray(8).toString()).toBe("late\n");
    expect((await container.logs({ stdout: true, tail: 1, timestamps: true })).subarray(8).toString()).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z late\n$/,
    );
    await container.remove();
  });

  check("tells events as they happen", async () => {
    const stop = new AbortController();
    const since = Date.now() / 1000;
    const container = await docker.createContainer({ Image: "busybox", Cmd: ["true"], Labels: { "events.test": "1" } });
    const seen: string[] = [];
    const following = (async () => {
      const options = { since, filters: { label: ["events.test=1"] }, abortSignal: stop.signal };
      for await (const event of docker.events(options)) {
        expect(event.timeNano).toMatch(/^\d{19}$/);
        seen.push(event.Action);
        if (event.Action === "destroy") stop.abort();
      }
    })();
    await container.start();
    await container.wait();
    await container.remove();
    await following;
    expect(seen).toEqual(["create", "start", "die", "destroy"]);
  });

  check("copies files in and out", async () => {
    const [source, target] = await Promise.all(
      ["a", "b"].map(() => docker.createContainer({ Image: "busybox", Cmd: ["cat", "/tmp/passwd"] })),
    );
    if (source === undefined || target === undefined) return expect.unreachable();
    await target.putArchive(await source.getArchive({ path: "/etc/passwd" }), { path: "/tmp" });
    await target.start();
    await target.wait();
    expect((await target.logs({ stdout: true })).subarray(8).toString()).toMatch(/^root:x:0:0/);
    await Promise.all([source.remove(), target.remove()]);
  });

  check("connects containers by name on a network of their own", async () => {
    const network = await docker.createNetwork({ Name: "client-test", Labels: { a: "b" } });
    const on = (aliases: readonly string[]) => ({
      HostConfig: { NetworkMode: "client-test" },
      NetworkingConfig: { EndpointsConfig: { "client-test": { Aliases: aliases } } },
    });
    const server = await docker.createContainer({ Image: "busybox", Cmd: ["sleep", "1000"], ...on(["server"]) });
    await server.start();
    const stdout = new PassThrough();
    const [result] = await docker.run("busybox", ["ping", "-c", "1", "-W", "5", "server"], [stdout, stdout], {
      ...on([]),
      HostConfig: { NetworkMode: "client-test", AutoRemove: true },
    });
    expect([result.StatusCode, text(stdout)]).toEqual([0, expect.stringContaining("1 packets received")]);
    expect(Object.values((await network.inspect()).Containers)).toHaveLength(1);
    await server.remove({ force: true });
    await network.remove();
  });

  check("keeps data in volumes", async () => {
    const volume = await docker.createVolume({ Name: "client-test", Labels: { a: "b" } });
    const HostConfig = { Binds: ["client-test:/data"], AutoRemove: true };
    await docker.run("busybox", ["sh", "-c", "echo kept > /data/file"], undefined, { HostConfig });
    const stdout = new PassThrough();
    await docker.run("busybox", ["cat", "/data/file"], [stdout, stdout], { HostConfig });
    expect(text(stdout)).toBe("kept\n");
    expect((await docker.listVolumes({ filters: { label: ["a=b"] } })).Volumes).toHaveLength(1);
    await volume.remove();
  });

  check("gives its refusals as errors with the same codes", async () => {
    const container = await docker.createContainer({ Image: "busybox", Cmd: ["sleep", "1000"], name: "client-test" });
    await container.start();
    const refusals: Readonly<Record<string, () => Promise<unknown>>> = {
      "container/not-found 404": () => docker.getContainer("nope").inspect(),
      "image/not-found 404": () => docker.getImage("nope").inspect(),
      "network/not-found 404": () => docker.getNetwork("nope").inspect(),
      "volume/not-found 404": () => docker.getVolume("nope").inspect(),
      "exec/not-found 404": () => docker.getExec("nope").inspect(),
      "container/name-in-use 409": () => docker.createContainer({ Image: "busybox", name: "client-test" }),
      "container/not-modified 304": () => container.start(),
      "container/wrong-status 409": () => container.remove(),
      "request/invalid 400": () => container.kill({ signal: "NONSENSE" }),
      "registry/unreachable 500": () => docker.pull("127.0.0.1:1/x:y"),
    };
    const seen = Object.entries(refusals).map(async ([expected, ask]) => {
      const error: unknown = await ask().catch((refusal: unknown) => refusal);
      return [expected, isTscomposeError(error) ? `${error.code} ${String(error.details["statusCode"])}` : error];
    });
    for (const [expected, actual] of await Promise.all(seen)) expect(actual).toBe(expected);
    await container.remove({ force: true });
  });
});
