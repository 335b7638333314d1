import { describe, expect, test } from "vitest";
import {
  canonicalName,
  familiarName,
  parseReference,
  withDefaultTag,
} from "../../../../src/engine/images/reference.ts";

const digest = `sha256:${"a".repeat(64)}`;

describe("a name is completed as Docker does", () => {
  test.each([
    ["busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"],
    ["team/app", "docker.io/team/app:latest", "team/app:latest"],
    ["docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["index.docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest"],
    ["localhost/app", "localhost/app:latest", "localhost/app:latest"],
    ["localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"],
    ["[::1]:5000/a/b:c", "[::1]:5000/a/b:c", "[::1]:5000/a/b:c"],
    ["registry.example/a__b/c-d.e", "registry.example/a__b/c-d.e:latest", "registry.example/a__b/c-d.e:latest"],
    [`busybox@${digest}`, `docker.io/library/busybox@${digest}`, `busybox@${digest}`],
    [`busybox:1@${digest}`, `docker.io/library/busybox:1@${digest}`, `busybox:1@${digest}`],
    ["docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"],
  ])("%s", (text, canonical, familiar) => {
    const reference = withDefaultTag(parseReference(text));
    expect(canonicalName(reference)).toBe(canonical);
    expect(familiarName(reference)).toBe(familiar);
  });
});

test.each([
  "",
  "UPPER",
  "a//b",
  "/a",
  "a/",
  "-a",
  "a:",
  "a:-x",
  `a:${"t".repeat(129)}`,
  "a@sha256:abc",
  `a@md5:${"a".repeat(32)}`,
  `a@sha256:${"A".repeat(64)}`,
  "a b",
  "a/../b",
  "a".repeat(256),
  "a\n",
  "ex ample.com/a",
  "a_-b",
  "a...b",
])("%j is not a name", (text) => expect(() => parseReference(text)).toThrow());

test("an id is not a name, and an upper-case name says what is wrong", () => {
  expect(() => parseReference("a".repeat(64))).toThrow("cannot specify 64-byte hexadecimal strings");
  expect(() => parseReference("team/App")).toThrow("repository name (team/App) must be lowercase");
});
