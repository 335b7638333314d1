/** RUN: its command, environment and mounts. */
import type { Linter } from "../checks/linter.ts";
import type { CommandLine, RunInstruction } from "../dockerfile/instruction.ts";
import { chompHeredoc, heredocMarkOf } from "../dockerfile/heredoc.ts";
import { goQuote, trimSpace } from "../dockerfile/go-text.ts";
import { problem } from "../dockerfile/problem.ts";
import { parseRunMount } from "../dockerfile/run-mount.ts";
import type { RunMount } from "../dockerfile/run-mount.ts";
import { basePath, cleanPath, joinPath } from "../ignore/go-path.ts";
import { withHistory } from "./image-draft.ts";
import type { ImageDraft } from "./image-draft.ts";
import type { PlanContext } from "./plan-context.ts";
import type { StageCommand, StageState } from "./stage-state.ts";
import type { RunStep, Source, StepMount, StepSecret, StepSsh } from "./steps.ts";
import { expandedSource, nextTitle } from "./step-title.ts";
import { withShell } from "./shell-words.ts";

export interface CommandDispatch {
  readonly context: PlanContext;
  readonly state: StageState;
  readonly lint: Linter;
  readonly expand: (word: string) => string;
  readonly command: StageCommand;
}

interface RunWords {
  readonly args: readonly string[];
  readonly script: RunStep["script"];
  /** Appended to the title. */
  readonly summary: string;
}

/** A lone heredoc is the script itself: run by its own `#!` line, else by the shell. Others are put back together for the
 *  shell to read. */
function runWords(image: ImageDraft, command: CommandLine): RunWords {
  const [file] = command.heredocs;
  const [text] = command.words;
  if (file === undefined) {
    return { args: command.shell ? withShell(image, command.words) : command.words, script: undefined, summary: "" };
  }
  if (text === undefined || command.words.length !== 1 || !command.shell)
    throw problem(`parsing produced an invalid run command: ${command.words.join(" ")}`);
  if (heredocMarkOf(text) === undefined) {
    const bodies = command.heredocs.map(({ name, content }) => `\n${content}${name}`);
    return { args: withShell(image, [text + bodies.join("")]), script: undefined, summary: "" };
  }
  const content = file.chomp ? chompHeredoc(file.content) : file.content;
  const summary = ` (${summaryOf(file.content)})`;
  if (!content.startsWith("#!")) return { args: withShell(image, [content]), script: undefined, summary };
  const path = `/dev/pipes/${file.name}`;
  return { args: withShell(image, [path]), script: { name: file.name, content }, summary };
}

function summaryOf(text: string): string {
  const [first = "", ...rest] = trimSpace(text).replaceAll("\r\n", "\n").split("\n");
  return rest.length > 0 ? `${first}...` : first;
}

/** `|2 A=1 B=2 /bin/sh -c make`: ARGs are part of what ran. */
function historyText(state: StageState, args: readonly string[]): string {
  const values = new Map(state.buildArgs.map(({ key, value }) => [key, state.env.get(key) ?? value ?? ""]));
  const pairs = [...values].map(([key, value]) => `${key}=${value}`);
  const shown = pairs.length === 0 ? args : [`|${pairs.length}`, ...pairs, ...args];
  return `RUN ${shown.join(" ")} # buildkit`;
}

interface ParsedMounts {
  readonly mounts: readonly StepMount[];
  readonly secrets: readonly StepSecret[];
  readonly ssh: readonly StepSsh[];
}

function secretOf(mount: RunMount): StepSecret {
  const id = mount.source || mount.id || basePath(mount.target);
  const target = mount.target || (mount.env === undefined ? `/run/secrets/${basePath(id)}` : undefined);
  return {
    id,
    target,
    env: mount.env === undefined ? undefined : mount.env || id,
    required: mount.required,
    uid: mount.uid ?? 0,
    gid: mount.gid ?? 0,
    mode: mount.mode ?? 0o400,
  };
}

