import { describe, expect, test } from "vitest";
import { execProcess, type ExecWishes } from "../../../../src/engine/streams/exec-process.ts";

const base = {
  terminal: true,
  consoleSize: { height: 1, width: 2 },
  user: { uid: 1000, gid: 1000, additionalGids: [7] },
  args: ["server"],
  env: ["PATH=/bin", "HOME=/srv", "A=1"],
  cwd: "/srv",
  capabilities: { bounding: ["CAP_CHOWN", "CAP_KILL"], permitted: [], effective: [], inheritable: [], ambient: [] },
  noNewPrivileges: true,
  apparmorProfile: "tscompose-default",
  rlimits: [{ type: "RLIMIT_NOFILE", hard: 10, soft: 10 }],
};

function exec(config: ExecWishes["config"], more: Partial<ExecWishes> = {}) {
  return execProcess(base, { config, user: undefined, consoleSize: undefined, allCapabilities: ["CAP_ALL"], ...more });
}

describe("the process of an exec", () => {
  test("keeps the container's user, directory, limits and confinement, and takes its own command", () => {
    expect(exec({ Cmd: ["sh", "-c", "true"] })).toEqual({
      terminal: false,
      user: { uid: 1000, gid: 1000, additionalGids: [7] },
      args: ["sh", "-c", "true"],
      env: ["PATH=/bin", "HOME=/srv", "A=1"],
      cwd: "/srv",
      capabilities: { bounding: ["CAP_CHOWN", "CAP_KILL"], permitted: [], effective: [], inheritable: [], ambient: [] },
      noNewPrivileges: true,
      apparmorProfile: "tscompose-default",
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 10, soft: 10 }],
    });
  });

  test("root gets the container's bounding set, with nothing inheritable or ambient", () => {
    const user = { uid: 0, gid: 0, home: "/root" };
    expect(exec({ Cmd: ["id"], User: "root" }, { user }).capabilities).toEqual({
      bounding: ["CAP_CHOWN", "CAP_KILL"],
      permitted: ["CAP_CHOWN", "CAP_KILL"],
      effective: ["CAP_CHOWN", "CAP_KILL"],
      inheritable: [],
      ambient: [],
    });
  });

  test("a privileged exec has every capability and no profile", () => {
    const user = { uid: 0, gid: 0, home: "/root" };
    const process = exec({ Cmd: ["id"], Privileged: true }, { user });
    expect(process.capabilities?.effective).toEqual(["CAP_ALL"]);
    expect(process.apparmorProfile).toBe("unconfined");
  });

  test("environment: the container's, the user's home, then the request; an entry without = removes", () => {
    const user = { uid: 5, gid: 5, home: "/home/five" };
    expect(exec({ Cmd: ["env"], Env: ["A=2", "B=", "PATH", "=x", ""] }, { user }).env).toEqual([
      "HOME=/home/five",
      "A=2",
      "B=",
    ]);
    expect(exec({ Cmd: ["env"], Env: ["HOME=/mine"] }, { user }).env).toContain("HOME=/mine");
  });

  test("a terminal has a size and a TERM that the container may override", () => {
    const process = exec({ Cmd: ["sh"], Tty: true }, { consoleSize: [24, 81] });
    expect(process).toMatchObject({ terminal: true, consoleSize: { height: 24, width: 81 } });
    expect(process.env).toContain("TERM=xterm");
    expect(exec({ Cmd: ["sh"], Tty: true, Env: ["TERM=vt100"] }).env).toContain("TERM=vt100");
  });
});
