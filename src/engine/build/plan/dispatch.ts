/** One instruction: its effect on the stage's files, configuration, variables and history. */
import type { ArgInstruction, CommandLine, Instruction, InstructionOf, KeyValue } from "../dockerfile/instruction.ts";
import { expandWord } from "../dockerfile/shell-lexer.ts";
import type { Linter } from "../checks/linter.ts";
import { rules } from "../checks/rules.ts";
import { goQuote } from "../dockerfile/go-text.ts";
import { problem } from "../dockerfile/problem.ts";
import { cleanPath } from "../ignore/go-path.ts";
import { dispatchAdd, dispatchCopy } from "./dispatch-copy.ts";
import { dispatchRun } from "./dispatch-run.ts";
import { parseExposedPorts } from "./expose-ports.ts";
import { healthcheckText, plainList, quotedList } from "./go-format.ts";
import { setEnv, withConfig, withHistory } from "./image-draft.ts";
import type { ImageDraft } from "./image-draft.ts";
import { expandIn, reportUndefined } from "./plan-context.ts";
import type { PlanContext } from "./plan-context.ts";
import { withShell } from "./shell-words.ts";
import { isSignal } from "./signals.ts";
import type { StageCommand, StageState } from "./stage-state.ts";
import { expandedSource, nextTitle } from "./step-title.ts";
import { resolveWorkdir } from "./workdir.ts";

