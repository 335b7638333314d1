/** What networks cost: a container more on a network, 100 published ports, 20 services on two networks each. What is not
 *  networking is measured beside it and taken off, on both sides alike. */
import { Docker } from "../../src/client/docker.ts";
import { compare, type Figures, type Topic } from "./measure.ts";
import { sleepers, withProject } from "./project.ts";
import type { Side } from "./sides.ts";

export const networks: Topic = {
  name: "networks",
  run: async (bench) => {
    await compare(bench, "one container", connectOne);
    await compare(bench, "100 published ports", publish);
    await compare(bench, "20 services on two networks", twoNetworks);
  },
};

/** Connect and disconnect of a running container: ten each, the mean. */
async function connectOne(side: Side): Promise<Figures> {
  const docker = new Docker({ socketPath: side.socketPath });
  const container = await docker.createContainer({ Image: "busybox:latest", Cmd: ["sleep", "3600"], name: "bench-c" });
  const made = await docker.createNetwork({ Name: "bench-n" });
  const network = docker.getNetwork(made.id);
  await container.start();
  let connectMs = 0;
  let disconnectMs = 0;
  const rounds = 10;
  for (let round = 0; round < rounds; round += 1) {
    connectMs += await elapsed(async () => await network.connect({ Container: container.id }));
    disconnectMs += await elapsed(async () => await network.disconnect({ Container: container.id }));
  }
  await container.remove({ force: true });
  await network.remove();
  docker.close();
  return { "connected to a network": connectMs / rounds, "disconnected from it": disconnectMs / rounds };
}

/** Start of a container with 100 published ports, less the start of one without. */
async function publish(side: Side): Promise<Figures> {
  const docker = new Docker({ socketPath: side.socketPath });
  const start = async (ports: number): Promise<number> => {
    const names = Array.from({ length: ports }, (_, index) => `${8000 + index}/tcp`);
    const container = await docker.createContainer({
      Image: "busybox:latest",
      Cmd: ["sleep", "3600"],
      ExposedPorts: Object.fromEntries(names.map((name) => [name, {}])),
      HostConfig: {
        PortBindings: Object.fromEntries(names.map((name) => [name, [{ HostIp: "127.0.0.1", HostPort: "" }]])),
      },
    });
    const ms = await elapsed(async () => await container.start());
    await container.remove({ force: true });
    return ms;
  };
  const without = await start(0);
  const all = await start(100);
  docker.close();
  return { "start, beyond one without": all - without };
}

/** `up` and `down` of 20 services on two networks each, less those of 20 services on none. */
async function twoNetworks(side: Side): Promise<Figures> {
  return await withProject((folder, write) => {
    const compose = (...args: readonly string[]): number => side.compose(["-p", "bench", ...args], folder);
    const cycle = (file: string): { readonly up: number; readonly upCpu: number; readonly down: number } => {
      write(file);
      const before = side.cpuMs();
      const up = compose("up", "-d");
      return { up, upCpu: side.cpuMs() - before, down: compose("down", "-t", "0") };
    };
    const none = cycle(sleepers(20, () => ", network_mode: none"));
    const two = cycle(`${sleepers(20, () => ", networks: [a, b]")}networks: {a: , b: }\n`);
    return {
      "up, beyond no network": two.up - none.up,
      "engine CPU of it": two.upCpu - none.upCpu,
      "down, beyond no network": two.down - none.down,
    };
  });
}

async function elapsed(body: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await body();
  return performance.now() - start;
}
