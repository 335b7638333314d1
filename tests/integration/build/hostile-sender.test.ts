/** Clients that lie about their files while a build asks for them: nothing outside of the build's own copy is touched, the build fails with
 *  the reason, and nothing stays. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { goMode } from "../../../src/api/buildkit/session-messages.ts";
import { file, scriptedClient, serveFiles } from "../../support/buildkit-client.ts";
import type { Transfer } from "../../support/buildkit-client.ts";
import { EngineProcess } from "../../support/engine-process.ts";
import { eventually } from "../../support/workspace.ts";
import { Canary } from "./canary.ts";

let engine: EngineProcess;
let directory: string;
let canary: Canary;
beforeAll(async () => {
  engine = await EngineProcess.start();
  directory = mkdtempSync(join(tmpdir(), "tsb-sender-"));
  canary = new Canary(join(directory, "canary"));
});
afterAll(async () => {
  await engine.dispose();
  rmSync(directory, { recursive: true, force: true });
});

const dockerfile = "FROM busybox\nCOPY . /c\n";
const path = (text: string): Buffer => Buffer.from(text, "latin1");
type Files = Parameters<typeof serveFiles>[1];

/** The Dockerfile as it should be; the context as `serve` has it. */
async function build(serve: (transfer: Transfer) => void, text = dockerfile): Promise<string> {
  const client = await scriptedClient(engine.socket, (transfer) => {
    if (transfer.name === "dockerfile") serveFiles(transfer, [file("Dockerfile", text)]);
    else if (transfer.follow.includes(".dockerignore")) serveFiles(transfer, []);
    else serve(transfer);
  });
  try {
    return (await client.solve()).get("containerimage.digest") ?? "";
  } finally {
    client.close();
  }
}

async function expectNothingLeft(): Promise<void> {
  await eventually(() => (readdirSync(join(engine.dataRoot, "build/work")).length === 0 ? true : undefined));
  expect(canary.changes()).toEqual([]);
}

it("builds from a client that tells the truth", async () => {
  const files = [
    file("a", "one"),
    { stat: { path: path("d"), mode: goMode.directory + 0o755 }, content: Buffer.alloc(0) },
    file("d/b", "two"),
  ];
  expect(await build((transfer) => serveFiles(transfer, files))).toMatch(/^sha256:/);
  await expectNothingLeft();
});

const link = (name: string, target: string): Files[number] => ({
  stat: { path: path(name), mode: goMode.symlink + 0o777, linkName: path(target) },
  content: Buffer.alloc(0),
});

const lies: readonly (readonly [string, () => Files, RegExp])[] = [
  ["leads above the folder", () => [file("../escaped", "x")], /not a plain relative path/],
  ["leads above the folder from below", () => [file("a/../../escaped", "x")], /not a plain relative path/],
  ["is absolute", () => [file(join(directory, "canary/passwd"), "x")], /not a plain relative path/],
  ["has an empty part", () => [file("a//b", "x")], /not a plain relative path/],
  ["is a dot", () => [file("./a", "x")], /not a plain relative path/],
  ["is empty", () => [file("", "x")], /is not a path/],
  ["holds a NUL", () => [file("a\0b", "x")], /is not a path/],
  ["is longer than any path", () => [file("a/".repeat(3000) + "a", "x")], /is not a path/],
  [
    "is below a symlink",
    () => [link("l", join(directory, "canary")), file("l/passwd", "x")],
    /below something that is no directory/,
  ],
  ["is below a file", () => [file("a", "x"), file("a/b", "x")], /below something that is no directory/],
  ["comes twice", () => [file("a", "x"), file("a", "y")], /comes out of order/],
  ["comes out of order", () => [file("b", "x"), file("a", "y")], /comes out of order/],
  [
    "is another name of a file of the host",
    () => [file("a", "", { linkName: path("../../../../../etc/passwd") })],
    /not a plain relative path/,
  ],
  [
    "is another name of what did not come",
    () => [file("a", "", { linkName: path("nothing") })],
    /another name of a file that did not come/,
  ],
  [
    "is another name of a symlink",
    () => [link("a", join(directory, "canary/passwd")), file("b", "", { linkName: path("a") })],
    /another name of a file that did not come/,
  ],
];

it.each(lies)("refuses a path that %s", async (_what, files, reason) => {
  await expect(build((transfer) => serveFiles(transfer, files()))).rejects.toThrow(reason);
  await expectNothingLeft();
});

it("takes symlinks that lead out as text", async () => {
  const files = [link("out", join(directory, "canary/passwd")), link("up", "../../../../../../etc")];
  const text = `${dockerfile}RUN cat /c/out /c/up/shadow-of-the-host; readlink /c/out\n`;
  expect(await build((transfer) => serveFiles(transfer, files), text)).toMatch(/^sha256:/);
  await expectNothingLeft();
});

const breaches: readonly (readonly [string, (transfer: Transfer) => void, RegExp])[] = [
  [
    "sends what was not asked for",
    (to) => to.send("data", { id: 7, data: Buffer.from("x") }),
    /sends a file that was not asked for/,
  ],
  ["ends before it is asked to", (to) => to.send("fin"), /ends before it was asked to/],
  [
    "goes on listing after the end of the list",
    (to) => {
      to.send("stat");
      to.send("stat", { stat: file("a", "x").stat });
    },
    /lists files after the end of the list|ends in the middle/,
  ],
  [
    "sends something else than packets",
    (to) => to.sendRaw(Buffer.from([0, 0, 0, 0, 3, 0x0a, 0xff, 0xff])),
    /not a protobuf message/,
  ],
  [
    "announces a gigabyte",
    (to) => to.sendRaw(Buffer.from([0, 0x40, 0, 0, 0])),
    /a message of 1073741824 bytes is larger/,
  ],
  ["compresses", (to) => to.sendRaw(Buffer.from([1, 0, 0, 0, 1, 0])), /compressed messages are not understood/],
  [
    "says that it cannot",
    (to) => to.send("error", { data: Buffer.from("disk on fire") }),
    /the client cannot send its files: disk on fire/,
  ],
  ["hangs up in the middle of a file", (to) => to.stream.session?.destroy(), /the client has gone|cancelled/],
];

it.each(breaches)("gives the build up when the client %s", async (_what, breach, reason) => {
  await expect(build(breach)).rejects.toThrow(reason);
  await expectNothingLeft();
});

it("keeps nothing of half a transfer, and builds the next time from the whole", async () => {
  const half = build((transfer) => {
    transfer.onPacket((type, id) => {
      if (type !== 1) return;
      transfer.send("data", { id, data: Buffer.from("half of it") });
      setTimeout(() => transfer.stream.session?.destroy(), 100);
    });
    transfer.send("stat", { stat: file("a", "x".repeat(100)).stat });
    transfer.send("stat");
  });
  await expect(half).rejects.toThrow(/the client has gone|cancelled/);
  await expectNothingLeft();
  expect(await build((transfer) => serveFiles(transfer, [file("a", "whole")]))).toMatch(/^sha256:/);
});