const secretName = /(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i;
const harmlessName = /(?:_|^)(?:public|file|version)(?:_|$)/i;

function checkSecretName(
  keyword: "ARG" | "ENV",
  name: string,
  at: { readonly lint: Linter; readonly instruction: Instruction },
): void {
  if (!secretName.test(name) || harmlessName.test(name)) return;
  at.lint.report(
    rules.secretsUsedInArgOrEnv,
    at.instruction,
    `Do not use ARG or ENV instructions for sensitive data (${keyword} ${goQuote(name)})`,
  );
}

interface Dispatch {
  readonly context: PlanContext;
  readonly state: StageState;
  readonly lint: Linter;
  /** Replaces the variables of a word. */
  readonly expand: (word: string) => string;
}

function commit(state: StageState, image: ImageDraft, createdBy: string): void {
  state.image = withHistory(image, createdBy, "no-layer");
}

function checkLegacy({ lint }: Dispatch, instruction: Instruction, pair: KeyValue): void {
  if (!pair.legacy) return;
  const { keyword } = instruction;
  lint.report(
    rules.legacyKeyValueFormat,
    instruction,
    `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`,
  );
}

function dispatchEnv(dispatch: Dispatch, instruction: InstructionOf<"env">): void {
  const { state, expand, lint } = dispatch;
  const pairs = instruction.pairs.map((pair) => ({ ...pair, key: expand(pair.key), value: expand(pair.value) }));
  let env = state.image.config.Env ?? [];
  for (const pair of pairs) {
    checkLegacy(dispatch, instruction, pair);
    checkSecretName("ENV", pair.key, { lint, instruction });
    state.env.set(pair.key, pair.value);
    env = setEnv(env, pair.key, pair.value);
  }
  commit(
    state,
    withConfig(state.image, { Env: env }),
    `ENV${pairs.map(({ key, value }) => ` ${key}=${value}`).join("")}`,
  );
}

function dispatchLabel(dispatch: Dispatch, instruction: InstructionOf<"label">): void {
  const { state, expand } = dispatch;
  const pairs = instruction.pairs.map((pair) => ({ ...pair, key: expand(pair.key), value: expand(pair.value) }));
  for (const pair of pairs) checkLegacy(dispatch, instruction, pair);
  const labels = { ...state.image.config.Labels, ...Object.fromEntries(pairs.map(({ key, value }) => [key, value])) };
  commit(
    state,
    withConfig(state.image, { Labels: labels }),
    `LABEL${pairs.map(({ key, value }) => ` ${key}=${value}`).join("")}`,
  );
}

/** The value that an ARG gets: the build argument, else its default, else what stands before the first FROM. */
function argValue({ context, state, lint }: Dispatch, instruction: ArgInstruction, index: number): string | undefined {
  const { buildArgs } = context.options;
  const arg = instruction.args[index];
  if (arg === undefined) return undefined;
  if (Object.hasOwn(buildArgs, arg.key)) return buildArgs[arg.key];
  if (arg.value === undefined) return context.globalArgs.get(arg.key);
  const expanded = expandWord(arg.value, { escape: context.escape }, (name) => state.env.get(name));
  reportUndefined(state, { place: instruction, lint }, expanded.unmatched);
  return expanded.result;
}

function dispatchArg(dispatch: Dispatch, instruction: ArgInstruction): void {
  const { state, lint } = dispatch;
  const shown: string[] = [];
  for (const [index, { key }] of instruction.args.entries()) {
    checkSecretName("ARG", key, { lint, instruction: { ...instruction } });
    const value = argValue(dispatch, instruction, index);
    if (value !== undefined) state.env.set(key, value);
    state.buildArgs = [...state.buildArgs, { key, value }];
    shown.push(value === undefined ? key : `${key}=${value}`);
  }
  commit(state, state.image, `ARG ${shown.join(" ")}`);
}

function commandWords({ state, lint }: Dispatch, instruction: Instruction, command: CommandLine): readonly string[] {
  if (!command.shell) return command.words;
  const { keyword } = instruction;
  if ((state.image.config.Shell ?? []).length === 0)
    lint.report(
      rules.jsonArgsRecommended,
      instruction,
      `JSON arguments recommended for ${keyword} to prevent unintended behavior related to OS signals`,
    );
  return withShell(state.image, command.words);
}

/** Only the last one of a stage counts: the earlier one is reported. */
function checkOnce(
  { state, lint }: Dispatch,
  kind: "cmd" | "entrypoint" | "healthcheck",
  instruction: Instruction,
): void {
  const earlier = state.lastSeen.get(kind);
  if (earlier !== undefined)
    lint.report(
      rules.multipleInstructionsDisallowed,
      earlier,
      `Multiple ${instruction.keyword} instructions should not be used in the same stage because only the last one will be used`,
    );
  state.lastSeen.set(kind, instruction);
}

function orAbsent(words: readonly string[]): readonly string[] | undefined {
  return words.length === 0 ? undefined : words;
}

function dispatchCommand(dispatch: Dispatch, instruction: InstructionOf<"cmd" | "entrypoint">): void {
  const { state } = dispatch;
  checkOnce(dispatch, instruction.kind, instruction);
  const words = commandWords(dispatch, instruction, instruction.command);
  if (instruction.kind === "cmd") {
    commit(state, withConfig(state.image, { Cmd: orAbsent(words), ArgsEscaped: true }), `CMD ${quotedList(words)}`);
    return;
  }
  // An entry point takes the place of an inherited command as well.
  const cmd = state.lastSeen.has("cmd") ? state.image.config.Cmd : undefined;
  commit(state, withConfig(state.image, { Entrypoint: orAbsent(words), Cmd: cmd }), `ENTRYPOINT ${quotedList(words)}`);
}

function dispatchHealthcheck(dispatch: Dispatch, instruction: InstructionOf<"healthcheck">): void {
  const { state } = dispatch;
  checkOnce(dispatch, "healthcheck", instruction);
  const { test, intervalNs, timeoutNs, startPeriodNs, startIntervalNs, retries } = instruction.healthcheck;
  const given = {
    Interval: intervalNs,
    Timeout: timeoutNs,
    StartPeriod: startPeriodNs,
    StartInterval: startIntervalNs,
    Retries: retries,
  };
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== 0));
  commit(
    state,
    withConfig(state.image, { Healthcheck: { Test: test, ...set } }),
    `HEALTHCHECK ${healthcheckText(instruction.healthcheck)}`,
  );
}

function dispatchExpose(dispatch: Dispatch, instruction: InstructionOf<"expose">): void {
  const { context, state, lint } = dispatch;
  const words = instruction.ports.flatMap(
    (port) => expandWord(port, { escape: context.escape }, (name) => state.env.get(name)).words,
  );
  const ports = words.flatMap((word) => {
    const exposed = parseExposedPorts(word);
    if (exposed.oddProtocol)
      lint.report(
        rules.exposeProtoCasing,
        instruction,
        `Defined protocol '${word}' in EXPOSE instruction should be lowercase`,
      );
    if (exposed.hasMapping)
      lint.report(
        rules.exposeInvalidFormat,
        instruction,
        `EXPOSE instruction should not define an IP address or host-port mapping, found '${word}'`,
      );
    return exposed.ports;
  });
  const all = { ...state.image.config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) };
  commit(
    state,
    withConfig(state.image, { ExposedPorts: Object.keys(all).length === 0 ? undefined : all }),
    `EXPOSE ${plainList(ports)}`,
  );
}

