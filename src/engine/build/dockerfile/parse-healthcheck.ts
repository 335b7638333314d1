/** `HEALTHCHECK [--interval=...] CMD ...` and `HEALTHCHECK NONE`. */
import { parseDurationNs } from "./duration.ts";
import { readFlags } from "./flags.ts";
import type { FlagValues } from "./flags.ts";
import { goQuote } from "./go-text.ts";
import type { Healthcheck } from "./instruction.ts";
import { handleJsonArguments } from "./parse-copy-run.ts";
import { problem } from "./problem.ts";
import type { SyntaxNode } from "./syntax-tree.ts";

const minimumNs = 1_000_000;

function durationFlag(flags: FlagValues, name: string): number {
  const text = flags.text(name);
  if (text === "") return 0;
  const duration = parseDurationNs(text);
  if (duration !== 0 && duration < minimumNs) throw problem(`Interval ${goQuote(name)} cannot be less than 1ms`);
  return duration;
}

function retriesFlag(flags: FlagValues): number {
  const text = flags.text("retries");
  if (text === "") return 0;
  if (!/^[+-]?[0-9]+$/.test(text)) throw problem(`strconv.ParseInt: parsing ${goQuote(text)}: invalid syntax`);
  const retries = Number(text);
  if (retries > 2_147_483_647 || retries < -2_147_483_648)
    throw problem(`strconv.ParseInt: parsing ${goQuote(text)}: value out of range`);
  if (retries < 0) throw problem(`--retries cannot be negative (${retries})`);
  return retries;
}

/** `node` has at least one argument. `HEALTHCHECK NONE` looks at no flags.
 *  @throws build/invalid */
export function parseHealthcheck(node: SyntaxNode): Healthcheck {
  const [first = "", ...rest] = node.args;
  const type = first.toUpperCase();
  if (type === "NONE") {
    if (rest.length > 0) throw problem("HEALTHCHECK NONE takes no arguments");
    return { test: ["NONE"], intervalNs: 0, timeoutNs: 0, startPeriodNs: 0, startIntervalNs: 0, retries: 0 };
  }
  const flags = readFlags(node.flags, {
    interval: "text",
    timeout: "text",
    "start-period": "text",
    "start-interval": "text",
    retries: "text",
  });
  if (type !== "CMD") throw problem(`Unknown type ${goQuote(type)} in HEALTHCHECK (try CMD)`);
  const words = handleJsonArguments(rest, node.json);
  if (words.length === 0) throw problem("Missing command after HEALTHCHECK CMD");
  return {
    test: [node.json ? "CMD" : "CMD-SHELL", ...words],
    intervalNs: durationFlag(flags, "interval"),
    timeoutNs: durationFlag(flags, "timeout"),
    startPeriodNs: durationFlag(flags, "start-period"),
    startIntervalNs: durationFlag(flags, "start-interval"),
    retries: retriesFlag(flags),
  };
}
