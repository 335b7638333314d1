/** `npm run bench`: tscompose against Docker Compose + Docker Engine on this machine, in one run, as medians and ratios.
 *  Arguments: `--runs N` (default 5), `--services 1,5,20,50`, `--only TOPIC[,TOPIC]`, `--json`. */
import { parseArgs } from "node:util";
import { busyboxArchive } from "../support/workspace.ts";
import { builds } from "./builds.ts";
import { commands } from "./commands.ts";
import { images } from "./images.ts";
import { clearLeftBehind, clearOwn } from "./left-behind.ts";
import { lifecycle } from "./lifecycle.ts";
import { type Bench, table, type Topic } from "./measure.ts";
import { names } from "./names.ts";
import { networks } from "./networks.ts";
import { type Side, startDocker, startTscompose } from "./sides.ts";
import { throughput } from "./throughput.ts";

const topics: readonly Topic[] = [lifecycle, commands, networks, names, throughput, images, builds];

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    services: { type: "string", default: "1,5,20,50" },
    only: { type: "string", default: topics.map(({ name }) => name).join(",") },
    json: { type: "boolean", default: false },
  },
});

const wanted = values.only.split(",");
const unknown = wanted.filter((name) => !topics.some((topic) => topic.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `bench: no topic ${unknown.join(", ")}: there are ${topics.map(({ name }) => name).join(", ")}\n`,
  );
  process.exit(1);
}

const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`);
const sides: Side[] = [];
const bench: Bench = {
  runs: Number(values.runs),
  services: values.services.split(",").map(Number),
  sides,
  rows: [],
  say,
};
for (const [signal, number] of [
  ["SIGHUP", 1],
  ["SIGINT", 2],
  ["SIGTERM", 15],
] as const)
  process.once(signal, () => {
    say("told to end: taking away what was started");
    clearOwn();
    process.exit(128 + number);
  });
const left = clearLeftBehind();
if (left > 0) say(`took away ${left} engines that a bench left which was killed`);
try {
  const archive = await busyboxArchive();
  sides.push(startTscompose());
  const docker = startDocker();
  if (docker === undefined) say("not run: no peer (../shared/peers); only tscompose is measured");
  else sides.push(docker);
  for (const side of sides) side.load(archive);
  for (const topic of topics) {
    if (!wanted.includes(topic.name)) continue;
    try {
      await topic.run(bench);
    } catch (error) {
      // What was measured before is shown all the same.
      say(`${topic.name} failed: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    }
  }
} finally {
  for (const side of sides) side.stop();
}
process.stdout.write(values.json ? `${JSON.stringify(bench.rows, undefined, 2)}\n` : table(bench.rows));
