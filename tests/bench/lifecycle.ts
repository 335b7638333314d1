/** up, up again, recreate one, down of 1 to 50 services, and what engine and monitors hold in memory meanwhile. */
import { compare, type Figures, type Topic } from "./measure.ts";
import { sleepers, withProject } from "./project.ts";
import type { Side } from "./sides.ts";

export const lifecycle: Topic = {
  name: "lifecycle",
  run: async (bench) => {
    for (const services of bench.services)
      await compare(bench, `${services} services`, (side) => cycle(side, services));
  },
};

async function cycle(side: Side, services: number): Promise<Figures> {
  return await withProject((folder, write) => {
    const compose = (...args: readonly string[]): number => side.compose(["-p", "bench", ...args], folder);
    const file = (value: string): string =>
      sleepers(services, (index) => `, environment: {V: "${index === 0 ? value : ""}"}`);
    write(file("a"));
    const up = compose("up", "-d");
    const again = compose("up", "-d");
    write(file("b"));
    const recreate = compose("up", "-d", "-t", "0");
    const memory = side.memory();
    return {
      up,
      "up again": again,
      "recreate one": recreate,
      down: compose("down", "-t", "0"),
      "engine memory (kB)": memory.engineKb,
      "monitor memory a container (kB)": memory.monitorsKb / services,
    };
  });
}
