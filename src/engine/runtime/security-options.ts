/** `SecurityOpt` as typed options. Pure. Source: docker run --security-opt. */
import { TscomposeError } from "../../errors.ts";

export interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  /** "default", "unconfined", or a profile as JSON text. */
  readonly seccomp: string;
  /** Name of a profile that is loaded on the host; undefined: not asked for. */
  readonly appArmor: string | undefined;
  /** `user:x`, `type:y`, ...; empty: not asked for. */
  readonly labels: readonly string[];
  readonly labelDisabled: boolean;
  readonly unmaskedPaths: boolean;
  readonly writableCgroups: boolean;
}

/** @throws request/invalid naming the option */
export function parseSecurityOptions(options: readonly string[]): SecurityOptions {
  let noNewPrivileges = false;
  let seccomp = "default";
  let appArmor: string | undefined;
  const labels: string[] = [];
  let labelDisabled = false;
  let unmaskedPaths = false;
  let writableCgroups = false;
  for (const option of options) {
    const [, key = "", value] = /^([a-z-]+)(?:[=:](.*))?$/s.exec(option) ?? [];
    if (key === "no-new-privileges") noNewPrivileges = parseBoolean(option, value);
    else if (key === "writable-cgroups") writableCgroups = parseBoolean(option, value);
    else if (key === "seccomp" && value !== undefined) seccomp = value === "builtin" ? "default" : value;
    else if (key === "apparmor" && value !== undefined) appArmor = value;
    else if (key === "label" && value === "disable") labelDisabled = true;
    else if (key === "label" && value !== undefined) labels.push(value);
    else if (key === "systempaths" && value === "unconfined") unmaskedPaths = true;
    else throw invalid(option);
  }
  return { noNewPrivileges, seccomp, appArmor, labels, labelDisabled, unmaskedPaths, writableCgroups };
}

function parseBoolean(option: string, value: string | undefined): boolean {
  if (value === undefined || value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw invalid(option);
}

function invalid(option: string): TscomposeError {
  return new TscomposeError("request/invalid", `invalid --security-opt: ${JSON.stringify(option.slice(0, 100))}`, {
    hint: "use no-new-privileges, seccomp=, apparmor=, label=, systempaths=unconfined or writable-cgroups=",
  });
}
