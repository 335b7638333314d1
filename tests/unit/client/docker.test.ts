import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Docker } from "../../../src/client/docker.ts";
import type { Container } from "../../../src/client/docker.ts";
import type { ProgressMessage } from "../../../src/api/wire.ts";
import { isTscomposeError } from "../../../src/errors.ts";
import { startApi } from "../../support/api-fixture.ts";
import type { ApiFixture } from "../../support/api-fixture.ts";

let api: ApiFixture;
beforeEach(async () => {
  api = await startApi();
});
afterEach(async () => {
  await api.close();
});

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable("it should have failed"),
    (error: unknown) => error,
  );
}
const text = (stream: PassThrough): string => String(stream.read() ?? "");

describe("the client", () => {
  it("pings, and reads version and info", async () => {
    expect(await api.docker.ping()).toBe("OK");
    expect((await api.docker.version()).ApiVersion).toBe("1.51");
    expect((await api.docker.info()).ID).toBe("memory");
  });

  it("runs a container through its life", async () => {
    const container = await api.docker.createContainer({
      name: "web",
      Image: "busybox",
      Cmd: ["sleep"],
      Labels: { a: "b" },
    });
    await container.start();
    expect((await container.inspect()).State.Running).toBe(true);
    expect(await api.docker.listContainers()).toMatchObject([{ Names: ["/web"], Labels: { a: "b" } }]);
    const ended = container.wait();
    await container.stop({ t: 1 });
    expect(await ended).toEqual({ StatusCode: 143 });
    await container.remove();
    expect(await api.docker.listContainers({ all: true })).toEqual([]);
  });

  it("takes dockerode's callbacks", async () => {
    const container = await new Promise<Container | undefined>((resolve, reject) => {
      api.docker.createContainer({ name: "web", Image: "busybox", Cmd: ["sleep"] }, (error, created) => {
        if (error === null) resolve(created);
        else reject(error);
      });
    });
    const running = await new Promise<boolean>((resolve, reject) => {
      container?.start((error) => {
        if (error !== null) return reject(error);
        container.inspect({}, (_error, found) => resolve(found?.State.Running === true));
      });
    });
    expect(running).toBe(true);
    const error = await new Promise<Error | null>((resolve) => {
      api.docker.getContainer("nobody").inspect((refusal) => resolve(refusal));
    });
    expect(error?.message).toBe("No such container: nobody");
  });

  it("turns refusals into errors with code, status and the server's message", async () => {
    const cases: [Promise<unknown>, string, number, RegExp][] = [
      [api.docker.getContainer("nope").inspect(), "container/not-found", 404, /^No such container: nope$/],
      [api.docker.getImage("nope").inspect(), "image/not-found", 404, /^No such image: nope:latest$/],
      [api.docker.getNetwork("nope").inspect(), "network/not-found", 404, /^network nope not found$/],
      [api.docker.getVolume("nope").inspect(), "volume/not-found", 404, /^get nope: no such volume$/],
      [api.docker.getExec("nope").inspect(), "exec/not-found", 404, /^No such exec instance: nope$/],
      [api.docker.pull("missing/image"), "image/pull-denied", 404, /^pull access denied/],
    ];
    for (const [promise, code, status, message] of cases) {
      const error = await failure(promise);
      expect(isTscomposeError(error) && [error.code, error.details["statusCode"]]).toEqual([code, status]);
      expect((error as Error).message).toMatch(message);
    }
  });

  it("says that a container runs already", async () => {
    const container = await api.docker.createContainer({ Image: "busybox", Cmd: ["sleep"] });
    await container.start();
    const error = await failure(container.start());
    expect(isTscomposeError(error, "container/not-modified") && error.details["statusCode"]).toBe(304);
  });

  it("says where it looked when nobody answers", async () => {
    const error = await failure(new Docker({ socketPath: "/nowhere/docker.sock" }).ping());
    expect(isTscomposeError(error, "engine/unreachable")).toBe(true);
    expect((error as Error).message).toBe("cannot reach the engine at unix:///nowhere/docker.sock: ENOENT");
  });

  it("keeps stdout and stderr apart", async () => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const [result] = await api.docker.run("busybox", ["echo", "hello"], [stdout, stderr]);
    expect(result).toEqual({ StatusCode: 0 });
    expect([text(stdout), text(stderr)]).toEqual(["hello\n", ""]);
    const [failed] = await api.docker.run("busybox", ["fail", "3"], [stdout, stderr]);
    expect(failed).toEqual({ StatusCode: 3 });
    expect([text(stdout), text(stderr)]).toEqual(["", "bad\n"]);
  });

  it("gives raw bytes for a tty", async () => {
    const output = new PassThrough();
    await api.docker.run("busybox", ["echo", "hello"], output, { Tty: true });
    expect(text(output)).toBe("hello\n");
  });

  it("writes stdin, half-closes it and still reads the rest", async () => {
    const container = await api.docker.createContainer({
      Image: "busybox",
      Cmd: ["cat"],
      OpenStdin: true,
      StdinOnce: true,
    });
    const stream = await container.attach({ stream: true, stdin: true, stdout: true });
    const stdout = new PassThrough();
    const copied = container.modem.copyOutput(stream, stdout, false);
    await container.start();
    stream.write("one\n");
    stream.end("two\n");
    await copied;
    expect(text(stdout)).toBe("one\ntwo\n");
    expect((await container.inspect()).State.ExitCode).toBe(0);
  });

  it("runs commands in a container, attached and detached", async () => {
    const container = await api.docker.createContainer({ Image: "busybox", Cmd: ["sleep"] });
    await container.start();
    const exec = await container.exec({ Cmd: ["cat"], AttachStdin: true, AttachStdout: true });
    const stream = await exec.start({ hijack: true, stdin: true });
    const stdout = new PassThrough();
    const copied = container.modem.copyOutput(stream, stdout, false);
    stream.end("through\n");
    await copied;
    expect(text(stdout)).toBe("through\n");
    expect((await exec.inspect()).ExitCode).toBe(0);
    const detached = await container.exec({ Cmd: ["echo", "x"] });
    (await detached.start({ Detach: true })).resume();
    expect((await detached.inspect()).Running).toBe(false);
  });

  it("gives logs at once or as they come", async () => {
    const container = await api.docker.createContainer({ Image: "busybox", Cmd: ["sleep"] });
    await container.start();
    const process = api.engine.records.get(container.id)?.process;
    process?.print("stdout", "first\n");
    expect((await container.logs({ stdout: true })).subarray(8).toString()).toBe("first\n");
    const stdout = new PassThrough();
    const stream = await container.logs({ stdout: true, stderr: true, follow: true });
    const copied = container.modem.copyOutput(stream, stdout, false);
    process?.print("stderr", "second\n");
    await container.stop();
    await copied;
    expect(text(stdout)).toBe("first\nsecond\n");
  });

  it("follows events with exact nanoseconds until it is told to stop", async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const event of api.docker.events({ abortSignal: stop.signal, filters: { type: ["container"] } })) {
        seen.push(`${event.Action} ${event.timeNano}`);
        stop.abort();
      }
    })();
    await expect.poll(() => api.engine.followers).toBe(1);
    api.engine.emit({
      Type: "container",
      Action: "start",
      Actor: { ID: "x", Attributes: { note: '"timeNano":7' } },
      scope: "local",
      time: 1795221320,
      timeNano: "1795221320483000001",
    });
    await following;
    expect(seen).toEqual(["start 1795221320483000001"]);
    await expect.poll(() => api.engine.followers).toBe(0);
  });

  it("pulls with credentials, and fails at an error line", async () => {
    const stream = await api.docker.pull("a/b:1", { authconfig: { username: "me", password: "ä+/?" } });
    const output = await new Promise<readonly ProgressMessage[]>((resolve, reject) => {
      api.docker.followProgress(stream, (error, messages) => (error === null ? resolve(messages) : reject(error)));
    });
    expect(output.map(({ status }) => status)).toEqual([
      "Pulling from a/b:1 as me",
      "Status: Downloaded newer image for a/b:1",
    ]);
    const seen: unknown[] = [];
    const error = await failure(
      (async () => {
        for await (const message of api.docker.pullProgress("a/broken")) seen.push(message.status);
      })(),
    );
    expect(seen).toEqual(["Pulling from a/broken:latest as nobody"]);
    expect((error as Error).message).toBe("the layer is broken");
  });

  it("sends streams up and down", async () => {
    const loaded: unknown[] = [];
    const stream = await api.docker.loadImage(Buffer.alloc(5_000_000));
    for await (const message of api.docker.modem.progress(stream)) loaded.push(message.stream);
    expect(loaded).toEqual(["Loaded 5000000 bytes\n"]);
    const container = await api.docker.createContainer({ Image: "busybox" });
    await container.putArchive(Buffer.from("archive"), { path: "/" });
    expect(Buffer.concat(api.engine.uploads).toString()).toBe("archive");
    expect((await api.docker.modem.collect(await container.getArchive({ path: "/etc" }))).toString()).toBe("tar");
    expect(await container.infoArchive({ path: "/etc" })).toMatchObject({ name: "/etc", size: 3 });
  });

  it("handles networks and volumes", async () => {
    const network = await api.docker.createNetwork({ Name: "net", Labels: { a: "b" } });
    expect((await network.inspect()).Labels).toEqual({ a: "b" });
    const taken = await failure(api.docker.createNetwork({ Name: "net" }));
    expect(isTscomposeError(taken, "network/name-in-use")).toBe(true);
    const container = await api.docker.createContainer({ Image: "busybox" });
    await network.connect({ Container: container.id, EndpointConfig: { Aliases: ["web"] } });
    await network.remove();
    expect(await api.docker.listNetworks()).toEqual([]);
    const volume = await api.docker.createVolume({ Name: "data" });
    expect((await volume.inspect()).Mountpoint).toBe("/volumes/data");
    expect((await api.docker.listVolumes()).Volumes).toHaveLength(1);
    await volume.remove();
  });

  it("aborts a request that waits", async () => {
    const container = await api.docker.createContainer({ Image: "busybox", Cmd: ["sleep"] });
    await container.start();
    const stop = new AbortController();
    const waiting = failure(container.wait({ abortSignal: stop.signal }));
    stop.abort();
    expect(isTscomposeError(await waiting, "aborted")).toBe(true);
  });

  it("asks many things at once", async () => {
    const many = Array.from({ length: 60 }, () => api.docker.createContainer({ Image: "busybox", Cmd: ["sleep"] }));
    const containers = await Promise.all(many);
    await Promise.all(containers.map((container) => container.start()));
    expect(await api.docker.listContainers()).toHaveLength(60);
  });

  it("speaks an older version to an older server", async () => {
    const docker = new Docker({ socketPath: api.socketPath, version: "v1.99" });
    expect(((await failure(docker.info())) as Error).message).toMatch(
      /is too new\. Maximum supported API version is 1\.51/,
    );
  });
});
