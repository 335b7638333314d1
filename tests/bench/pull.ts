/** Pull of an image of about 170 MB (three layers of mixed text and noise) from Debian's docker-registry on loopback. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, repository } from "../support/workspace.ts";
import { compare, type Topic } from "./measure.ts";

export const pull: Topic = {
  name: "pull",
  run: async (bench) => {
    const work = mkdtempSync(join(tmpdir(), "bench-registry-"));
    const port = await freePort();
    writeFileSync(
      join(work, "config.yml"),
      `version: 0.1\nstorage: {filesystem: {rootdirectory: ${work}/data}}\nhttp: {addr: "127.0.0.1:${port}"}\nlog: {level: error}\n`,
    );
    const registry = spawn("docker-registry", ["serve", join(work, "config.yml")], { stdio: "ignore" });
    try {
      const reference = `127.0.0.1:${port}/bench:latest`;
      await new Promise((wait) => setTimeout(wait, 500));
      pushImage(reference, work);
      await compare(bench, "image of 170 MB", (side) => {
        side.removeImage(reference);
        return { pull: side.pull(reference) };
      });
      for (const side of bench.sides) side.removeImage(reference);
    } finally {
      registry.kill();
      rmSync(work, { recursive: true, force: true });
    }
  },
};

/** Makes a Debian root file system and pushes it through the registry's HTTP API, as any client does. */
function pushImage(reference: string, work: string): void {
  const cached = join(repository, ".cache/bench-rootfs.tar");
  if (!existsSync(cached)) {
    mkdirSync(join(repository, ".cache"), { recursive: true });
    execFileSync("mmdebstrap", ["--quiet", "--variant=minbase", "--include=perl,python3", "bookworm", cached], {
      stdio: "ignore",
    });
  }
  execFileSync(process.execPath, [join(repository, "tests/bench/push-image.mjs"), reference, cached, work], {
    stdio: "inherit",
  });
}
