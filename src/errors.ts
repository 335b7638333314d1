/** The one error class of the project. Every failure that a user can meet carries a code from the closed union below, the
 *  details of that code, and, where there is something to do about it, a hint. Imports nothing. */

/** `area/kebab`. Two exhaustive tables depend on it: HTTP status (`api/problem.ts`) and exit code (`cli/exit-codes.ts`). */
export type ErrorCode =
  | "request/invalid"
  | "request/conflict"
  | "request/unsupported"
  | "request/not-found"
  | "spec/invalid"
  | "compose/failed"
  | "compose/usage"
  | "container/not-found"
  | "container/ambiguous"
  | "container/name-in-use"
  | "container/wrong-status"
  | "container/not-modified"
  | "container/command-not-found"
  | "container/command-not-executable"
  | "container/start-failed"
  | "container/unhealthy"
  | "exec/not-found"
  | "image/not-found"
  | "image/in-use"
  | "image/invalid"
  | "image/pull-denied"
  | "image/digest-mismatch"
  | "registry/unreachable"
  | "registry/failed"
  | "network/not-found"
  | "network/in-use"
  | "network/invalid"
  | "network/name-in-use"
  | "network/subnet-overlap"
  | "network/pool-exhausted"
  | "network/address-in-use"
  | "port/in-use"
  | "volume/not-found"
  | "volume/in-use"
  | "build/failed"
  | "build/invalid"
  | "engine/unreachable"
  | "engine/failed"
  | "engine/locked"
  | "engine/api"
  | "host/command-failed"
  | "host/syscall-failed"
  | "host/unsupported"
  | "host/permission"
  | "host/no-space"
  | "aborted";

export type ErrorDetails = Readonly<Record<string, unknown>>;

export interface ErrorOptions {
  /** What to do about it: one sentence, imperative, without a full stop. */
  readonly hint?: string;
  readonly cause?: unknown;
  readonly details?: ErrorDetails;
}

/** Message: lower case, no full stop, names the resource and what was attempted. */
export class TscomposeError extends Error {
  override readonly name = "TscomposeError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }
}

/** True for a `TscomposeError`, and where `code` is given only for that code. */
export function isTscomposeError(value: unknown, code?: ErrorCode): value is TscomposeError {
  return value instanceof TscomposeError && (code === undefined || value.code === code);
}

/** The message of anything that can be thrown. */
export function errorMessage(value: unknown): string {
  return value instanceof Error ? value.message : String(value);
}

/** The `errno` name (`ENOENT`) of a Node or syscall error, else undefined. */
export function errnoOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("code" in value)) return undefined;
  return typeof value.code === "string" ? value.code : undefined;
}

/** For the end of an exhaustive switch. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}
