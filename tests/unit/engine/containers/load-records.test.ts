import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadRecords } from "../../../../src/engine/containers/load-records.ts";
import { containerPaths, containersDir } from "../../../../src/engine/containers/paths.ts";
import { bootId } from "../../../../src/host/process-identity.ts";
import { record, state } from "./fixtures.ts";

let root: string;
let roots: { readonly dataRoot: string; readonly runRoot: string };
const id = "a".repeat(64);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tsc-records-"));
  roots = { dataRoot: join(root, "data"), runRoot: join(root, "run") };
  mkdirSync(containerPaths(roots, id).dir, { recursive: true });
  mkdirSync(containerPaths(roots, id).bundle, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

const write = (text: string): void => writeFileSync(containerPaths(roots, id).record, text);
const whole = JSON.stringify(record({ state: state({ status: "created" }) }));

test("a record is read as it was written", () => {
  write(whole);
  expect(loadRecords(roots)).toEqual({ records: [JSON.parse(whole)], leftovers: [], corrupt: [] });
});

test("the state of this boot is newer than the record's; that of another boot, or a torn one, does not count", () => {
  write(whole);
  const status = (text: string): string | undefined => {
    writeFileSync(containerPaths(roots, id).state, text);
    return loadRecords(roots).records[0]?.state.status;
  };
  const exited = JSON.stringify({ bootId: bootId(), state: state({ status: "exited" }) });
  expect(status(exited)).toBe("exited");
  expect(status(`${exited}\nwhat an older and longer one has left behind}`)).toBe("exited");
  expect(status(JSON.stringify({ bootId: "another", state: state({ status: "exited" }) }))).toBe("created");
  expect(status(exited.slice(0, 50))).toBe("created");
});

test("a directory without a record is a leftover", () => {
  expect(loadRecords(roots)).toMatchObject({ records: [], leftovers: [containerPaths(roots, id).dir], corrupt: [] });
});

describe("a damaged record is set aside and reported", () => {
  test.each([
    ["empty", ""],
    ["cut in half", whole.slice(0, whole.length / 2)],
    ["zeros", "\0".repeat(4096)],
    ["of another container", whole.replaceAll(id, "b".repeat(64))],
    ["of a version to come", whole.replace('"version":1', '"version":2')],
    ["without its state", JSON.stringify({ ...record(), state: undefined })],
    ["no object", "[1,2]"],
  ])("%s", (_name, text) => {
    write(text);
    const { records, corrupt } = loadRecords(roots);
    expect(records).toEqual([]);
    expect(corrupt).toHaveLength(1);
    expect(corrupt[0]).toContain("the record of container aaaaaaaaaaaa cannot be read");
    expect(readdirSync(join(roots.dataRoot, "corrupt"))).toEqual([`container-${id}`]);
    expect(readdirSync(containersDir(roots))).toEqual([]);
  });
});
