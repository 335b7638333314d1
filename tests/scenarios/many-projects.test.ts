/** Many projects up at the same time: each network has addresses of its own, and each container finds its neighbour.
 *  TSCOMPOSE_PROJECTS sets how many (12; 300 is what must hold). */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Docker } from "../../src/client/docker.ts";
import { overlaps, parseSubnet } from "../../src/network/cidr.ts";
import { Workspace } from "../support/workspace.ts";

const count = Number(process.env["TSCOMPOSE_PROJECTS"] ?? "12");
const atOnce = 12;
const composeFile = `services:
  a: {image: "busybox:latest", command: sleep 100000, stop_grace_period: 0s}
`;
const names = Array.from({ length: count }, (_, n) => `many${n}`);

/** All at once up to a number that the machine's memory holds: each is a process of the command line. */
async function forAll(work: (name: string) => Promise<unknown>): Promise<void> {
  const rest = [...names];
  const worker = async (): Promise<void> => {
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) await work(name);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

describe(`${count} projects`, () => {
  let workspace: Workspace;
  beforeAll(async () => {
    workspace = await Workspace.create();
    await workspace.loadBusybox();
    for (const name of names) {
      mkdirSync(join(workspace.project, name));
      writeFileSync(join(workspace.project, name, "compose.yaml"), composeFile);
    }
  });
  afterAll(async () => await workspace.dispose());
  const inProject = (name: string): { readonly cwd: string } => ({ cwd: join(workspace.project, name) });

  test(
    "all come up at once, without an address conflict",
    async () => {
      await forAll((name) => workspace.ok(["up", "-d"], inProject(name)));
      const docker = new Docker({ socketPath: workspace.socket });
      const containers = await docker.listContainers({ filters: { status: ["running"] } });
      const networks = (await docker.listNetworks()).filter(({ Name }) => Name.startsWith("many"));
      docker.close();
      expect(containers).toHaveLength(count);
      const addresses = containers.flatMap(({ NetworkSettings }) =>
        Object.values(NetworkSettings.Networks).map(({ IPAddress }) => IPAddress),
      );
      expect(new Set(addresses).size).toBe(count);
      const subnets = networks.flatMap(({ IPAM }) =>
        IPAM.Config.flatMap(({ Subnet }) => parseSubnet(Subnet ?? "") ?? []),
      );
      expect(subnets).toHaveLength(count);
      const sorted = subnets.toSorted((a, b) => (a.base < b.base ? -1 : 1));
      expect(sorted.filter((subnet, n) => n > 0 && overlaps(subnet, sorted[n - 1] ?? subnet))).toEqual([]);
    },
    30_000 + count * 5000,
  );

  test(
    "down leaves nothing of any of them",
    async () => {
      await forAll((name) => workspace.ok(["down"], inProject(name)));
      expect(await workspace.leaks()).toEqual([]);
    },
    30_000 + count * 5000,
  );
});
