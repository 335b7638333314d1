/** One TCP stream, from container to container and from the host to a published port, beside Docker's, whose engine has a network
 *  namespace of its own here: neither side's packets pass the other's rules. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Docker } from "../../src/client/docker.ts";
import { startPeerEngine } from "../support/peers.ts";
import { busyboxArchive, repository } from "../support/workspace.ts";
import { remember } from "./left-behind.ts";
import { compare, type Bench, type Figures, type Topic } from "./measure.ts";
import type { Side } from "./sides.ts";

const seconds = "0.5";
/** A sample is short: so many for each run that was asked for. */
const samplesARun = 5;
const port = 5201;
const namespace = "tscompose-bench";

export const throughput: Topic = {
  name: "throughput",
  run: async (bench) => {
    const directory = mkdtempSync(join(tmpdir(), "bench-tcp-"));
    const program = join(directory, "stream-load");
    execFileSync("gcc", ["-O2", "-static", "-o", program, join(repository, "tests/support/stream-load.c")]);
    const peer = bench.sides.length < 2 ? undefined : startPeer(directory, await busyboxArchive());
    const pairs = new Map<Side["name"], Pair>();
    try {
      for (const side of bench.sides) {
        const socketPath = side.name === "docker" ? peer?.host.replace("unix://", "") : side.socketPath;
        const enter = side.name === "docker" ? ["ip", "netns", "exec", namespace] : [];
        pairs.set(side.name, await startPair(socketPath ?? side.socketPath, enter, program));
      }
      await measure(bench, pairs);
    } finally {
      for (const pair of pairs.values()) await pair.close();
      peer?.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

async function measure(bench: Bench, pairs: ReadonlyMap<Side["name"], Pair>): Promise<void> {
  const sample = (side: Side): Figures => {
    const pair = pairs.get(side.name);
    if (pair === undefined) return {};
    return {
      "container to container (MB/s)": pair.between(),
      "host to published port (MB/s)": pair.published(),
    };
  };
  await compare(bench, "one TCP stream", sample, bench.runs * samplesARun);
}

/** The starter makes the namespace, and takes it away. */
function startPeer(directory: string, archive: string): { readonly host: string; stop(): void } | undefined {
  const forget = remember({ kind: "peer", directory });
  const engine = startPeerEngine(directory, namespace);
  if (engine === undefined) {
    forget();
    return undefined;
  }
  execFileSync(join(directory, "bin/docker"), ["-H", engine.host, "load", "-q", "-i", archive]);
  const stop = (): void => {
    engine.stop();
    forget();
  };
  return { host: engine.host, stop };
}

/** Two containers of one network; the second takes streams, at a published port too. */
interface Pair {
  /** Megabytes a second. */
  between(): number;
  published(): number;
  close(): Promise<void>;
}

async function startPair(socketPath: string, enter: readonly string[], program: string): Promise<Pair> {
  const docker = new Docker({ socketPath });
  const network = docker.getNetwork((await docker.createNetwork({ Name: "bench-tcp" })).id);
  const start = async (ports: object): Promise<ReturnType<typeof docker.getContainer>> => {
    const container = await docker.createContainer({
      Image: "busybox:latest",
      Cmd: ["sleep", "3600"],
      HostConfig: { NetworkMode: "bench-tcp", ...ports },
    });
    await container.start();
    return container;
  };
  const client = await start({});
  const server = await start({ PortBindings: { [`${port}/tcp`]: [{ HostIp: "", HostPort: "" }] } });
  const [from, to] = [await client.inspect(), await server.inspect()];
  const inside = (pid: number): readonly string[] => ["nsenter", `--net=/proc/${pid}/ns/net`];
  const serving = spawn("nsenter", [...inside(to.State.Pid).slice(1), program, "serve", String(port)]);
  await once(serving.stdout, "data");
  const address = to.NetworkSettings.Networks["bench-tcp"]?.IPAddress ?? "";
  const gateway = to.NetworkSettings.Networks["bench-tcp"]?.Gateway ?? "";
  const hostPort = to.NetworkSettings.Ports[`${port}/tcp`]?.[0]?.HostPort ?? "";
  const send = (before: readonly string[], host: string, at: string): number => {
    const [file, ...args] = [...before, program, "send", host, at, seconds];
    return Number(execFileSync(file ?? "", args, { encoding: "utf8" })) / 1e6;
  };
  return {
    between: () => send(inside(from.State.Pid), address, String(port)),
    published: () => send(enter, gateway, hostPort),
    close: async () => {
      serving.kill();
      for (const container of [client, server]) await container.remove({ force: true });
      await network.remove();
      docker.close();
    },
  };
}
