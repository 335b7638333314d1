/** What builds keep: seen by `system df`, pruned by filters, held while a build runs, brought down to its limit. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, Workspace } from "../../support/workspace.ts";
import { Docker } from "../../../src/client/docker.ts";

interface Usage {
  readonly BuildCache: readonly {
    readonly ID: string;
    readonly Type: string;
    readonly Description: string;
    readonly Shared: boolean;
  }[];
}

let workspace: Workspace;
let docker: Docker;
beforeAll(async () => {
  workspace = await Workspace.create({
    "compose.yaml": "services: {web: {build: .}}",
    Dockerfile: `FROM busybox AS big
RUN --mount=type=cache,target=/c dd if=/dev/zero of=/big bs=1M count=3 && touch /c/x
FROM busybox
RUN --mount=from=big,target=/from wc -c < /from/big > /size`,
  });
  await workspace.loadBusybox();
  docker = new Docker({ socketPath: workspace.socket });
});
afterAll(async () => {
  docker.close();
  await workspace.dispose();
});

const cache = async (): Promise<Usage["BuildCache"]> => ((await docker.df()) as unknown as Usage).BuildCache;
const described = async (): Promise<readonly string[]> =>
  (await cache())
    .map(({ Type, Description, Shared }) => `${Type}: ${Description.slice(0, 20)}${Shared ? " (shared)" : ""}`)
    .toSorted();
const prune = async (options: object): Promise<number> =>
  ((await docker.pruneBuilder(options)) as { readonly SpaceReclaimed: number }).SpaceReclaimed;

test("df tells of steps, cache mounts and contexts, and which an image has", async () => {
  await workspace.ok(["build"]);
  expect(await described()).toEqual([
    "exec.cachemount: cache mount",
    "regular: RUN --mount=from=big (shared)",
    "regular: RUN --mount=type=cac",
    "source.local: files of a build con",
  ]);
});

test("prune takes what its filters name, and says how much that was", async () => {
  expect(await prune({ filters: { type: ["exec.cachemount"] } })).toBe(0);
  expect(await prune({ filters: { until: ["1h"] } })).toBe(0);
  expect((await cache()).length).toBe(3);
  expect(await prune({ filters: { type: ["regular"] } })).toBe(3 * 1024 * 1024);
  expect(await described()).toEqual(["regular: RUN --mount=from=big (shared)", "source.local: files of a build con"]);
  await expect(prune({ filters: { nonsense: ["x"] } })).rejects.toThrow("invalid filter 'nonsense'");
});

test("prune without all leaves what images have; with all nothing stays, and images work", async () => {
  await prune({});
  expect(await described()).toEqual(["regular: RUN --mount=from=big (shared)"]);
  await prune({ all: true });
  expect(await cache()).toEqual([]);
  expect(await workspace.ok(["run", "--rm", "-T", "--quiet", "web", "cat", "/size"])).toBe("3145728\n");
});

test("beyond the limit what was used longest ago goes after a build", async () => {
  await workspace.ok(["engine", "stop"]);
  const env = { TSCOMPOSE_BUILD_CACHE_LIMIT: String(4 * 1024 * 1024) };
  await workspace.ok(["build"], { env });
  expect(await described()).toContain("regular: RUN --mount=type=cac");
  workspace.write({
    Dockerfile:
      "FROM busybox AS b\nRUN dd if=/dev/zero of=/other bs=1M count=3\nFROM busybox\nRUN --mount=from=b,target=/x true",
  });
  await workspace.ok(["build"], { env });
  // The build has answered before the cache is looked at.
  await eventually(async () => ((await described()).includes("regular: RUN --mount=type=cac") ? undefined : true));
  expect(await described()).toContain("regular: RUN dd if=/dev/zero ");
});
