/** The seccomp filter of a container, by its capabilities. Pure. Source: OCI runtime-spec config-linux.md "Seccomp". */
import { TscomposeError } from "../../errors.ts";
import {
  allowedCalls,
  architectures,
  callsByCapability,
  namespaceFlags,
  personalities,
  socketFamilies,
} from "./seccomp-calls.ts";
import type { SeccompRuleSpec, SeccompSpec } from "./spec-types.ts";

const allow = "SCMP_ACT_ALLOW";
const ENOSYS = 38;
const EPERM = 1;

/** `arch`: Node's name. Without it in the table there is no filter to give: the caller refuses. */
export function defaultSeccomp(capabilities: readonly string[], arch: string): SeccompSpec {
  const machine = architectures[arch];
  if (machine === undefined) {
    throw new TscomposeError("host/unsupported", `there is no seccomp profile for the architecture ${arch}`, {
      hint: "add security_opt seccomp=unconfined, or seccomp=<profile.json>",
    });
  }
  const has = (name: string): boolean => capabilities.includes(name);
  const names = new Set([...allowedCalls, ...machine.calls]);
  for (const [capability, calls] of Object.entries(callsByCapability)) {
    if (has(capability)) calls.forEach((call) => names.add(call));
  }
  const syscalls: SeccompRuleSpec[] = [
    { names: [...names], action: allow },
    onArgument("socket", { value: socketFamilies.below, op: "SCMP_CMP_LT" }),
    ...socketFamilies.also.map((value) => onArgument("socket", { value, op: "SCMP_CMP_EQ" })),
    ...personalities.map((value) => onArgument("personality", { value, op: "SCMP_CMP_EQ" })),
  ];
  if (!has("CAP_SYS_ADMIN")) {
    syscalls.push(
      onArgument("clone", { value: namespaceFlags, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }),
      // Its flags are behind a pointer; with ENOSYS the C library falls back to clone.
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS },
    );
  }
  return { defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: EPERM, architectures: machine.names, syscalls };
}

function onArgument(
  name: string,
  condition: { readonly value: number; readonly valueTwo?: number; readonly op: string },
): SeccompRuleSpec {
  return { names: [name], action: allow, args: [{ index: 0, ...condition }] };
}

/** A profile given as JSON text, in Docker's form (`archMap`, `includes`, `excludes`) or the runtime's.
 *  @throws request/invalid for what is no profile */
export function customSeccomp(json: string, capabilities: readonly string[], arch: string): SeccompSpec {
  const profile = parseProfile(json);
  const goArch = arch === "x64" ? "amd64" : arch;
  const own = architectures[arch]?.names[0];
  const map = profile.archMap?.find(({ architecture }) => architecture === own);
  const names = map === undefined ? profile.architectures : [map.architecture, ...(map.subArchitectures ?? [])];
  const applies = (rule: ProfileRule): boolean => {
    const caps = (wanted: readonly string[] | null | undefined): boolean =>
      (wanted ?? []).every((name) => capabilities.includes(name));
    const anyCap = (wanted: readonly string[] | null | undefined): boolean =>
      (wanted ?? []).some((name) => capabilities.includes(name));
    const { includes, excludes } = rule;
    if (!caps(includes?.caps) || anyCap(excludes?.caps)) return false;
    if ((includes?.arches?.length ?? 0) > 0 && includes?.arches?.includes(goArch) !== true) return false;
    return excludes?.arches?.includes(goArch) !== true;
  };
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    ...(names === undefined ? {} : { architectures: names }),
    syscalls: (profile.syscalls ?? []).filter(applies).map((rule) => ({
      names: rule.names ?? (rule.name === undefined ? [] : [rule.name]),
      action: rule.action,
      ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
      ...(rule.args === undefined || rule.args === null ? {} : { args: rule.args }),
    })),
  };
}

interface Condition {
  readonly caps?: readonly string[] | null;
  readonly arches?: readonly string[] | null;
}
interface ProfileRule {
  readonly name?: string;
  readonly names?: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: SeccompRuleSpec["args"] | null;
  readonly includes?: Condition | null;
  readonly excludes?: Condition | null;
}
interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly archMap?: readonly { readonly architecture: string; readonly subArchitectures?: readonly string[] | null }[];
  readonly syscalls?: readonly ProfileRule[];
}

function parseProfile(json: string): Profile {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw invalidProfile("it is not JSON", error);
  }
  if (typeof value !== "object" || value === null || !("defaultAction" in value)) {
    throw invalidProfile("it has no defaultAction", undefined);
  }
  const profile = value as Partial<Record<keyof Profile, unknown>>;
  const rules = profile.syscalls ?? [];
  if (typeof profile.defaultAction !== "string" || !Array.isArray(rules)) {
    throw invalidProfile("defaultAction must be text and syscalls a list", undefined);
  }
  for (const rule of rules as unknown[]) {
    if (typeof rule !== "object" || rule === null || !("action" in rule) || typeof rule.action !== "string") {
      throw invalidProfile("a rule has no action", undefined);
    }
  }
  return value as Profile;
}

function invalidProfile(reason: string, cause: unknown): TscomposeError {
  return new TscomposeError("request/invalid", `invalid seccomp profile: ${reason}`, {
    ...(cause === undefined ? {} : { cause }),
    hint: "give a profile in Docker's or the OCI runtime's JSON form",
  });
}
