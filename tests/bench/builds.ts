/** Builds: `tscompose build` against `docker build` (BuildKit), each a whole command. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compare, type Topic } from "./measure.ts";
import { withProject } from "./project.ts";

const service = "services: {a: {build: ., image: bench-build}}\n";

const threeSteps = "FROM busybox\nRUN echo a > /a\nRUN echo b > /b\nCOPY Dockerfile /c\n";

const tenStages = [
  ...Array.from({ length: 10 }, (_, i) => `FROM busybox AS s${i}\nRUN sleep 0.2 && echo ${i} > /out${i}`),
  "FROM scratch",
  ...Array.from({ length: 10 }, (_, i) => `COPY --from=s${i} /out${i} /`),
  "",
].join("\n");

/** Files of a few bytes to 2 kB. */
function writeFiles(folder: string, count: number): void {
  for (let index = 0; index < count; index += 1) {
    const directory = join(folder, `d${Math.floor(index / 100)}`);
    if (index % 100 === 0) mkdirSync(directory);
    writeFileSync(join(directory, `f${index}`), `file ${index} ${"x".repeat((index % 100) * 20)}\n`);
  }
}

export const builds: Topic = {
  name: "builds",
  run: async (bench) => {
    await withProject(async (folder, write) => {
      write(service);
      writeFileSync(join(folder, "Dockerfile"), threeSteps);
      await compare(bench, "build", (side) => ({
        "three steps, no cache": side.build(folder, ["--no-cache"]),
        "everything from the cache": side.build(folder, []),
      }));
      writeFileSync(join(folder, "Dockerfile"), tenStages);
      await compare(bench, "build", (side) => ({ "ten stages, no cache": side.build(folder, ["--no-cache"]) }));
    });
    await withProject(async (folder, write) => {
      write(service);
      writeFileSync(join(folder, "Dockerfile"), "FROM busybox\nCOPY . /src\n");
      writeFiles(folder, 20_000);
      for (const side of bench.sides) side.build(folder, []);
      let change = 0;
      await compare(bench, "build", (side) => {
        change += 1;
        writeFileSync(join(folder, "d7/f700"), `changed ${change}\n`);
        return { "one of 20,000 files changed": side.build(folder, []) };
      });
    });
  },
};
