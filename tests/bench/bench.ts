/** `npm run bench`: tscompose against Docker Compose + Docker Engine on this machine, in one run, as medians and ratios.
 *  Arguments: `--runs N` (default 5), `--services 1,5,20,50`, `--json`, `--skip-pull`. */
import { spawn } from "node:child_process";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { repository, type Side, startDocker, startTscompose } from "./sides.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    services: { type: "string", default: "1,5,20,50" },
    json: { type: "boolean", default: false },
    "skip-pull": { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);

interface Row {
  readonly what: string;
  readonly tscompose: number;
  readonly docker: number | undefined;
}
const rows: Row[] = [];
const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`);

function composeFile(services: number, changed: string): string {
  const lines = Array.from(
    { length: services },
    (_, i) =>
      `  s${i}:\n    image: busybox:latest\n    command: sleep 3600\n    environment: {V: "${i === 0 ? changed : ""}"}\n`,
  );
  return `services:\n${lines.join("")}`;
}

/** One cycle on one side: every figure of a row set, in milliseconds. */
function cycle(side: Side, services: number): Record<string, number> {
  const project = mkdtempSync(join(tmpdir(), "bench-project-"));
  const write = (changed: string): void => writeFileSync(join(project, "compose.yaml"), composeFile(services, changed));
  try {
    write("a");
    const up = side.compose(["-p", "bench", "up", "-d"], project);
    const again = side.compose(["-p", "bench", "up", "-d"], project);
    const exec = side.compose(["-p", "bench", "exec", "-T", "s0", "true"], project);
    const ps = side.compose(["-p", "bench", "ps"], project);
    write("b");
    const recreate = side.compose(["-p", "bench", "up", "-d", "-t", "0"], project);
    const memory = side.memory();
    const down = side.compose(["-p", "bench", "down", "-t", "0"], project);
    const perContainer = memory.monitorsKb / services;
    return {
      up,
      "up again": again,
      exec,
      ps,
      "recreate one": recreate,
      down,
      "engine kB": memory.engineKb,
      "monitor kB each": perContainer,
    };
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
}

function compare(sides: readonly Side[], services: number): void {
  const samples = new Map(sides.map((side) => [side.name, [] as Record<string, number>[]]));
  for (let run = 0; run < runs; run++) {
    for (const side of sides) samples.get(side.name)?.push(cycle(side, services));
    say(`${services} services, run ${run + 1} of ${runs}`);
  }
  const figure = (name: Side["name"], key: string): number | undefined => {
    const list = samples.get(name);
    return list === undefined ? undefined : median(list.map((sample) => sample[key] ?? Number.NaN));
  };
  for (const key of Object.keys(samples.get("tscompose")?.[0] ?? {})) {
    rows.push({
      what: `${services} services: ${key}`,
      tscompose: figure("tscompose", key) ?? Number.NaN,
      docker: figure("docker", key),
    });
  }
}

/** Pull of an image of about 170 MB (three layers of mixed text and noise) from Debian's docker-registry on loopback. */
async function comparePull(sides: readonly Side[]): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), "bench-registry-"));
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
  writeFileSync(
    join(work, "config.yml"),
    `version: 0.1\nstorage: {filesystem: {rootdirectory: ${work}/data}}\nhttp: {addr: "127.0.0.1:${port}"}\nlog: {level: error}\n`,
  );
  const registry = spawn("docker-registry", ["serve", join(work, "config.yml")], { stdio: "ignore" });
  try {
    const reference = `127.0.0.1:${port}/bench:latest`;
    const docker = sides.find((side) => side.name === "docker");
    if (docker === undefined) return say("no peer: the pull is not measured");
    await new Promise((wait) => setTimeout(wait, 500));
    pushImage(reference, work);
    const samples = new Map(sides.map((side) => [side.name, [] as number[]]));
    for (let run = 0; run < runs; run++) {
      for (const side of sides) {
        side.removeImage(reference);
        samples.get(side.name)?.push(side.pull(reference));
      }
      say(`pull, run ${run + 1} of ${runs}`);
    }
    for (const side of sides) side.removeImage(reference);
    rows.push({
      what: "pull of 170 MB",
      tscompose: median(samples.get("tscompose") ?? []),
      docker: median(samples.get("docker") ?? []),
    });
  } finally {
    registry.kill();
    rmSync(work, { recursive: true, force: true });
  }
}

/** Makes a Debian root file system and pushes it through the registry's HTTP API with curl, as any client does. */
function pushImage(reference: string, work: string): void {
  const cached = join(repository, ".cache/bench-rootfs.tar");
  if (!existsSync(cached)) {
    mkdirSync(join(repository, ".cache"), { recursive: true });
    execFileSync("mmdebstrap", ["--quiet", "--variant=minbase", "--include=perl,python3", "bookworm", cached], {
      stdio: "ignore",
    });
  }
  execFileSync(process.execPath, [join(repository, "tests/bench/push-image.mjs"), reference, cached, work], {
    stdio: "inherit",
  });
}

function print(): void {
  if (values.json) return void process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
  const cells = rows.map((row) => [
    row.what,
    row.tscompose.toFixed(row.what.includes("kB") ? 0 : 1),
    row.docker === undefined ? "not run: no peer" : row.docker.toFixed(row.what.includes("kB") ? 0 : 1),
    row.docker === undefined ? "" : `${(row.docker / row.tscompose).toFixed(1)} x`,
  ]);
  const all = [["medians, ms unless said", "tscompose", "docker", "docker / tscompose"], ...cells];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  for (const row of all) {
    process.stdout.write(
      `${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  ")}\n`,
    );
  }
}

const archive = join(repository, ".cache/images/busybox.tar");
if (!existsSync(archive)) {
  mkdirSync(join(repository, ".cache/images"), { recursive: true });
  execFileSync(join(repository, "scripts/busybox-image"), [archive]);
}
const sides: Side[] = [];
try {
  sides.push(startTscompose());
  const docker = startDocker();
  if (docker === undefined) say("not run: no peer (../shared/peers); only tscompose is measured");
  else sides.push(docker);
  for (const side of sides) side.load(archive);
  for (const services of values.services.split(",").map(Number)) compare(sides, services);
  if (!values["skip-pull"]) await comparePull(sides);
} finally {
  for (const side of sides) side.stop();
}
print();
