import { describe, expect, it } from "vitest";
import type { RunStep, StepSecret } from "../../../../../src/engine/build/plan/steps.ts";
import { contentKey, type KeyFacts } from "../../../../../src/engine/build/solve/content-key.ts";

const step: RunStep = {
  kind: "run",
  platform: { os: "linux", architecture: "amd64", variant: undefined },
  id: 3,
  title: "[2/2] RUN make",
  source: "RUN make",
  place: { start: 2, end: 2 },
  stage: "0",
  parent: { kind: "step", step: 2 },
  ignoreCache: false,
  args: ["/bin/sh", "-c", "make"],
  env: ["PATH=/bin"],
  cwd: "/",
  user: "",
  network: "default",
  security: "sandbox",
  mounts: [],
  secrets: [],
  ssh: [],
  script: undefined,
};
const facts: KeyFacts = {
  platform: "linux/amd64",
  extraHosts: [],
  limits: "{}",
  epochSeconds: undefined,
  sourceKey: () => "sha256:parent",
};
const secret: StepSecret = {
  id: "a",
  target: "/run/secrets/a",
  env: undefined,
  required: false,
  uid: 0,
  gid: 0,
  mode: 256,
};
const key = (change: Partial<RunStep> = {}, changedFacts: Partial<KeyFacts> = {}): string =>
  contentKey({ ...step, ...change }, { ...facts, ...changedFacts });

describe("B-16 contentKey", () => {
  it.each<[string, Partial<RunStep>]>([
    ["its number", { id: 9 }],
    ["its title", { title: "[3/3] RUN make" }],
    ["its place", { place: { start: 7, end: 8 } }],
    ["its stage", { stage: "other" }],
    ["whether the cache is asked", { ignoreCache: true }],
  ])("is the same whatever %s", (_, change) => expect(key(change)).toBe(key()));

  it.each<[string, Partial<RunStep>, Partial<KeyFacts>]>([
    ["the command", { args: ["make"] }, {}],
    ["the environment", { env: [] }, {}],
    ["the directory", { cwd: "/w" }, {}],
    ["the user", { user: "1" }, {}],
    ["the network", { network: "none" }, {}],
    ["the security", { security: "insecure" }, {}],
    ["a secret", { secrets: [secret] }, {}],
    ["a script", { script: { name: "x", content: "y" } }, {}],
    ["the files below", {}, { sourceKey: () => "sha256:other" }],
    ["the platform", {}, { platform: "linux/arm64" }],
    ["the hosts", {}, { extraHosts: ["a:1.2.3.4"] }],
    ["the limits", {}, { limits: '{"Memory":1}' }],
    ["the epoch", {}, { epochSeconds: 0 }],
  ])("is another with %s", (_, change, changedFacts) => expect(key(change, changedFacts)).not.toBe(key()));
});
