/** What a runtime says when it cannot start a program -> Docker's words and exit code, by which clients tell the cases apart.
 *  Pure. Source: engine-api.md section 2, cli-wire.md 2.14. */
import { TscomposeError, errorMessage, isTscomposeError } from "../../errors.ts";

export interface StartFailure {
  readonly error: TscomposeError;
  readonly exitCode: number;
}

const prefix = "failed to create task for container: OCI runtime create failed: unable to start container process";

/** `program`: what was to be executed. */
export function explainStartFailure(error: unknown, program: string): StartFailure {
  if (!isTscomposeError(error, "container/start-failed")) {
    return { error: asTscomposeError(error), exitCode: 128 };
  }
  const said = error.message;
  if (
    /executable file .*not found|exec(?:v|ve)?:?.*[Nn]o such file or directory|no such file or directory: unknown/.test(
      said,
    ) &&
    !/mount|rootfs/.test(said)
  ) {
    const inPath = !program.includes("/");
    const reason = inPath ? "executable file not found in $PATH" : `stat ${program}: no such file or directory`;
    return {
      error: new TscomposeError(
        "container/command-not-found",
        `${prefix}: exec: ${JSON.stringify(program)}: ${reason}: unknown`,
        {
          cause: error,
          hint: "check the command and the image's PATH",
        },
      ),
      exitCode: 127,
    };
  }
  // crun opens the program before it executes it: a directory is refused there.
  const directory = /open executable: Operation not permitted/.test(said) ? ["is a directory"] : null;
  const denied = (directory ??
    /permission denied|is a directory|exec format error|not executable/i.exec(said))?.[0]?.toLowerCase();
  if (denied !== undefined && !/mount/.test(said)) {
    return {
      error: new TscomposeError(
        "container/command-not-executable",
        `${prefix}: exec: ${JSON.stringify(program)}: ${denied}: unknown`,
        {
          cause: error,
          hint: "check that the program is executable and made for this machine",
        },
      ),
      exitCode: 126,
    };
  }
  return { error, exitCode: 128 };
}

function asTscomposeError(error: unknown): TscomposeError {
  if (isTscomposeError(error)) return error;
  return new TscomposeError("container/start-failed", errorMessage(error), { cause: error });
}
