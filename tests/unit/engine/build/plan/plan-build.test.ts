import { describe, expect, it } from "vitest";
import { isTscomposeError, TscomposeError } from "../../../../../src/errors.ts";
import type { OciImageConfig } from "../../../../../src/engine/types.ts";
import { placeOf } from "../../../../../src/engine/build/dockerfile/problem.ts";
import type { PlanOptions } from "../../../../../src/engine/build/plan/options.ts";
import { planBuild } from "../../../../../src/engine/build/plan/plan-build.ts";
import type { BuildPlan } from "../../../../../src/engine/build/plan/plan-build.ts";

const amd64 = { os: "linux", architecture: "amd64", variant: undefined };

const options: PlanOptions = {
  target: undefined,
  buildArgs: {},
  labels: {},
  platform: undefined,
  buildPlatform: amd64,
  namedContexts: {},
  ignorePatterns: [],
  noCache: "none",
  network: "default",
  cacheNamespace: "",
};

const busybox: OciImageConfig = {
  architecture: "amd64",
  os: "linux",
  rootfs: { type: "layers", diff_ids: ["sha256:aa"] },
  history: [{ created_by: "base" }],
  config: { Env: ["PATH=/bin"], Cmd: ["sh"], Labels: { base: "yes" } },
};

async function plan(text: string, changes: Partial<PlanOptions> = {}, config = busybox): Promise<BuildPlan> {
  const resolver = {
    resolveImage: async (name: string) => {
      if (name === "nope") throw new TscomposeError("image/not-found", "No such image: nope");
      return Promise.resolve({ image: { name, id: "sha256:base", platform: amd64 }, config });
    },
  };
  return planBuild(text, { ...options, ...changes }, resolver);
}

describe("the steps of a build", () => {
  it("only those that the target needs, in order", async () => {
    const { steps, result } = await plan(
      "FROM busybox AS unused\nRUN never\nFROM busybox AS made\nRUN make\nFROM scratch\nCOPY --from=made /out /\n",
    );
    expect(steps.map(({ title }) => title)).toEqual(["[made 2/2] RUN make", "[stage-2 1/1] COPY --from=made /out /"]);
    expect(result).toEqual({ kind: "step", step: 1 });
  });

  it("a target names the stage to stop at", async () => {
    const { steps } = await plan("FROM busybox AS a\nRUN one\nFROM a AS b\nRUN two\n", { target: "A" });
    expect(steps.map(({ source }) => source)).toEqual(["RUN one"]);
    await expect(plan("FROM busybox AS build\n", { target: "biuld" })).rejects.toThrow("(did you mean build?)");
  });

  it("an ARG has the build argument, else its default, and is a variable from there on", async () => {
    const text = "ARG V=1\nFROM busybox:$V\nARG V\nARG W=w$V\nRUN x\n";
    const { steps } = await plan(text, { buildArgs: { V: "2" } });
    expect(steps[0]).toMatchObject({ kind: "run", env: ["PATH=/bin", "V=2", "W=w2"] });
  });

  it("an ARG of the stage below is a variable too, but not over an ENV", async () => {
    const text = "FROM busybox AS a\nENV V=env\nARG V=arg W=arg\nFROM a\nRUN x\n";
    const { steps } = await plan(text);
    expect(steps[0]).toMatchObject({ kind: "run", env: ["PATH=/bin", "V=env", "W=arg"] });
  });

  it("ONBUILD instructions of the base come first", async () => {
    const config = { ...busybox, config: { ...busybox.config, OnBuild: ["RUN first"] } };
    const { steps, image } = await plan("FROM busybox\nRUN second\n", {}, config);
    expect(steps.map(({ source }) => source)).toEqual(["RUN first", "RUN second"]);
    expect(image.config.OnBuild).toBeUndefined();
  });

  it("WORKDIR is made, and is where relative paths begin", async () => {
    const { steps } = await plan(
      "FROM busybox\nWORKDIR /a\nWORKDIR b\nCOPY x y/\nRUN --mount=type=cache,target=c true\n",
    );
    expect(steps).toMatchObject([
      { kind: "mkdir", path: "/a" },
      { kind: "mkdir", path: "/a/b" },
      { kind: "copy", actions: [{ destination: "/a/b/y/" }] },
      { kind: "run", cwd: "/a/b", mounts: [{ target: "/a/b/c", cache: { id: "/c", sharing: "shared" } }] },
    ]);
  });

  it("a script heredoc with its own interpreter is a file, any other goes to the shell", async () => {
    const { steps } = await plan("FROM busybox\nRUN <<E\n#!/bin/cat\nhi\nE\nRUN <<E\nhi\nE\n");
    expect(steps).toMatchObject([
      { script: { name: "E", content: "#!/bin/cat\nhi\n" }, args: ["/bin/sh", "-c", "/dev/pipes/E"] },
      { script: undefined, args: ["/bin/sh", "-c", "hi\n"] },
    ]);
  });

  it("a named context takes the place of a base image", async () => {
    const namedContexts = { busybox: { kind: "local", name: "other" } } as const;
    const { steps } = await plan("FROM docker.io/library/busybox:latest\nCOPY a b\n", { namedContexts });
    expect(steps[0]?.parent).toEqual({ kind: "context", name: "other" });
  });
});