function sshOf(mount: RunMount): StepSsh {
  if (mount.source !== "") throw problem("ssh does not support source");
  return {
    id: mount.id || "default",
    target: mount.target || undefined,
    required: mount.required,
    uid: mount.uid ?? 0,
    gid: mount.gid ?? 0,
    mode: mount.mode ?? 0o600,
  };
}

function mountSource(mount: RunMount, from: StageState | undefined): Source {
  if (mount.type === "tmpfs" || (mount.type === "cache" && mount.from === "")) return { kind: "scratch" };
  if (mount.from === "") return { kind: "context", name: "context" };
  if (from?.dispatched !== true)
    throw problem(
      `cannot mount from stage ${goQuote(mount.from)} to ${goQuote(mount.target)}, stage needs to be defined before current command`,
    );
  return from.source;
}

function mountOf(
  mount: RunMount,
  at: { readonly cwd: string; readonly from: StageState | undefined; readonly namespace: string },
): StepMount {
  const target = cleanPath(mount.target).startsWith("/")
    ? cleanPath(mount.target)
    : joinPath("/", at.cwd, mount.target);
  if (target === "/") throw problem(`invalid mount target ${goQuote(target)}`);
  const id = mount.id === "" ? cleanPath(mount.target) : mount.id;
  return {
    type: mount.type === "secret" || mount.type === "ssh" ? "bind" : mount.type,
    source: mountSource(mount, at.from),
    sourcePath: joinPath("/", mount.source),
    target,
    readonly: mount.readonly,
    sizeBytes: mount.sizeBytes,
    cache:
      mount.type === "cache"
        ? {
            id: `${at.namespace}/${id}`,
            sharing: mount.sharing ?? "shared",
            mode: mount.mode,
            uid: mount.uid,
            gid: mount.gid,
          }
        : undefined,
  };
}

function parseMounts({ context, state, command, expand }: CommandDispatch, instruction: RunInstruction): ParsedMounts {
  const mounts: StepMount[] = [];
  const secrets: StepSecret[] = [];
  const ssh: StepSsh[] = [];
  const cwd = state.image.config.WorkingDir ?? "/";
  for (const [index, text] of instruction.mounts.entries()) {
    const mount = parseRunMount(text, expand);
    if (mount.type === "secret") secrets.push(secretOf(mount));
    else if (mount.type === "ssh") ssh.push(sshOf(mount));
    else mounts.push(mountOf(mount, { cwd, from: command.sources[index], namespace: context.options.cacheNamespace }));
  }
  return { mounts, secrets, ssh };
}

/** @throws build/invalid */
export function dispatchRun(dispatch: CommandDispatch, instruction: RunInstruction): void {
  const { context, state, command } = dispatch;
  if (instruction.devices.length > 0)
    throw problem("device feature is only supported in Dockerfile frontend 1.14.0-labs or later", "take --device out");
  const { args, script, summary } = runWords(state.image, instruction.command);
  if (args.length === 0) throw problem("arguments are required", "give RUN a command");
  const parsed = parseMounts(dispatch, instruction);
  const masked = new Map(state.env);
  for (const secret of parsed.secrets) if (secret.env !== undefined) masked.set(secret.env, "****");
  const shown = expandedSource(instruction.source + summary, { escape: context.escape, env: masked, run: true });
  const network = instruction.flagsUsed.includes("network") ? instruction.network : context.options.network;
  context.steps.push({
    kind: "run",
    platform: state.platform ?? context.options.buildPlatform,
    id: context.steps.length,
    title: nextTitle(state, shown, command.onbuild),
    source: instruction.source,
    place: { start: instruction.start, end: instruction.end },
    stage: state.shownName,
    parent: state.source,
    ignoreCache: state.ignoreCache,
    args,
    env: [...state.env].map(([key, value]) => `${key}=${value}`),
    cwd: state.image.config.WorkingDir || "/",
    user: state.image.config.User ?? "",
    network,
    security: instruction.security,
    script,
    ...parsed,
  });
  state.source = { kind: "step", step: context.steps.length - 1 };
  state.image = withHistory(state.image, historyText(state, args), "layer");
}
