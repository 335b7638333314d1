/** Pure: failures of the connection and of progress streams as errors with a remedy. */
import { TscomposeError, errnoOf, errorMessage } from "../errors.ts";
import type { ProgressMessage } from "../api/wire.ts";

export interface FailedCall {
  readonly address: string;
  /** Method and path. */
  readonly target: string;
  readonly signal: AbortSignal | undefined;
}

export function connectionError(error: unknown, call: FailedCall): TscomposeError {
  if (error instanceof TscomposeError) return error;
  if (call.signal?.aborted === true)
    return new TscomposeError("aborted", `${call.target} was aborted`, { cause: error });
  const errno = errnoOf(error);
  if (errno === "EACCES") {
    return new TscomposeError("host/permission", `no permission to use the engine at ${call.address}`, {
      cause: error,
      hint: "run the command as root, or as a member of the group that owns the socket",
    });
  }
  const reason = errno ?? errorMessage(error);
  return new TscomposeError("engine/unreachable", `cannot reach the engine at ${call.address}: ${reason}`, {
    cause: error,
    details: { errno, request: call.target },
    hint: "check that it runs (`tscompose engine status`) and that -H or DOCKER_HOST names its socket",
  });
}

/** The error line of a pull, push, load or build. */
export function progressError(message: string, line: ProgressMessage): TscomposeError {
  const code = /denied|unauthorized|authentication|no basic auth|manifest unknown/i.test(message)
    ? "image/pull-denied"
    : "engine/failed";
  const { code: exitCode, hint } = line.errorDetail ?? {};
  return new TscomposeError(code, message, { details: { exitCode }, ...(hint === undefined ? {} : { hint }) });
}
