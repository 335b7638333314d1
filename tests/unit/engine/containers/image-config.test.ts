import { describe, expect, test } from "vitest";
import { checkConfig, commandOf, mergeConfig } from "../../../../src/engine/containers/create/image-config.ts";
import type { ContainerConfig } from "../../../../src/engine/types.ts";

const id = "0123456789ab".padEnd(64, "0");
const merge = (asked: ContainerConfig, image: ContainerConfig = {}): ContainerConfig => mergeConfig(asked, image, id);

describe("command and entrypoint", () => {
  const image = { Entrypoint: ["/entry"], Cmd: ["default"] };
  test.each<[ContainerConfig, readonly string[]]>([
    [{}, ["/entry", "default"]],
    [{ Cmd: ["mine"] }, ["/entry", "mine"]],
    [{ Entrypoint: ["/mine"] }, ["/mine"]],
    [{ Entrypoint: ["/mine"], Cmd: ["x"] }, ["/mine", "x"]],
    [{ Entrypoint: [""], Cmd: ["x"] }, ["x"]],
  ])("%j", (asked, argv) => {
    const { path, args } = commandOf(merge(asked, image));
    expect([path, ...args]).toEqual(argv);
  });

  test("an image without a command needs one", () => {
    expect(() => commandOf(merge({}))).toThrow("no command specified");
  });
});

test("the image adds environment, labels, ports and volumes, and does not replace what was asked for", () => {
  const config = merge(
    { Env: ["A=mine"], Labels: { a: "mine" }, ExposedPorts: { "1/tcp": {} } },
    {
      Env: ["A=image", "B=image"],
      Labels: { a: "image", b: "image" },
      ExposedPorts: { "2/tcp": {} },
      Volumes: { "/v": {} },
    },
  );
  expect(config.Env).toEqual(["A=mine", "B=image"]);
  expect(config.Labels).toEqual({ a: "mine", b: "image" });
  expect(Object.keys(config.ExposedPorts ?? {})).toEqual(["2/tcp", "1/tcp"]);
  expect(config.Volumes).toEqual({ "/v": {} });
  expect(config.Hostname).toBe("0123456789ab");
});

test("an image can neither claim a project's labels nor pick up a variable of the engine", () => {
  const config = merge(
    {},
    {
      Env: ["HOME", "", "=x", "OK=1"],
      Labels: { "com.docker.compose.project": "victim", "tscompose.x": "1", mine: "1" },
    },
  );
  expect(config.Env).toEqual(["OK=1"]);
  expect(config.Labels).toEqual({ mine: "1" });
});

test("a health check of the request takes single values from the image's", () => {
  const config = merge(
    { Healthcheck: { Interval: 5e9 } },
    { Healthcheck: { Test: ["CMD", "true"], Interval: 1e9, Retries: 3 } },
  );
  expect(config.Healthcheck).toEqual({ Test: ["CMD", "true"], Interval: 5e9, Retries: 3 });
});

describe("refused", () => {
  test.each(["-1", "2147483648", "4294967295", "4294967296", "1e3", "0x0", " 0", "1".repeat(31), "0:-1", "a:b:c"])(
    "the user %j, which is out of range or malformed",
    (User) => {
      const refused = User === "1e3" || User === "0x0";
      // These are names: they are looked up in the image, and are not there.
      if (refused) expect(() => checkConfig(merge({ User }))).not.toThrow();
      else expect(() => checkConfig(merge({ User }))).toThrow();
    },
  );
  test.each(["/proc/self/fd/9", "/proc", "/a/../proc/1/root", "proc/self/cwd"])(
    "the working directory %s",
    (WorkingDir) => {
      expect(() => checkConfig(merge({ WorkingDir }))).toThrow("below /proc");
      expect(() => checkConfig(merge({}, { WorkingDir }))).toThrow("below /proc");
    },
  );
  test("a hostname that would write lines of its own into /etc/hosts", () => {
    expect(() => checkConfig(merge({ Hostname: "x\n127.0.0.1 bank" }))).toThrow("invalid hostname");
  });
  test("NUL bytes, unknown signals, and intervals below a millisecond", () => {
    expect(() => checkConfig(merge({ Cmd: ["a\0b"] }))).toThrow("NUL");
    expect(() => checkConfig(merge({ StopSignal: "SIGNOPE" }))).toThrow("invalid signal: SIGNOPE");
    expect(() => checkConfig(merge({ Healthcheck: { Interval: 5 } }))).toThrow("cannot be less than 1ms");
  });
});
