/** What every topic of the bench measures with: both sides in turn, N times, medians out. */
import type { Side } from "./sides.ts";

export interface Row {
  readonly what: string;
  readonly unit: "ms" | "kB" | "MB/s" | "1/s";
  /** Medians; undefined: not measured on that side. */
  readonly tscompose: number | undefined;
  readonly docker: number | undefined;
  /** The factor that the row is judged by, at least 1 when tscompose is not worse. */
  readonly ratio: number | undefined;
}

/** One topic in a file of its own, named in `topics` of bench.ts; `--only NAME` picks it. */
export interface Topic {
  readonly name: string;
  readonly run: (bench: Bench) => Promise<void>;
}

/** Figures of one run on one side. A name ends with its unit where that is not milliseconds: `engine (kB)`. */
export type Figures = Readonly<Record<string, number>>;

export interface Bench {
  readonly runs: number;
  /** Sizes of projects that were asked for. */
  readonly services: readonly number[];
  /** tscompose first; docker where there is a peer. */
  readonly sides: readonly Side[];
  readonly rows: Row[];
  /** To stderr: how far it is, what was not measured and why. */
  say(text: string): void;
}

export const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

/** Runs `sample` on the sides in turn, `runs` times (default: the bench's), and adds a row for each figure's medians. */
export async function compare(
  bench: Bench,
  prefix: string,
  sample: (side: Side) => Figures | Promise<Figures>,
  runs = bench.runs,
): Promise<void> {
  const samples = new Map<Side["name"], Figures[]>(bench.sides.map(({ name }) => [name, []]));
  for (let run = 0; run < runs; run += 1) {
    for (const side of bench.sides) samples.get(side.name)?.push(await sample(side));
    bench.say(`${prefix}: run ${run + 1} of ${runs}`);
  }
  const figure = (name: Side["name"], key: string): number | undefined => {
    const list = samples.get(name) ?? [];
    return list.length === 0 ? undefined : median(list.map((figures) => figures[key] ?? Number.NaN));
  };
  for (const key of Object.keys(samples.get("tscompose")?.[0] ?? {}))
    bench.rows.push(row(`${prefix}: ${key}`, figure("tscompose", key), figure("docker", key)));
}

function row(name: string, tscompose: number | undefined, docker: number | undefined): Row {
  const [, what = name, unit = "ms"] = /^(.*) \((ms|kB|MB\/s|1\/s)\)$/.exec(name) ?? [];
  const more = unit === "MB/s" || unit === "1/s";
  // A difference may come out below zero where there is nothing to measure.
  const comparable = tscompose !== undefined && docker !== undefined && tscompose > 0 && docker > 0;
  const ratio = !comparable ? undefined : more ? tscompose / docker : docker / tscompose;
  return { what, unit: unit as Row["unit"], tscompose, docker, ratio };
}

/** A table of all rows, for people. */
export function table(rows: readonly Row[]): string {
  const cell = (value: number | undefined, unit: Row["unit"]): string =>
    value === undefined ? "not run: no peer" : value.toFixed(unit === "ms" ? 1 : 0);
  const cells = [
    ["medians", "unit", "tscompose", "docker", "better by"],
    ...rows.map((one) => [
      one.what,
      one.unit,
      cell(one.tscompose, one.unit),
      cell(one.docker, one.unit),
      one.ratio === undefined ? "" : `${one.ratio.toFixed(1)} x`,
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  return cells
    .map((line) =>
      line.map((text, i) => (i < 2 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0))).join("  "),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}
