import { describe, expect, it } from "vitest";

import { formatDiagnostic } from "../../../src/spec/format-diagnostic.ts";
import { loadMemory, refusals } from "../../conformance/compose-spec/support.ts";

const codes = async (text: string | Uint8Array): Promise<string[]> =>
  (await refusals({ "compose.yaml": text })).map((one) => one.code);

describe("hostile files", () => {
  it("over 8 MiB are refused before they are parsed", async () => {
    expect(await codes(new Uint8Array(100 * 1024 * 1024).fill(35))).toEqual(["too-large"]);
  });

  it("that expand to more than 50,000 values by aliases are refused", async () => {
    const bomb = ["x-a: &a [1,2,3,4,5,6,7,8,9]"];
    for (const [index, name] of Array.from("bcdefgh").entries()) {
      const before = "abcdefgh"[index] ?? "";
      bomb.push(`x-${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(",")}]`);
    }
    expect(await codes(`${bomb.join("\n")}\nservices: {}\n`)).toEqual(["too-large"]);
  });

  it("that nest thousands of levels deep are refused", async () => {
    const found = await refusals({ "compose.yaml": `x: ${"[".repeat(5000)}${"]".repeat(5000)}\n` });
    expect(found.every((one) => one.code === "too-large" || one.code === "yaml-syntax")).toBe(true);
  });

  it("that give a key twice are refused at the second one", async () => {
    const found = await refusals({ "compose.yaml": "services:\n  a:\n    image: x\n    image: y\n" });
    expect(found.map((one) => [one.code, one.place?.line])).toEqual([["yaml-duplicate-key", 4]]);
  });

  it("that hold NUL or other control characters are refused at them", async () => {
    const found = await refusals({ "compose.yaml": "services:\n  a:\n    image: 'x\0y'\n" });
    expect(found.map((one) => [one.code, one.place?.line, one.place?.column])).toEqual([["encoding", 3, 14]]);
    expect(await codes("services: {}\n# \u0007\n")).toEqual(["encoding"]);
  });

  it("that are not UTF-8 are refused", async () => {
    expect(await codes(new Uint8Array([0x61, 0x3a, 0x20, 0xff, 0xfe]))).toEqual(["encoding"]);
  });

  it("that alias a value inside itself are refused", async () => {
    expect(await codes("x-a: &a\n  b: *a\nservices: {}\n")).toEqual(["yaml-alias"]);
  });

  it("may call things __proto__ and constructor", async () => {
    const yaml =
      "services:\n  constructor:\n    image: x\n    environment: {__proto__: p, toString: t}\n    labels: [__proto__=q]\nvolumes: {__proto__: {}}\n";
    const { project } = await loadMemory({ "compose.yaml": yaml }, { prune: "nothing" });
    expect(Object.keys(project.services)).toEqual(["constructor"]);
    expect(Object.entries(project.services["constructor"]?.environment ?? {})).toEqual([
      ["__proto__", "p"],
      ["toString", "t"],
    ]);
    expect(Object.keys(project.volumes)).toEqual(["__proto__"]);
    expect(({} as Record<string, unknown>)["p"]).toBeUndefined();
  });

  it("cannot drive the terminal through a message", () => {
    const text = formatDiagnostic({
      severity: "error",
      code: "yaml-key",
      message: "a\u001b[31mb",
      path: [],
      chain: [],
    });
    expect(text).toBe("error[yaml-key]: a\ufffd[31mb");
  });
});
