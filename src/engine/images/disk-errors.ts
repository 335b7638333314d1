/** A full disk is one clear error wherever it shows. */
import { errnoOf, TscomposeError } from "../../errors.ts";
import { syscallErrno } from "../../host/libc.ts";

/** The error to throw: host/no-space for ENOSPC and EDQUOT, else the error itself. */
export function explainDiskError(error: unknown): Error {
  const errno = syscallErrno(error) ?? errnoOf(error);
  if (errno === "ENOSPC" || errno === "EDQUOT") {
    return new TscomposeError("host/no-space", "no space left on device below the data root", {
      hint: "free disk space or inodes there, for example with image prune",
      cause: error,
    });
  }
  return error instanceof Error ? error : new Error(String(error));
}

/** The stream, with its errors explained. */
export async function* withDiskErrors<T>(stream: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* stream;
  } catch (error) {
    throw explainDiskError(error);
  }
}
