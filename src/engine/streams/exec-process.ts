/** What a command inside a running container gets: the container's own process, changed by what the exec asks for. Its
 *  confinement (seccomp, no_new_privs, AppArmor, rlimits) is the container's. Pure. Source: OCI runtime-spec config.md, `process`. */
import type { ExecConfig } from "../types.ts";

export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids?: readonly number[];
  readonly umask?: number;
}
interface CapabilitySets {
  readonly bounding?: readonly string[];
  readonly permitted?: readonly string[];
  readonly effective?: readonly string[];
  readonly inheritable?: readonly string[];
  readonly ambient?: readonly string[];
}
/** The part of the runtime spec that matters here; other fields are kept as they are. */
export interface RuntimeProcess {
  readonly terminal?: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: ProcessUser;
  readonly args: readonly string[];
  readonly env?: readonly string[];
  readonly cwd: string;
  readonly capabilities?: CapabilitySets;
  readonly apparmorProfile?: string;
  readonly noNewPrivileges?: boolean;
}

export interface ExecWishes {
  readonly config: ExecConfig;
  /** Undefined: the container's own. */
  readonly user: (ProcessUser & { readonly home?: string }) | undefined;
  readonly consoleSize: readonly [height: number, width: number] | undefined;
  /** Every capability of this kernel, for a privileged exec. */
  readonly allCapabilities: readonly string[];
}

/** The `process.json` of an exec. */
export function execProcess(base: RuntimeProcess, wishes: ExecWishes): RuntimeProcess {
  const { config } = wishes;
  const { user: _user, terminal: _terminal, consoleSize: _size, apparmorProfile, capabilities, ...rest } = base;
  const user = wishes.user === undefined ? base.user : withoutHome(wishes.user);
  const tty = config.Tty === true;
  const privileged = config.Privileged === true;
  const bounding = privileged ? wishes.allCapabilities : (capabilities?.bounding ?? []);
  const profile = privileged ? "unconfined" : apparmorProfile;
  return {
    ...rest,
    terminal: tty,
    ...(tty && wishes.consoleSize !== undefined
      ? { consoleSize: { height: wishes.consoleSize[0], width: wishes.consoleSize[1] } }
      : {}),
    user,
    args: config.Cmd ?? [],
    env: mergeEnvironment(base.env ?? [], { extra: config.Env ?? [], tty, home: wishes.user?.home }),
    cwd: config.WorkingDir === undefined || config.WorkingDir === "" ? base.cwd : config.WorkingDir,
    capabilities: capabilitiesFor(user.uid, bounding),
    ...(profile === undefined || (privileged && apparmorProfile === undefined) ? {} : { apparmorProfile: profile }),
  };
}

function withoutHome({ home: _home, ...user }: ProcessUser & { readonly home?: string }): ProcessUser {
  return user;
}

/** Root holds what the container may have; anybody else may only gain it by a set-uid program. Nothing is inheritable
 *  (CVE-2022-29162 was an exec with inheritable ones). */
function capabilitiesFor(uid: number, bounding: readonly string[]): CapabilitySets {
  const held = uid === 0 ? bounding : [];
  return { bounding, permitted: held, effective: held, inheritable: [], ambient: [] };
}

/** Later entries replace earlier ones of the same name. An entry without "=" takes nothing from the engine's own environment. */
function mergeEnvironment(
  base: readonly string[],
  change: { readonly extra: readonly string[]; readonly tty: boolean; readonly home: string | undefined },
): readonly string[] {
  const values = new Map<string, string>();
  const set = (entry: string): void => {
    const equals = entry.indexOf("=");
    if (equals > 0) values.set(entry.slice(0, equals), entry);
    else if (entry !== "" && equals < 0) values.delete(entry);
  };
  if (change.tty) set("TERM=xterm");
  base.forEach(set);
  if (change.home !== undefined) set(`HOME=${change.home}`);
  change.extra.forEach(set);
  return [...values.values()];
}
