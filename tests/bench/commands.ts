/** The commands that people type all day: each is over in a moment, so starting the program is most of it. */
import { compare, type Topic } from "./measure.ts";
import { sleepers, withProject } from "./project.ts";

export const commands: Topic = {
  name: "commands",
  run: async (bench) => {
    for (const services of bench.services)
      await withProject(async (folder, write) => {
        write(`name: bench\n${sleepers(services)}`);
        for (const side of bench.sides) side.compose(["-p", "bench", "up", "-d"], folder);
        await compare(
          bench,
          `${services} services`,
          (side) => ({
            exec: side.compose(["-p", "bench", "exec", "-T", "s0", "true"], folder),
            "exec by file": side.compose(["exec", "-T", "s0", "true"], folder),
            ps: side.compose(["-p", "bench", "ps"], folder),
            "ps by file": side.compose(["ps"], folder),
            logs: side.compose(["-p", "bench", "logs", "s0"], folder),
            ls: side.compose(["ls"], folder),
          }),
          bench.runs * 3,
        );
        for (const side of bench.sides) side.compose(["-p", "bench", "down", "-t", "0"], folder);
      });
  },
};
