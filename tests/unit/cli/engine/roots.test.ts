import { describe, expect, it } from "vitest";
import { readIdleMs } from "../../../../src/cli/engine/idle.ts";
import { readNetworkSettings } from "../../../../src/cli/engine/network-settings.ts";
import { engineArgv, engineEnvironment } from "../../../../src/cli/engine/reexec.ts";
import { resolveRoots } from "../../../../src/cli/engine/roots.ts";
import { renderUnit } from "../../../../src/cli/engine/systemd-unit.ts";

describe("the engine's folders", () => {
  it("are the system's unless the environment names others", () => {
    expect(resolveRoots({})).toMatchObject({
      dataRoot: "/var/lib/tscompose",
      socketPath: "/run/tscompose/docker.sock",
    });
    expect(resolveRoots({ TSCOMPOSE_RUN_ROOT: "/tmp/r", TSCOMPOSE_DATA_ROOT: "/tmp/d" })).toMatchObject({
      dataRoot: "/tmp/d",
      lockPath: "/tmp/r/engine.lock",
    });
  });

  it("are absolute, and short enough for a socket", () => {
    expect(() => resolveRoots({ TSCOMPOSE_DATA_ROOT: "here" })).toThrow(/TSCOMPOSE_DATA_ROOT must be an absolute path/);
    expect(() => resolveRoots({ TSCOMPOSE_RUN_ROOT: `/${"x".repeat(100)}` })).toThrow(/too long for a socket path/);
  });
});

describe("the engine's patience", () => {
  it("is five minutes, what the environment says, or without end", () => {
    expect([
      readIdleMs({}),
      readIdleMs({ TSCOMPOSE_ENGINE_IDLE: "1.5" }),
      readIdleMs({ TSCOMPOSE_ENGINE_IDLE: "0" }),
    ]).toEqual([300_000, 1500, undefined]);
    expect(() => readIdleMs({ TSCOMPOSE_ENGINE_IDLE: "soon" })).toThrow(/must be a number of seconds/);
  });
});

describe("the engine's environment", () => {
  it("holds what it needs and nothing else of its starter", () => {
    const environment = engineEnvironment({
      SECRET: "x",
      HTTPS_PROXY: "http://proxy",
      PATH: "/evil",
      TSCOMPOSE_RUN_ROOT: "/r",
    });
    expect(Object.keys(environment).toSorted()).toEqual([
      "HOME",
      "HTTPS_PROXY",
      "LC_ALL",
      "PATH",
      "TSCOMPOSE_ENGINE_NAMESPACE",
      "TSCOMPOSE_RUN_ROOT",
    ]);
    expect(environment["PATH"]).not.toContain("/evil");
  });

  it("starts through a mount namespace of its own", () => {
    expect(engineArgv("/usr/bin/node", "/opt/tscompose").join(" ")).toBe(
      "unshare --mount --propagation slave -- /usr/bin/node /opt/tscompose engine serve",
    );
  });
});

describe("settings of networks", () => {
  it("are read from the environment, and a wrong one is named", () => {
    expect(readNetworkSettings({})).toEqual({ pools: undefined, publishAddresses: undefined });
    expect(
      readNetworkSettings({ TSCOMPOSE_ADDRESS_POOLS: "10.1.0.0/16:24", TSCOMPOSE_PUBLISH_ADDRESS: "127.0.0.1, ::1" }),
    ).toEqual({ pools: [{ base: "10.1.0.0/16", size: 24 }], publishAddresses: ["127.0.0.1", "::1"] });
    expect(() => readNetworkSettings({ TSCOMPOSE_PUBLISH_ADDRESS: "localhost" })).toThrow(
      'TSCOMPOSE_PUBLISH_ADDRESS: "localhost" is no IP address',
    );
  });
});

describe("the systemd unit", () => {
  it("keeps containers alive when the engine stops, and quotes what systemd would expand", () => {
    const unit = renderUnit("/usr/bin/node", "/opt/my tools/100%/$x/tscompose", { TSCOMPOSE_RUN_ROOT: "/run/a b" });
    expect(unit).toContain("KillMode=process\n");
    expect(unit).toContain('Environment="TSCOMPOSE_RUN_ROOT=/run/a b"\n');
    expect(unit).toContain("Environment=TSCOMPOSE_ENGINE_IDLE=0\n");
    expect(unit).toContain('/usr/bin/node "/opt/my tools/100%%/$$x/tscompose" engine serve\n');
  });
});
