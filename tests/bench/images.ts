/** Pull and push of an image of about 170 MB (Debian with Perl and Python) from and to Debian's docker-registry on loopback, in
 *  two shapes, three layers and all of it in one, and push of the same built from a Dockerfile. Pushes go to a registry that is
 *  empty each time, or nothing would be sent. */
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort, repository } from "../support/workspace.ts";
import { type Bench, compare, type Topic } from "./measure.ts";

/** Both engines delete removed layers after they have answered: that is not part of the next figure. */
const settleMs = 1500;

export const images: Topic = {
  name: "images",
  run: async (bench) => {
    const work = mkdtempSync(join(tmpdir(), "bench-registry-"));
    const source = await startRegistry(join(work, "source"));
    try {
      for (const shape of ["three layers", "one layer"] as const) {
        const reference = `${source.host}/${shape.replace(" ", "-")}:latest`;
        pushImage(reference, work, shape === "one layer" ? 1 : 3);
        await compare(bench, `image of 170 MB, ${shape}`, async (side) => {
          side.removeImage(reference);
          await pause(settleMs);
          const pull = side.pull(reference);
          const target = await startRegistry(join(work, "target"));
          const pushed = `${target.host}/pushed:latest`;
          try {
            return { pull, push: side.push(reference, pushed) };
          } finally {
            side.removeImage(pushed);
            target.stop();
          }
        });
        for (const side of bench.sides) side.removeImage(reference);
      }
      await builtHere(bench, work);
    } finally {
      source.stop();
      rmSync(work, { recursive: true, force: true });
    }
  },
};

/** The same files built from a Dockerfile, then pushed. One side packs them when it builds, the other when it pushes: what a user
 *  waits for is both. Each run has other files, so nothing is there already. */
async function builtHere(bench: Bench, work: string): Promise<void> {
  const folder = join(work, "built");
  mkdirSync(folder);
  execFileSync("cp", ["-al", join(work, "tree"), join(folder, "tree")]);
  writeFileSync(join(folder, "Dockerfile"), "FROM scratch\nCOPY tree /\n");
  writeFileSync(join(folder, "compose.yaml"), "services: {a: {image: bench-build, build: .}}\n");
  await compare(bench, "image of 170 MB, built here", async (side) => {
    writeFileSync(join(folder, "tree/bench-run"), randomBytes(16));
    const build = side.build(folder, []);
    const target = await startRegistry(join(work, "target"));
    const pushed = `${target.host}/pushed:latest`;
    try {
      const push = side.push("bench-build", pushed);
      return { "build and push": build + push, build, push };
    } finally {
      for (const image of [pushed, "bench-build:latest"]) side.removeImage(image);
      target.stop();
      await pause(settleMs);
    }
  });
}

/** An empty registry of its own, its data in `directory`. */
async function startRegistry(directory: string): Promise<{ readonly host: string; stop(): void }> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  const port = await freePort();
  const config = `${directory}.yml`;
  writeFileSync(
    config,
    `version: 0.1\nstorage: {filesystem: {rootdirectory: ${directory}}}\nhttp: {addr: "127.0.0.1:${port}", secret: bench}\nlog: {level: error}\n`,
  );
  const registry = spawn("docker-registry", ["serve", config], { stdio: "ignore" });
  const host = `127.0.0.1:${port}`;
  for (let attempt = 0; attempt < 100; attempt += 1) {
    await pause(50);
    const answer = await fetch(`http://${host}/v2/`).catch(() => undefined);
    if (answer?.ok === true) break;
  }
  return { host, stop: () => void registry.kill() };
}

/** Makes a Debian root file system and pushes it through the registry's HTTP API, as any client does. */
function pushImage(reference: string, work: string, layers: 1 | 3): void {
  const cached = join(repository, ".cache/bench-rootfs.tar");
  if (!existsSync(cached)) {
    mkdirSync(join(repository, ".cache"), { recursive: true });
    // Under its name only when it is whole.
    const part = join(repository, ".cache/part-rootfs.tar");
    execFileSync("mmdebstrap", ["--quiet", "--variant=minbase", "--include=perl,python3", "bookworm", part], {
      stdio: "ignore",
    });
    renameSync(part, cached);
  }
  const script = join(repository, "tests/bench/push-image.mjs");
  execFileSync(process.execPath, [script, reference, cached, work, String(layers)], { stdio: "inherit" });
}