function dispatchWorkdir(dispatch: Dispatch, instruction: InstructionOf<"workdir">, onbuild: boolean): void {
  const { context, state, lint, expand } = dispatch;
  const given = expand(instruction.path);
  if (!state.workdirSet && !given.startsWith("/"))
    lint.report(
      rules.workdirRelativePath,
      instruction,
      `Relative workdir ${goQuote(given)} can have unexpected results if the base image changes`,
    );
  state.workdirSet = true;
  const path = resolveWorkdir(state.image.config.WorkingDir ?? "", given);
  state.image = withConfig(state.image, { WorkingDir: path });
  if (path === "/") {
    commit(state, state.image, `WORKDIR ${path}`);
    return;
  }
  const shown = expandedSource(instruction.source, { escape: context.escape, env: state.env, run: false });
  context.steps.push({
    kind: "mkdir",
    id: context.steps.length,
    title: nextTitle(state, shown, onbuild),
    source: instruction.source,
    place: { start: instruction.start, end: instruction.end },
    stage: state.shownName,
    parent: state.source,
    ignoreCache: false,
    path: cleanPath(path),
    user: state.image.config.User ?? "",
  });
  state.source = { kind: "step", step: context.steps.length - 1 };
  state.image = withHistory(state.image, `WORKDIR ${path}`, "layer");
}

function dispatchStopsignal({ state, expand }: Dispatch, instruction: InstructionOf<"stopsignal">): void {
  const signal = expand(instruction.signal);
  if (!isSignal(signal))
    throw problem(`invalid signal: ${signal}`, "use a name such as SIGTERM, or a number from 1 to 64");
  commit(state, withConfig(state.image, { StopSignal: signal }), `STOPSIGNAL ${signal}`);
}

/** @throws build/invalid */
export function dispatchInstruction(context: PlanContext, state: StageState, command: StageCommand): void {
  const { instruction } = command;
  const lint = context.lint.withComments(instruction.comments);
  const expand = expandIn(context, state, { place: instruction, lint });
  const dispatch = { context, state, lint, expand };
  switch (instruction.kind) {
    case "env":
      return dispatchEnv(dispatch, instruction);
    case "label":
      return dispatchLabel(dispatch, instruction);
    case "arg":
      return dispatchArg(dispatch, instruction);
    case "cmd":
    case "entrypoint":
      return dispatchCommand(dispatch, instruction);
    case "healthcheck":
      return dispatchHealthcheck(dispatch, instruction);
    case "expose":
      return dispatchExpose(dispatch, instruction);
    case "workdir":
      return dispatchWorkdir(dispatch, instruction, command.onbuild);
    case "stopsignal":
      return dispatchStopsignal(dispatch, instruction);
    case "run":
      return dispatchRun({ ...dispatch, command }, instruction);
    case "copy":
      return dispatchCopy({ ...dispatch, command }, instruction);
    case "add":
      return dispatchAdd({ ...dispatch, command }, instruction);
    case "maintainer":
      return commit(state, { ...state.image, author: instruction.maintainer }, `MAINTAINER ${instruction.maintainer}`);
    case "user": {
      const user = expand(instruction.user);
      return commit(state, withConfig(state.image, { User: user }), `USER ${user}`);
    }
    case "volume": {
      const volumes = instruction.volumes.map(expand);
      if (volumes.includes("")) throw problem("VOLUME specified can not be an empty string");
      const all = { ...state.image.config.Volumes, ...Object.fromEntries(volumes.map((path) => [path, {}])) };
      return commit(state, withConfig(state.image, { Volumes: all }), `VOLUME ${plainList(volumes)}`);
    }
    case "shell":
      return commit(
        state,
        withConfig(state.image, { Shell: instruction.shell }),
        `SHELL ${plainList(instruction.shell)}`,
      );
    case "onbuild": {
      const triggers = [...(state.image.config.OnBuild ?? []), instruction.expression];
      state.image = withConfig(state.image, { OnBuild: triggers });
    }
  }
}