describe("the image configuration", () => {
  it("is the base's with one change an instruction, and a line of history each", async () => {
    const { image } = await plan(
      'FROM busybox\nENV A=1\nLABEL l=$A\nEXPOSE 80 53/udp\nENTRYPOINT ["e"]\nCMD c\nUSER u\nVOLUME /v\nHEALTHCHECK --interval=90s CMD x\n',
    );
    expect(image.config).toEqual({
      Env: ["PATH=/bin", "A=1"],
      Labels: { base: "yes", l: "1" },
      ExposedPorts: { "53/udp": {}, "80/tcp": {} },
      Entrypoint: ["e"],
      Cmd: ["/bin/sh", "-c", "c"],
      ArgsEscaped: true,
      User: "u",
      Volumes: { "/v": {} },
      Healthcheck: { Test: ["CMD-SHELL", "x"], Interval: 90e9 },
    });
    expect(image.history.map(({ created_by }) => created_by)).toEqual([
      "base",
      "ENV A=1",
      "LABEL l=1",
      "EXPOSE [53/udp 80/tcp]",
      'ENTRYPOINT ["e"]',
      'CMD ["/bin/sh" "-c" "c"]',
      "USER u",
      "VOLUME [/v]",
      "HEALTHCHECK {Test:[CMD-SHELL x] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
    ]);
  });

  it("an ENTRYPOINT drops the command of the base", async () => {
    const { image } = await plan('FROM busybox\nENTRYPOINT ["e"]\n');
    expect(image.config.Cmd).toBeUndefined();
  });

  it("SOURCE_DATE_EPOCH is a number of seconds", async () => {
    const text = "FROM busybox\n";
    expect((await plan(text, { buildArgs: { SOURCE_DATE_EPOCH: "12" } })).epochSeconds).toBe(12);
    await expect(plan(text, { buildArgs: { SOURCE_DATE_EPOCH: "now" } })).rejects.toThrow("invalid SOURCE_DATE_EPOCH");
  });
});

describe("build checks", () => {
  async function findings(text: string, changes: Partial<PlanOptions> = {}): Promise<readonly string[]> {
    const { findings: list } = await plan(text, changes);
    return list.map(({ rule, place, message }) => `${place.start} ${rule.name}: ${message}`);
  }

  it.each<[string, readonly string[]]>([
    ["FROM busybox as a\n", ["1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match"]],
    [
      "FROM busybox\nRUN a\nrun b\n",
      ["3 ConsistentInstructionCasing: Command 'run' should match the case of the command majority (uppercase)"],
    ],
    [
      "FROM busybox\nENV A $B\n",
      [
        "2 UndefinedVar: Usage of undefined variable '$B'",
        '2 LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format',
      ],
    ],
    [
      "FROM busybox\nARG API_TOKEN\n",
      ['2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "API_TOKEN")'],
    ],
    [
      "FROM busybox\nWORKDIR a\n",
      ['2 WorkdirRelativePath: Relative workdir "a" can have unexpected results if the base image changes'],
    ],
    ["# check=skip=WorkdirRelativePath\nFROM busybox\nWORKDIR a\n", []],
    ["FROM busybox\n# check=skip=WorkdirRelativePath\nWORKDIR a\n", []],
  ])("%j", async (text, wanted) => {
    expect(await findings(text)).toEqual(wanted);
  });

  it("a COPY of what .dockerignore leaves out is told", async () => {
    expect(await findings("FROM busybox\nCOPY node_modules /\n", { ignorePatterns: ["node_modules"] })).toEqual([
      '2 CopyIgnoredFile: Attempting to Copy file "node_modules" that is excluded by .dockerignore',
    ]);
  });

  it("findings fail the build where the Dockerfile says so", async () => {
    await expect(plan("# check=error=true\nFROM busybox as a\n")).rejects.toThrow(
      "lint violation found for rules: FromAsCasing",
    );
  });
});

describe("what is refused", () => {
  it.each([
    ["FROM a AS b\nCOPY --from=c x y\nFROM b AS c\nCOPY --from=b x y\n", "circular dependency detected on stage"],
    ["FROM busybox AS a\nCOPY --from=later x y\nFROM busybox AS later\nFROM a\n", 'cannot copy from stage "later"'],
    ["FROM busybox\nRUN --mount=type=bind,target=/ true\n", 'invalid mount target "/"'],
    ["FROM busybox\nSTOPSIGNAL SIGNOPE\n", "invalid signal: SIGNOPE"],
    ["FROM busybox\nEXPOSE 80/http\n", "invalid proto: http"],
    ["FROM busybox\nCOPY https://x.y/z a\n", "source can't be a URL for COPY"],
    ["# syntax=evil/frontend\nFROM busybox\n", "front end evil/frontend is not supported"],
    ["FROM BAD!NAME\n", "invalid reference format"],
    [
      "FROM Busybox\n",
      'failed to parse stage name "Busybox": invalid reference format: repository name (library/Busybox) must be lowercase',
    ],
    ["# check=x\nFROM busybox\n", 'failed to parse check options: invalid check option "x"'],
  ])("%j", async (text, message) => {
    await expect(plan(text)).rejects.toThrow(message);
  });

  it("the place is that of the instruction", async () => {
    const failure = await plan("FROM busybox\n\nEXPOSE x\n").catch((error: unknown) => error);
    expect(placeOf(failure)).toMatchObject({ line: 3 });
  });

  it.each([
    ["FROM scratch AS a\nENV x=1\nCOPY --from=0 / /\n", 3],
    ["FROM scratch AS a\nCOPY --from=b / /\nFROM scratch AS b\nCOPY --from=a / /\n", 4],
  ])("a circle is told at the copy that closes it: %j", async (text, line) => {
    const failure = await plan(text).catch((error: unknown) => error);
    expect(placeOf(failure)).toMatchObject({ line });
  });

  it.each([
    ["FROM busybox\nFROM nope\n", 2],
    ["FROM busybox\nCOPY --from=nope / /\n", 2],
  ])("an image that is not there is told at the line that names it: %j", async (text, line) => {
    const failure: unknown = await plan(text).catch((error: unknown) => error);
    expect(isTscomposeError(failure, "image/not-found") && failure.details).toMatchObject({ line });
  });
});
