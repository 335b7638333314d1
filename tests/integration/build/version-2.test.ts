/** `POST /build?version=2` with a tar, as dockerode and testcontainers send it, and the session that they open beside it. */
import { connect } from "node:net";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { packContext } from "../../../src/cli/pack-context.ts";
import { EngineProcess } from "../../support/engine-process.ts";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

let engine: EngineProcess;
let directory: string;
beforeAll(async () => {
  engine = await EngineProcess.start();
  directory = mkdtempSync(join(tmpdir(), "tscompose-v2-"));
});
afterAll(async () => {
  await engine.dispose();
  rmSync(directory, { recursive: true, force: true });
});

async function build(dockerfile: string): Promise<readonly { readonly id?: string; readonly aux?: unknown }[]> {
  writeFileSync(join(directory, "Dockerfile"), dockerfile);
  const packed = await packContext({ directory, dockerfile: "Dockerfile", dockerfileText: undefined, as: "archive" });
  const query = { version: "2" as const, session: "abc", remote: "client-session", t: "two", dockerfile: "Dockerfile" };
  const stream = await engine.docker.buildImage(Readable.from(packed.archive), query);
  const lines = [];
  for await (const message of engine.docker.modem.progress(stream)) lines.push(message);
  return lines;
}

it("answers with BuildKit's trace, and the image by its own line", async () => {
  const lines = await build("FROM busybox\nRUN --mount=type=cache,target=/c echo built-by-two\n");
  const traces = lines.filter(({ id }) => id === "moby.buildkit.trace");
  const text = traces.map(({ aux }) => Buffer.from(aux as string, "base64").toString("latin1")).join("");
  expect(text).toContain("[2/2] RUN --mount=type=cache,target=/c echo built-by-two");
  expect(text).toContain("built-by-two\n");
  expect(lines.filter(({ id }) => id === "moby.image.id")).toHaveLength(1);
  const { Id } = await engine.docker.getImage("two").inspect();
  expect(lines.at(-1)).toEqual({ id: "moby.image.id", aux: { ID: Id } });
});

it("ends a failure with the line that every client knows", async () => {
  await expect(build("FROM busybox\nRUN exit 7\n")).rejects.toThrow("returned a non-zero code: 7");
});

it("opens a session as HTTP/2 and holds it", async () => {
  const socket = connect(engine.socket);
  socket.write(
    "POST /session HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nX-Docker-Expose-Session-Uuid: abc\r\n\r\n",
  );
  const [first] = (await new Promise((resolve) => socket.once("data", (data: Buffer) => resolve([data])))) as [Buffer];
  expect(first.toString("latin1")).toMatch(/^HTTP\/1\.1 101 [^]*Upgrade: h2c\r\n/);
  expect(socket.destroyed).toBe(false);
  socket.destroy();
});

const interpreted = existsSync("/proc/sys/fs/binfmt_misc/qemu-s390x");
it.skipIf(interpreted)(
  "refuses to run programs of another machine clearly, where nothing interprets them",
  async () => {
    const stage = "FROM busybox AS own\nFROM --platform=linux/s390x scratch\nCOPY --from=own / /\nRUN true\n";
    await expect(build(stage)).rejects.toThrow("programs for linux/s390x cannot run on this machine");
  },
);
