import { describe, expect, test } from "vitest";
import { explainExecFailure } from "../../../../src/engine/streams/exec-failure.ts";

const crun = (msg: string) => JSON.stringify({ msg, level: "error", time: "2026-11-21T09:51:14.537919Z" });

describe("a command that could not be started", () => {
  test.each([
    [
      crun("executable file `/nonexistent` not found in $PATH: No such file or directory"),
      "/nonexistent",
      'exec: "/nonexistent": stat /nonexistent: no such file or directory',
      127,
    ],
    [
      crun("executable file `foo` not found in $PATH: No such file or directory"),
      "foo",
      'exec: "foo": executable file not found in $PATH',
      127,
    ],
    [crun("open executable: Permission denied"), "/etc/passwd", 'exec: "/etc/passwd": permission denied', 126],
    [
      crun("chdir `/nodir`: No such file or directory"),
      "true",
      'chdir to cwd ("/nodir") set in config.json failed: no such file or directory',
      127,
    ],
    [
      '{"level":"warning","msg":"something else"}\n' +
        '{"level":"error","msg":"exec failed: unable to start container process: exec: \\"foo\\": executable file not found in $PATH"}',
      "foo",
      'exec: "foo": executable file not found in $PATH',
      127,
    ],
    ["plain text from a runtime", "true", "plain text from a runtime", 126],
    ["", "true", "the runtime gave no reason", 126],
  ])("%s", (log, command, reason, exitCode) => {
    expect(explainExecFailure(log, command)).toEqual({
      message: `OCI runtime exec failed: exec failed: unable to start container process: ${reason}`,
      exitCode,
    });
  });
});
