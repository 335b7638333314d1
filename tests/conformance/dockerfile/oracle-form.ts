/** Our parse result in the form of the corpus' `oracle.json`: what is empty left out, keys sorted. */
import type { CommandLine, Instruction, Stage } from "../../../src/engine/build/dockerfile/instruction.ts";
import { parseDockerfile } from "../../../src/engine/build/dockerfile/parse-dockerfile.ts";
import { placeOf } from "../../../src/engine/build/dockerfile/problem.ts";
import { parseRunMount } from "../../../src/engine/build/dockerfile/run-mount.ts";
import { errorMessage } from "../../../src/errors.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Drops what is undefined, "", [] or false; `keep` names the keys that stay whatever they are. */
function compact(value: Readonly<Record<string, unknown>>, keep: readonly string[] = []): Json {
  const entries = Object.entries(value).filter(([key, item]) => {
    if (item === undefined) return false;
    if (keep.includes(key)) return true;
    return item !== "" && item !== false && item !== 0 && !(Array.isArray(item) && item.length === 0);
  });
  return Object.fromEntries(entries) as Json;
}

function commandForm(command: CommandLine): Readonly<Record<string, unknown>> {
  return {
    cmdline: command.words,
    shell: command.shell,
    files: command.heredocs.map(({ name, content, chomp }) => ({ name, data: content, chomp })),
  };
}

function octal(mode: number | undefined): string | undefined {
  return mode === undefined ? undefined : mode.toString(8).padStart(4, "0");
}

function mountsForm(mounts: readonly string[]): Readonly<Record<string, unknown>> {
  try {
    const parsed = mounts.map((text) => parseRunMount(text, (value) => value));
    return {
      mounts: parsed.map((mount) =>
        compact({ ...mount, mode: octal(mount.mode), size: mount.sizeBytes, sizeBytes: undefined }, [
          "readonly",
          "type",
          "mode",
          "uid",
          "gid",
          "env",
        ]),
      ),
    };
  } catch (error) {
    return { mountsError: errorMessage(error) };
  }
}

function instructionFields(instruction: Instruction): Readonly<Record<string, unknown>> {
  switch (instruction.kind) {
    case "run":
      return {
        ...commandForm(instruction.command),
        ...mountsForm(instruction.mounts),
        network: instruction.network,
        security: instruction.security,
        flagsUsed: instruction.flagsUsed,
        devices: instruction.devices,
      };
    case "cmd":
    case "entrypoint":
      return commandForm(instruction.command);
    case "add":
    case "copy": {
      const { sources, contents, destination, chown, chmod, link, exclude } = instruction;
      const common = {
        sources,
        contents: contents.map(({ path, content, expand }) => ({ path, data: content, expand })),
        dest: destination,
        chown,
        chmod,
        link,
        exclude,
      };
      if (instruction.kind === "copy") return { ...common, from: instruction.from, parents: instruction.parents };
      const { checksum, keepGitDir, unpack } = instruction;
      return { ...common, checksum, keepGitDir, unpack };
    }
    case "env":
    case "label":
      return {
        [instruction.kind === "env" ? "env" : "labels"]: instruction.pairs.map(({ key, value, legacy }) =>
          compact({ key, value, noDelim: legacy }, ["key", "value"]),
        ),
      };
    case "arg":
      return { args: argsForm(instruction.args) };
    case "healthcheck": {
      const { test, intervalNs, timeoutNs, startPeriodNs, startIntervalNs, retries } = instruction.healthcheck;
      return {
        test,
        interval: intervalNs,
        timeout: timeoutNs,
        startPeriod: startPeriodNs,
        startInterval: startIntervalNs,
        retries,
      };
    }
    case "expose":
      return { ports: instruction.ports };
    case "maintainer":
      return { maintainer: instruction.maintainer };
    case "onbuild":
      return { expression: instruction.expression };
    case "shell":
      return { shell: instruction.shell };
    case "stopsignal":
      return { signal: instruction.signal };
    case "user":
      return { user: instruction.user };
    case "volume":
      return { volumes: instruction.volumes };
    case "workdir":
      return { path: instruction.path };
  }
}

type ArgList = Extract<Instruction, { kind: "arg" }>["args"];

function argsForm(args: ArgList): readonly Json[] {
  return args.map(({ key, value, doc }) => compact({ key, value: value ?? null, doc }, ["key", "value"]));
}

function stageForm(stage: Stage): Json {
  return compact(
    {
      base: stage.base,
      name: stage.name,
      platform: stage.platform,
      source: stage.source,
      doc: stage.doc,
      comments: stage.comments,
      start: stage.start,
      end: stage.end,
      commands: stage.instructions.map((instruction) => {
        const { kind, start, end } = instruction;
        return compact({ kind, start, end, ...instructionFields(instruction) }, ["cmdline", "shell", "dest"]);
      }),
    },
    ["commands"],
  );
}

export interface OracleForm {
  readonly ok: boolean;
  readonly error?: string;
  readonly phase?: string;
  readonly line?: number;
  readonly endLine?: number;
  readonly metaArgs?: Json;
  readonly stages?: Json;
}

/** What our front end makes of `text`. */
export function oracleForm(text: string): OracleForm {
  try {
    const { metaArgs, stages } = parseDockerfile(text);
    return {
      ok: true,
      ...(metaArgs.length === 0
        ? {}
        : { metaArgs: metaArgs.map(({ args, start, end }) => ({ args: argsForm(args), start, end })) }),
      ...(stages.length === 0 ? {} : { stages: stages.map(stageForm) }),
    };
  } catch (error) {
    const place = placeOf(error);
    if (place === undefined) throw error;
    return { ok: false, error: errorMessage(error), ...place };
  }
}
