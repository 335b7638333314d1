/** dockerode's two calling conventions over one promise. */
import type { Callback } from "./options.ts";

/** The promise itself, or nothing when its outcome goes to `callback`. */
export function withCallback<Result>(
  promise: Promise<Result>,
  callback: Callback<Result> | undefined,
): Promise<Result> | void {
  if (callback === undefined) return promise;
  // On the next tick, so that what the callback throws is the caller's uncaught exception, not our rejection.
  promise.then(
    (result) => process.nextTick(callback, null, result),
    (error: unknown) => process.nextTick(callback, error instanceof Error ? error : new Error(String(error))),
  );
}
