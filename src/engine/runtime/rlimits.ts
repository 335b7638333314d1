/** Resource limits of a container's process: always explicit, so that nothing depends on the shell that started the engine. Pure.
 *  Source: getrlimit(2); Docker's ulimits; systemd's default of 1024:524288 open files. */
import { TscomposeError } from "../../errors.ts";
import type { Ulimit } from "../types.ts";
import type { ProcessSpec } from "./spec-types.ts";

const names = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack as".split(" "),
);
const defaults: readonly Ulimit[] = [
  { Name: "nofile", Soft: 1024, Hard: 524_288 },
  { Name: "nproc", Soft: -1, Hard: -1 },
];
/** -1 stands for no limit. `hard`: the most that the engine can give, by OCI name; absent: no bound.
 *  @throws request/invalid, host/unsupported for more than the engine may have itself */
export function rlimits(wanted: readonly Ulimit[], hard: Readonly<Record<string, number>>): ProcessSpec["rlimits"] {
  const limits = new Map(defaults.map((limit) => [limit.Name, bounded(limit, hard)]));
  for (const limit of wanted) {
    checkUlimit(limit);
    const name = limit.Name.toLowerCase();
    const most = mostOf(name, hard);
    const [soft, top] = [asNumber(limit.Soft), asNumber(limit.Hard)];
    if (top > most) {
      throw new TscomposeError(
        "host/unsupported",
        `ulimit ${name}: ${limit.Hard} is more than the engine's own hard limit ${most}, and it may not raise it`,
        { hint: `use at most ${most}, or run the engine with CAP_SYS_RESOURCE` },
      );
    }
    limits.set(name, entry(name, soft, top));
  }
  return [...limits.values()];
}

/** @throws request/invalid */
export function checkUlimit({ Name, Soft, Hard }: Ulimit): void {
  if (!names.has(Name.toLowerCase())) {
    throw new TscomposeError("request/invalid", `invalid ulimit type: ${Name}`, {
      hint: `use one of ${[...names].join(", ")}`,
    });
  }
  if (asNumber(Soft) > asNumber(Hard)) {
    const message = `ulimit soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`;
    throw new TscomposeError("request/invalid", `${message} (${Name})`);
  }
}

function bounded(limit: Ulimit, hard: Readonly<Record<string, number>>): ProcessSpec["rlimits"][number] {
  const top = Math.min(asNumber(limit.Hard), mostOf(limit.Name, hard));
  return entry(limit.Name, Math.min(asNumber(limit.Soft), top), top);
}

function mostOf(name: string, hard: Readonly<Record<string, number>>): number {
  return hard[`RLIMIT_${name.toUpperCase()}`] ?? Infinity;
}

const asNumber = (value: number): number => (value < 0 ? Infinity : value);

/** 2^64 - 1 means no limit. As a JavaScript number it is 2^64, which the runtimes refuse: `specText` writes it right. */
const unlimited = 2 ** 64;

function entry(name: string, soft: number, hard: number): ProcessSpec["rlimits"][number] {
  const value = (number: number): number => (number === Infinity ? unlimited : number);
  return { type: `RLIMIT_${name.toUpperCase()}`, soft: value(soft), hard: value(hard) };
}

/** The specification as the runtimes read it. */
export function specText(spec: object): string {
  return JSON.stringify(spec).replaceAll(`:${unlimited}`, ":18446744073709551615");
}
