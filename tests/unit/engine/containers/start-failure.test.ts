import { expect, test } from "vitest";
import { explainStartFailure } from "../../../../src/engine/containers/start-failure.ts";
import { TscomposeError } from "../../../../src/errors.ts";

const said = (text: string): TscomposeError => new TscomposeError("container/start-failed", text);

// What crun 1.8 and runc 1.1 say, and what Docker's clients look for in the answer.
test.each([
  [
    "executable file `nope` not found in $PATH: No such file or directory",
    "nope",
    127,
    "executable file not found in $PATH",
  ],
  ["executable file `/nope` not found: No such file or directory", "/nope", 127, "no such file or directory"],
  [
    'runc create failed: unable to start container process: exec: "nope": executable file not found in $PATH',
    "nope",
    127,
    "executable file not found",
  ],
  ["open executable: Permission denied", "/etc/passwd", 126, "permission denied"],
  ["open executable: Operation not permitted", "/etc", 126, "is a directory"],
  ["exec format error", "/bin/arm", 126, "exec format error"],
])("%s", (text, program, exitCode, words) => {
  const failure = explainStartFailure(said(text), program);
  expect(failure.exitCode).toBe(exitCode);
  expect(failure.error.message).toContain(words);
  expect(failure.error.code).toBe(
    exitCode === 127 ? "container/command-not-found" : "container/command-not-executable",
  );
});

test("a mount that fails is no missing command", () => {
  const failure = explainStartFailure(said("mount `/x` to `y`: No such file or directory"), "sh");
  expect(failure.exitCode).toBe(128);
  expect(failure.error.code).toBe("container/start-failed");
});

test("an error of its own kind stays what it is", () => {
  const error = new TscomposeError("port/in-use", "port 80 is taken");
  expect(explainStartFailure(error, "sh")).toEqual({ error, exitCode: 128 });
});
