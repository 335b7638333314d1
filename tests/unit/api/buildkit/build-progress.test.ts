import { describe, expect, it } from "vitest";
import { BuildProgress } from "../../../../src/api/buildkit/build-progress.ts";
import { statusResponse } from "../../../../src/api/buildkit/messages.ts";
import { StatusFeed } from "../../../../src/api/buildkit/status-feed.ts";

async function told(work: (progress: BuildProgress) => void): Promise<readonly string[]> {
  const feed = new StatusFeed("ref");
  work(new BuildProgress(feed));
  feed.end();
  const names = new Map<string, string>();
  const lines: string[] = [];
  for await (const bytes of feed.follow(new AbortController().signal)) {
    const { vertexes, statuses, logs, warnings } = statusResponse.decode(bytes);
    for (const { digest = "", name = "", cached, started, completed, error } of vertexes) {
      names.set(digest, name);
      const state = [started && "started", completed && "completed", cached && "cached", error].filter(Boolean);
      lines.push(`${name}: ${state.join(" ") || "known"}`);
    }
    for (const { vertex = "", id, current, completed } of statuses)
      lines.push(`${names.get(vertex)} | ${id} ${current}${completed === undefined ? "" : " done"}`);
    for (const { vertex = "", data } of logs) lines.push(`${names.get(vertex)} > ${data?.toString().trim()}`);
    for (const { vertex = "", short, ranges = [] } of warnings)
      lines.push(`${names.get(vertex)} ! ${short?.toString()} at ${ranges[0]?.start?.line}`);
  }
  return lines;
}

const rule = { name: "Rule", description: "why", url: "https://rule" };
const planned = {
  kind: "planned",
  lines: [],
  findings: [{ rule, message: "is wrong", place: { start: 2, end: 3 } }],
  steps: [
    { id: 0, title: "[2/3] RUN a" },
    { id: 1, title: "[3/3] RUN b" },
  ],
  bases: ["[1/3] FROM busybox"],
} as const;

describe("the progress of a build in BuildKit's form", () => {
  it("tells of each step when it is known, runs, says something and ends", async () => {
    const lines = await told((progress) => {
      const { onBytes, onEnd } = progress.transfer(
        "definition",
        "[internal] load build definition from Dockerfile",
        "dockerfile",
      );
      onBytes(7);
      onEnd();
      progress.take({ kind: "dockerfile", name: "Dockerfile", text: "FROM busybox" });
      progress.take(planned);
      progress.take({ kind: "finished", step: 0, cached: true, chainId: "", ms: 0 });
      progress.take({ kind: "started", step: 1 });
      progress.take({ kind: "output", step: 1, data: Buffer.from("out\n") });
      progress.take({ kind: "failed", step: 1, ms: 1 });
      progress.fail("exit code: 7");
    });
    expect(lines).toEqual([
      "[internal] load build definition from Dockerfile: known",
      "[internal] load build definition from Dockerfile: started",
      "[internal] load build definition from Dockerfile | transferring dockerfile: 7",
      "[internal] load build definition from Dockerfile | transferring dockerfile: 7 done",
      "[internal] load build definition from Dockerfile: started completed",
      "[1/3] FROM busybox: known",
      "[1/3] FROM busybox: started completed cached",
      "[2/3] RUN a: known",
      "[3/3] RUN b: known",
      "[internal] load build definition from Dockerfile ! Rule: is wrong (line 2) at 2",
      "[2/3] RUN a: started completed cached",
      "[3/3] RUN b: started",
      "[3/3] RUN b > out",
      "[3/3] RUN b: started completed exit code: 7",
    ]);
  });

  it("ends what runs when the build ends, and keeps no more than 2 MiB of a step's output", async () => {
    const lines = await told((progress) => {
      progress.take(planned);
      progress.take({ kind: "started", step: 0 });
      for (let count = 0; count < 5; count += 1)
        progress.take({ kind: "output", step: 0, data: Buffer.alloc(1 << 20, "x") });
    });
    expect(lines.filter((line) => line.includes(" > "))).toHaveLength(3);
    expect(lines.filter((line) => line.includes("[output clipped, log limit 2MiB reached]"))).toHaveLength(1);
    expect(lines.at(-1)).toBe("[2/3] RUN a: started completed context canceled");
  });

  it("keeps what the checks find for the answer, where that is what was asked", async () => {
    const lines = await told((progress) => {
      progress.keepFindings();
      progress.take(planned);
      expect(progress.facts.findings).toHaveLength(1);
    });
    expect(lines.join()).not.toContain("!");
  });
});
