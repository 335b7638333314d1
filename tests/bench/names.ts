/** Questions about names at a steady pace, from a container whose servers outside are dead, asked by a program on a processor of its
 *  own where there is one. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { Docker } from "../../src/client/docker.ts";
import type { LoadResult } from "../support/dns-load.ts";
import { repository } from "../support/workspace.ts";
import { compare, type Figures, type Topic } from "./measure.ts";
import type { Side } from "./sides.ts";

const rate = 20_000;
const seconds = 2;

export const names: Topic = {
  name: "names",
  run: async (bench) => {
    const directory = mkdtempSync(join(tmpdir(), "bench-names-"));
    const program = join(directory, "dns-load");
    execFileSync("gcc", ["-O2", "-static", "-o", program, join(repository, "tests/support/dns-load.c")]);
    try {
      await compare(bench, `${rate} questions a second`, async (side) => await askSteadily(side, program));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

async function askSteadily(side: Side, program: string): Promise<Figures> {
  const docker = new Docker({ socketPath: side.socketPath });
  const network = docker.getNetwork((await docker.createNetwork({ Name: "bench-names" })).id);
  const start = async (alias: string): Promise<ReturnType<typeof docker.getContainer>> => {
    const container = await docker.createContainer({
      Image: "busybox:latest",
      Cmd: ["sleep", "3600"],
      HostConfig: { NetworkMode: "bench-names", Dns: ["198.51.100.77"] },
      NetworkingConfig: { EndpointsConfig: { "bench-names": { Aliases: [alias, "svc"] } } },
    });
    await container.start();
    return container;
  };
  const containers = [await start("a"), await start("b"), await start("c")];
  const { State } = (await containers[0]?.inspect()) ?? { State: { Pid: 0 } };
  const pin = cpus().length > 1 ? ["taskset", "-c", String(cpus().length - 1)] : [];
  const load = (span: number): LoadResult => {
    const [file, ...args] = ["nsenter", `--net=/proc/${State.Pid}/ns/net`, ...pin, program];
    const command = [...args, "127.0.0.11", "53", String(rate), String(span), "a", "svc", "b", "c"];
    return JSON.parse(execFileSync(file ?? "", command, { encoding: "utf8" })) as LoadResult;
  };
  load(1);
  const result = load(seconds);
  for (const container of containers) await container.remove({ force: true });
  await network.remove();
  docker.close();
  return {
    "half of them within": result.p50 / 1000,
    "99 % within": result.p99 / 1000,
    "answered (1/s)": result.answered / seconds,
  };
}
