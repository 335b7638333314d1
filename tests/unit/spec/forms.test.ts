import { describe, expect, it } from "vitest";

import { formatFloat, resolvePlain } from "../../../src/spec/scalar.ts";
import { splitCommand } from "../../../src/spec/shellwords.ts";
import { isIpAddress, parsePortSpec } from "../../../src/spec/short/port.ts";
import { parseVolumeSpec } from "../../../src/spec/short/volume.ts";
import { formatDuration, parseBytes, parseDuration, parseDurationNs, readBytes } from "../../../src/spec/units.ts";

describe("commands written as one text", () => {
  it.each<[string, string[] | undefined]>([
    ["echo hello  world", ["echo", "hello", "world"]],
    [`sh -c "a 'b' c" 'd "e"'`, ["sh", "-c", "a 'b' c", 'd "e"']],
    [`a\\ b "c\\"d" 'e\\f'`, ["a b", 'c"d', "e\\f"]],
    [`"" ''`, ["", ""]],
    ["a; b", ["a"]],
    ["a 2>err", ["a"]],
    ["$(date) `x y`", ["$(date)", "`x y`"]],
    ["", []],
    ["'open", undefined],
    ["(a)", undefined],
  ])("%s", (text, expected) => {
    expect(splitCommand(text)).toEqual(expected);
  });
});

describe("sizes", () => {
  it.each<[string, bigint | undefined]>([
    ["10", 10n],
    ["-1", -1n],
    ["1k", 1024n],
    ["1.5gb", 1610612736n],
    ["2 MiB", 2097152n],
    ["3b", 3n],
    ["1e3", undefined],
    ["m", undefined],
    ["1kbb", undefined],
    ["", undefined],
  ])("%s", (text, expected) => {
    expect(readBytes(text)).toBe(expected);
  });

  it("of the model are numbers of bytes", () => {
    expect(parseBytes("1048576")).toBe(1048576);
    expect(() => parseBytes("much")).toThrow(RangeError);
  });
});

describe("durations", () => {
  it.each<[string, string | undefined]>([
    ["90s", "1m30s"],
    ["1h", "1h0m0s"],
    ["1d2h", "26h0m0s"],
    ["1.5s", "1.5s"],
    ["100ms", "100ms"],
    ["1500us", "1.5ms"],
    ["0", "0s"],
    ["-1m", "-1m0s"],
    ["2w", "336h0m0s"],
    ["10", undefined],
    ["1x", undefined],
    ["", undefined],
  ])("%s prints as %s", (text, expected) => {
    const value = parseDurationNs(text);
    expect(value === undefined ? undefined : formatDuration(value)).toBe(expected);
  });

  it("are numbers of nanoseconds", () => {
    expect(parseDuration("1m30s")).toBe(90e9);
    expect(() => parseDuration("soon")).toThrow(RangeError);
  });
});

describe("ports", () => {
  it.each<[string, unknown]>([
    ["80", [{ hostIp: "", target: 80, published: "", protocol: "tcp" }]],
    ["8080:80/UDP", [{ hostIp: "", target: 80, published: "8080", protocol: "udp" }]],
    ["127.0.0.1::80", [{ hostIp: "127.0.0.1", target: 80, published: "", protocol: "tcp" }]],
    ["[::1]:1:2", [{ hostIp: "::1", target: 2, published: "1", protocol: "tcp" }]],
    ["8000-8010:80", [{ hostIp: "", target: 80, published: "8000-8010", protocol: "tcp" }]],
    ["1-2:3-4", [3, 4].map((target) => ({ hostIp: "", target, published: String(target - 2), protocol: "tcp" }))],
    ["1-3:4-5", expect.stringContaining("ranges of different length")],
    ["70000:1", "invalid host port: 70000"],
    ["nowhere:1:2", "invalid IP address: nowhere"],
    ["80/xyz", "invalid protocol: xyz"],
    [":", "no port specified: :"],
  ])("%s", (text, expected) => {
    expect(parsePortSpec(text)).toEqual(expected);
  });

  it.each(["1.2.3.4", "::", "::1", "2001:db8::1", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8"])("%s is an address", (text) => {
    expect(isIpAddress(text)).toBe(true);
  });

  it.each(["", "1.2.3", "01.2.3.4", "256.1.1.1", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "fe80::1%eth0"])(
    "%s is none",
    (text) => {
      expect(isIpAddress(text)).toBe(false);
    },
  );
});

describe("volumes", () => {
  it.each<[string, unknown]>([
    ["/data", expect.objectContaining({ type: "volume", source: "", target: "/data" })],
    [
      "./a:/b:ro,z",
      expect.objectContaining({ type: "bind", source: "./a", target: "/b", readOnly: true, selinux: "z" }),
    ],
    [
      "vol:/d:nocopy,cached",
      expect.objectContaining({ type: "volume", source: "vol", nocopy: true, unknown: ["cached"] }),
    ],
    ["C:\\a:/b", expect.objectContaining({ type: "bind", source: "C:\\a", target: "/b" })],
    ["${A:-x}:/b", expect.objectContaining({ source: "${A:-x}", target: "/b" })],
    [":/x", "empty section between colons"],
    ["aa:/b:ro:x", "too many colons"],
    ["", "empty volume specification"],
  ])("%s", (text, expected) => {
    expect(parseVolumeSpec(text)).toEqual(expected);
  });
});

describe("plain YAML values", () => {
  it.each<[string, unknown]>([
    ["0777", 511],
    ["0o17", 15],
    ["0x1F", 31],
    ["0b11", 3],
    ["1_000", 1000],
    ["-017", -15],
    ["089", 89],
    ["1e3", 1000],
    [".5", 0.5],
    ["true", true],
    ["yes", "yes"],
    ["~", null],
    ["", null],
    ["12:30", "12:30"],
    ["_1", "_1"],
    ["0o89", "0o89"],
    ["1e400", "1e400"],
    ["18446744073709551615", 18446744073709551615n],
    ["2001-01-01", "2001-01-01 00:00:00 +0000 UTC"],
    ["2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43.1 -0500 -0500"],
  ])("%s", (text, expected) => {
    expect(resolvePlain(text).value).toBe(expected);
  });

  it.each([
    [1e5, "100000"],
    [1e6, "1e+06"],
    [1234567.5, "1.2345675e+06"],
    [0.0001, "0.0001"],
    [0.00001, "1e-05"],
    [-0, "-0"],
  ])("%d prints as Go prints it", (value, expected) => {
    expect(formatFloat(value)).toBe(expected);
  });
});
