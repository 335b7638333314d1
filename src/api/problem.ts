/** Error code <-> HTTP status, and the texts of Docker that clients look for. Pure.
 *  Source: moby daemon/server/httpstatus; engine-api reference, "Status mapping". */
import { errorMessage, isTscomposeError } from "../errors.ts";
import type { ErrorCode, TscomposeError } from "../errors.ts";

const statusOfCode: Readonly<Record<ErrorCode, number>> = {
  "request/invalid": 400,
  "request/conflict": 409,
  "request/unsupported": 501,
  "request/not-found": 404,
  "spec/invalid": 400,
  "compose/failed": 500,
  "compose/usage": 400,
  "container/not-found": 404,
  "container/ambiguous": 400,
  "container/name-in-use": 409,
  "container/wrong-status": 409,
  "container/not-modified": 304,
  "container/command-not-found": 400,
  "container/command-not-executable": 400,
  "container/start-failed": 500,
  "container/unhealthy": 500,
  "exec/not-found": 404,
  "image/not-found": 404,
  "image/in-use": 409,
  "image/invalid": 400,
  "image/pull-denied": 404,
  "image/digest-mismatch": 500,
  "registry/unreachable": 500,
  "registry/failed": 500,
  "network/not-found": 404,
  "network/in-use": 403,
  "network/invalid": 400,
  "network/name-in-use": 409,
  "network/subnet-overlap": 403,
  "network/pool-exhausted": 500,
  "network/address-in-use": 403,
  "port/in-use": 500,
  "volume/not-found": 404,
  "volume/in-use": 409,
  "build/failed": 500,
  "build/invalid": 400,
  "engine/unreachable": 503,
  "engine/failed": 500,
  "engine/locked": 409,
  "engine/api": 500,
  "host/command-failed": 500,
  "host/syscall-failed": 500,
  "host/unsupported": 501,
  "host/permission": 403,
  "host/no-space": 500,
  aborted: 499,
};

/** The body of an error answer. `code` and `hint` are ours; Docker's clients read `message` only. */
export interface Problem {
  readonly message: string;
  readonly code?: ErrorCode;
  readonly hint?: string;
}

/** Status and body for anything that can be thrown. What is not a `TscomposeError` is a fault of ours: 500. */
export function toProblem(error: unknown): { readonly status: number; readonly body: Problem } {
  if (!isTscomposeError(error)) return { status: 500, body: { message: errorMessage(error), code: "engine/failed" } };
  const body = { message: toDockerText(error), code: error.code };
  const status = statusFor(error);
  return { status, body: error.hint === undefined ? body : { ...body, hint: error.hint } };
}

/** A status given in the details wins: the same kind of refusal has several in Docker's API. */
function statusFor(error: TscomposeError): number {
  const own = error.details["httpStatus"];
  return typeof own === "number" && own >= 400 && own <= 599 ? own : statusOfCode[error.code];
}

const capitals: readonly (readonly [prefix: string, replacement: string])[] = [
  ["no such ", "No such "],
  ["conflict. ", "Conflict. "],
];

/** House messages start with a small letter; scripts and testcontainers grep for Docker's capitals. */
function toDockerText(error: TscomposeError): string {
  for (const [prefix, replacement] of capitals) {
    if (error.message.startsWith(prefix)) return replacement + error.message.slice(prefix.length);
  }
  return error.message;
}

const knownCodes: ReadonlySet<string> = new Set(Object.keys(statusOfCode));

/** The code that an answer stands for: the one in the body (our engine), else by status and Docker's text. */
export function codeOf(status: number, body: { readonly message: string; readonly code?: unknown }): ErrorCode {
  if (typeof body.code === "string" && knownCodes.has(body.code)) return body.code as ErrorCode;
  for (const [pattern, code] of codesByText) if (pattern.test(body.message)) return code;
  return codesByStatus.get(status) ?? "engine/api";
}

const codesByText: readonly (readonly [RegExp, ErrorCode])[] = [
  [/no such container/i, "container/not-found"],
  [/no such image/i, "image/not-found"],
  [/no such exec/i, "exec/not-found"],
  [/no such volume/i, "volume/not-found"],
  [/network \S+ not found/i, "network/not-found"],
  [/container name ".*" is already in use/i, "container/name-in-use"],
  [/multiple IDs found/i, "container/ambiguous"],
  [/network with name .* already exists/i, "network/name-in-use"],
  [/has active endpoints/i, "network/in-use"],
  [/pool overlaps/i, "network/subnet-overlap"],
  [/volume is in use/i, "volume/in-use"],
  [/port is already allocated|address already in use/i, "port/in-use"],
  [/pull access denied|manifest unknown|not found: manifest|repository does not exist/i, "image/pull-denied"],
  [/failed to resolve reference|dial tcp|no such host/i, "registry/unreachable"],
  [/is not running|is paused|is restarting|is running/i, "container/wrong-status"],
];
const codesByStatus: ReadonlyMap<number, ErrorCode> = new Map([
  [304, "container/not-modified"],
  [400, "request/invalid"],
  [401, "image/pull-denied"],
  [403, "request/conflict"],
  [404, "request/not-found"],
  [409, "request/conflict"],
  [501, "request/unsupported"],
]);
