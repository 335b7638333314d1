import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { OciRuntime } from "../../../../src/engine/runtime/oci-runtime.ts";
import { SeccompFilters } from "../../../../src/engine/runtime/seccomp-filters.ts";
import type { RuntimeSpec } from "../../../../src/engine/runtime/spec-types.ts";

const annotation = "run.oci.seccomp_bpf_data";
const filter = Buffer.from("0123456789abcdef");

describe("compiled seccomp filters", () => {
  let root: string;
  let runtime: OciRuntime;
  const cache = (): string => join(root, "cache");
  const spec = (defaultAction: string): RuntimeSpec =>
    ({ annotations: { kept: "yes" }, linux: { seccomp: { defaultAction } } }) as unknown as RuntimeSpec;
  /** What crun leaves behind when it has made a container. */
  const made = (id: string, bytes: Buffer): void => {
    mkdirSync(join(runtime.stateDir, id), { recursive: true });
    writeFileSync(join(runtime.stateDir, id, "seccomp.bpf"), bytes);
  };

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "filters-"));
    runtime = {
      name: "crun",
      path: process.execPath,
      stateDir: join(root, "oci"),
      note: "",
      systemdCgroups: false,
      names: ["crun"],
    };
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  test("the first container of a profile is compiled, the next ones get what it left", () => {
    const filters = new SeccompFilters(cache(), runtime);
    expect(filters.apply(spec("A"))).toEqual(spec("A"));
    made("one", filter);
    filters.learn(spec("A"), "one");
    expect(filters.apply(spec("A")).annotations).toEqual({ kept: "yes", [annotation]: filter.toString("base64") });
    expect(filters.apply(spec("A")).linux).toEqual(spec("A").linux);
  });

  test("another profile is not mistaken for it", () => {
    const filters = new SeccompFilters(cache(), runtime);
    made("one", filter);
    filters.learn(spec("A"), "one");
    expect(filters.apply(spec("B"))).toEqual(spec("B"));
  });

  test("the next engine knows it too, unless the file is damaged or the runtime is another one", () => {
    made("one", filter);
    new SeccompFilters(cache(), runtime).learn(spec("A"), "one");
    expect(new SeccompFilters(cache(), runtime).apply(spec("A")).annotations?.[annotation]).toBeDefined();
    const other = { ...runtime, path: "/bin/sh" };
    expect(new SeccompFilters(cache(), other).apply(spec("A"))).toEqual(spec("A"));
    for (const name of readdirSync(cache())) writeFileSync(join(cache(), name), "cut");
    expect(new SeccompFilters(cache(), runtime).apply(spec("A"))).toEqual(spec("A"));
  });

  test("an unconfined container and runc are left alone", () => {
    const filters = new SeccompFilters(cache(), { ...runtime, name: "runc" });
    made("one", filter);
    filters.learn(spec("A"), "one");
    expect(filters.apply(spec("A"))).toEqual(spec("A"));
    const unconfined = { linux: {} } as unknown as RuntimeSpec;
    expect(new SeccompFilters(cache(), runtime).apply(unconfined)).toBe(unconfined);
  });
});
