/** `LogConfig` of a container -> where its output is kept and how much of it. Pure.
 *  Source: Docker's json-file and local log drivers; their options max-size and max-file. */
import { TscomposeError } from "../../errors.ts";
import type { LogConfig } from "../types.ts";

export interface LogBounds {
  /** A file that has grown to this is closed and the next one begun; undefined: never. */
  readonly maxBytes: number | undefined;
  /** Files kept, the current one included. */
  readonly maxFiles: number;
}
export interface LogPlan {
  /** False for the driver `none`: `logs` is refused, nothing is kept beyond what an attach needs. */
  readonly readable: boolean;
  readonly bounds: LogBounds;
}

/** Below 30 MiB in all, also while a flood goes on in the next file and the oldest is not removed yet. */
const defaultBounds: LogBounds = { maxBytes: 9 * 1024 * 1024, maxFiles: 3 };
const knownOptions: readonly string[] = [
  "max-size",
  "max-file",
  "compress",
  "labels",
  "labels-regex",
  "env",
  "env-regex",
  "tag",
  "mode",
  "max-buffer-size",
];

/** Unless asked otherwise a container's log is bounded at 3 files of 9 MiB. @throws request/invalid, request/unsupported */
export function planLog(config: LogConfig | undefined): LogPlan {
  const driver = config?.Type ?? "";
  const options = config?.Config ?? {};
  switch (driver) {
    case "none":
      return { readable: false, bounds: { maxBytes: 1024 * 1024, maxFiles: 1 } };
    case "":
    case "json-file":
    case "local":
      break;
    default:
      throw new TscomposeError("request/unsupported", `logging driver "${driver}" is not supported`, {
        hint: "use json-file, local or none",
      });
  }
  for (const key of Object.keys(options)) {
    if (!knownOptions.includes(key)) {
      throw new TscomposeError("request/invalid", `unknown log opt '${key}' for ${driver || "json-file"} log driver`);
    }
  }
  const maxFiles = options["max-file"] === undefined ? defaultBounds.maxFiles : Number(options["max-file"]);
  if (!Number.isInteger(maxFiles) || maxFiles < 1) {
    throw new TscomposeError(
      "request/invalid",
      `invalid max-file: "${options["max-file"]}": max-file cannot be less than 1`,
    );
  }
  const size = options["max-size"];
  return {
    readable: true,
    bounds: { maxBytes: size === undefined ? defaultBounds.maxBytes : parseSize(size), maxFiles },
  };
}

const units: Readonly<Record<string, number>> = { "": 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** `10m`, `1.5g`, `512k`, bytes; `-1`: without bound. */
function parseSize(text: string): number | undefined {
  if (text === "-1") return undefined;
  const match = /^(\d+(?:\.\d+)?) ?([kmg]?)(?:i?b)?$/i.exec(text);
  const bytes = Math.floor(Number(match?.[1] ?? Number.NaN) * (units[(match?.[2] ?? "").toLowerCase()] ?? Number.NaN));
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw new TscomposeError("request/invalid", `invalid size: '${text}' for log opt max-size`, {
      hint: "write a size like 10m",
    });
  }
  return bytes;
}

/** Arguments for conmon. It begins a new file at the bound by itself, so that the bound holds while no engine runs. */
export function monitorLogArguments(logPath: string, bounds: LogBounds): readonly string[] {
  const size = bounds.maxBytes === undefined ? [] : ["--log-size-max", String(bounds.maxBytes)];
  return ["--log-path", `k8s-file:${logPath}`, "--no-sync-log", ...size];
}
