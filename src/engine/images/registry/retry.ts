/** When a request to a registry is tried again. Pure but for `pause`. Source: containerd's contract (reliability.md section 1):
 *  5 attempts; Retry-After is honoured, one that is too long fails at once and says so; else 500 ms, doubled, with jitter. */
import { setTimeout as sleep } from "node:timers/promises";
import { TscomposeError } from "../../../errors.ts";

export const maxAttempts = 5;
/** Connections that cannot even be made. */
export const maxConnectAttempts = 3;
/** A wait longer than this is the user's decision. */
export const maxRetryAfterMs = 60_000;
const firstPauseMs = 500;

export function isRetriableStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/** Milliseconds of a Retry-After header: seconds or a date; undefined for none or nonsense. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(header)) return Number(header) * 1000;
  const at = /^[A-Z][a-z]+, .* GMT$/.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/** @param attempt how many were made, from 1
 *  @param random between 0 and 1 */
export function retryDelayMs(attempt: number, retryAfterMs: number | undefined, random: number): number {
  if (retryAfterMs !== undefined) return retryAfterMs;
  return firstPauseMs * 2 ** (attempt - 1) * (0.75 + random / 2);
}

/** @throws aborted */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    throw new TscomposeError("aborted", "the operation was aborted", { cause: error });
  }
}
