import { isTscomposeError, type ErrorCode } from "../errors.ts";

/** Docker Compose ends with 1 on any error, and with 130 on what the user broke off. */
const special: Readonly<Partial<Record<ErrorCode, number>>> = { aborted: 130 };

/** Not an error: the command ends with this code, having said all there is to say. */
export class ExitCode extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exit code ${code}`);
    this.code = code;
  }
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof ExitCode) return error.code;
  return isTscomposeError(error) ? (special[error.code] ?? 1) : 1;
}
