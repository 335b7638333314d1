/** What most users have: systemd and cgroup v2. The same program in a Debian machine under qemu (scripts/vm). */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { busyboxArchive, finish, repository } from "../support/workspace.ts";

describe("on cgroup v2 under systemd", () => {
  test("limits, confinement, networks and adoption hold, and nothing is left", async () => {
    await busyboxArchive();
    const results = mkdtempSync(join(tmpdir(), "vm-"));
    try {
      const source = join(repository, "tests/support/stream-load.c");
      execFileSync("gcc", ["-O2", "-static", "-o", join(results, "stream-load"), source]);
      const job = join(repository, "tests/scenarios/cgroup-v2.job.sh");
      const child = spawn(join(repository, "scripts/vm"), [job, results], { stdio: ["ignore", "pipe", "pipe"] });
      const outcome = await finish(child);
      const output = readFileSync(join(results, "output"), "utf8");
      expect(`${outcome.stderr}${output}`).not.toMatch(/^FAIL/m);
      expect(output.match(/^ok /gm)?.length).toBeGreaterThanOrEqual(75);
    } finally {
      rmSync(results, { recursive: true, force: true });
    }
  }, 900_000);
});
