/** A container's record and what was prepared for it -> the OCI runtime specification. Pure. All of the default confinement is
 *  here and in the tables that it uses. Source: security.md section 1. */
import { appArmorProfileOf } from "./apparmor.ts";
import type { IdMap, IdRange } from "../../host/id-map.ts";
import type { ContainerRecord, ResolvedMount } from "../containers/record.ts";
import type { Resources } from "../types.ts";
import { decideCapabilities } from "./capabilities.ts";
import type { CdiPlan } from "./cdi/cdi-plan.ts";
import { readonlyPaths } from "./confined-paths.ts";
import type { DevicePlan } from "./devices.ts";
import type { HostProfile } from "./host-profile.ts";
import { mountSpecs, type MountPlan } from "./mounts.ts";
import { namespaceSpecs, type NamespacePlan } from "./namespaces.ts";
import { resourcesSpec, type DeviceNumbers } from "./resources.ts";
import { rlimits } from "./rlimits.ts";
import { customSeccomp, defaultSeccomp } from "./seccomp.ts";
import { parseSecurityOptions, type SecurityOptions } from "./security-options.ts";
import type { IdMappingSpec, LinuxSpec, ProcessSpec, RuntimeSpec, SeccompSpec } from "./spec-types.ts";
import type { ResolvedUser } from "./user.ts";

export interface SpecInput {
  readonly record: ContainerRecord;
  readonly host: HostProfile;
  /** Mounted overlay; absolute, or seen from the bundle. */
  readonly rootfs: string;
  readonly cgroup: { readonly specified: string; readonly annotations: Readonly<Record<string, string>> };
  readonly userNamespace: IdMap | undefined;
  readonly user: ResolvedUser;
  readonly namespaces: NamespacePlan;
  readonly devices: DevicePlan;
  readonly cdi: CdiPlan;
  readonly deviceNumbers: DeviceNumbers;
  readonly files: MountPlan["files"];
  /** With their sources ready. */
  readonly mounts: readonly ResolvedMount[];
  readonly sharedMemory: string | undefined | null;
  /** Sysctls that the runtime sets; those of a sandbox are set by networking. */
  readonly sysctls: Readonly<Record<string, string>>;
}

/** Where the init program is mounted. */
export const initPath = "/sbin/docker-init";

/** @throws host/unsupported, request/invalid: what `create` has checked, should the host have changed since */
export function buildSpec(input: SpecInput): RuntimeSpec {
  const { record, host } = input;
  const { config, hostConfig } = record;
  const privileged = hostConfig.Privileged === true;
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const bounding = decideCapabilities({
    privileged,
    add: hostConfig.CapAdd ?? [],
    drop: hostConfig.CapDrop ?? [],
    available: host.capabilities,
  });
  const seccomp = seccompOf(security, { privileged, capabilities: bounding, arch: host.arch });
  const hostUts = input.namespaces.uts !== "new";
  return {
    ociVersion: "1.0.2",
    process: processSpec(input, security, bounding),
    root: { path: input.rootfs, readonly: hostConfig.ReadonlyRootfs === true },
    ...(hostUts || !config.Hostname ? {} : { hostname: config.Hostname }),
    mounts: mountSpecs({
      privileged,
      readonlyRootfs: hostConfig.ReadonlyRootfs === true,
      shmSize: hostConfig.ShmSize ?? 0,
      sharedMemory: input.sharedMemory,
      hostIpc: input.namespaces.ipc === "host",
      cgroupWritable: privileged || security.writableCgroups,
      files: input.files,
      mounts: input.mounts,
    }).concat(input.cdi.mounts),
    ...(Object.keys(input.cdi.hooks).length > 0 ? { hooks: input.cdi.hooks } : {}),
    annotations: { ...hostConfig.Annotations, ...input.cgroup.annotations },
    linux: {
      namespaces: namespaceSpecs(input.namespaces),
      ...idMappings(input.userNamespace),
      cgroupsPath: input.cgroup.specified,
      resources: resourcesSpec(runtimeLimits(hostConfig, host), {
        rules: [...input.devices.rules, ...input.cdi.rules],
        numbers: input.deviceNumbers,
      }),
      devices: [...input.devices.nodes, ...input.cdi.nodes],
      sysctl: {
        ...input.sysctls,
        // The kernel's domain name has no field in this version of the specification.
        ...(hostUts || !config.Domainname ? {} : { "kernel.domainname": config.Domainname }),
      },
      maskedPaths: privileged ? [] : (hostConfig.MaskedPaths ?? host.maskedPaths),
      readonlyPaths: privileged ? [] : (hostConfig.ReadonlyPaths ?? readonlyPaths),
      ...(seccomp === undefined ? {} : { seccomp }),
      rootfsPropagation: rootPropagation(input.mounts),
      ...(host.selinux && security.labels.length > 0 ? { mountLabel: selinuxLabel(security.labels, "object") } : {}),
    },
  };
}

function idMappings(map: IdMap | undefined): Pick<LinuxSpec, "uidMappings" | "gidMappings"> {
  if (map === undefined) return {};
  const spec = ({ inside, outside, size }: IdRange): IdMappingSpec => ({ containerID: inside, hostID: outside, size });
  return { uidMappings: map.uids.map(spec), gidMappings: map.gids.map(spec) };
}

/** Without what the engine sets itself, see `block-weight.ts`. */
export function runtimeLimits(limits: Resources, host: HostProfile): Resources {
  return host.cgroup.version === 1 ? { ...limits, BlkioWeight: 0, BlkioWeightDevice: null } : limits;
}

function processSpec(input: SpecInput, security: SecurityOptions, bounding: readonly string[]): ProcessSpec {
  const { record, host, user } = input;
  const { config, hostConfig } = record;
  const [height = 0, width = 0] = hostConfig.ConsoleSize ?? [];
  const argv = [record.path, ...record.args];
  // A process that is not root holds none of them; a setuid program of the image may still take them from the bounding set.
  const own = user.uid === 0 ? bounding : [];
  const groups = [...new Set([...user.additionalGids, ...input.cdi.additionalGids])];
  const appArmor = appArmorProfileOf(host, hostConfig.Privileged === true, security.appArmor);
  return {
    terminal: config.Tty === true,
    ...(config.Tty === true && height > 0 ? { consoleSize: { height, width } } : {}),
    user: {
      uid: user.uid,
      gid: user.gid,
      ...(groups.length > 0 ? { additionalGids: groups } : {}),
    },
    args: hostConfig.Init === true ? [initPath, "--", ...argv] : argv,
    env: environment(input),
    cwd: config.WorkingDir || "/",
    capabilities: { bounding, permitted: own, effective: own, inheritable: [], ambient: [] },
    rlimits: rlimits(hostConfig.Ulimits ?? [], host.hardLimits),
    noNewPrivileges: security.noNewPrivileges,
    ...(hostConfig.OomScoreAdj ? { oomScoreAdj: hostConfig.OomScoreAdj } : {}),
    ...(appArmor === undefined ? {} : { apparmorProfile: appArmor }),
    ...(host.selinux && security.labels.length > 0 ? { selinuxLabel: selinuxLabel(security.labels, "process") } : {}),
  };
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Docker's: PATH and HOSTNAME, TERM with a terminal, then what was asked for over them, and HOME where nobody set it. */
function environment({ record, user, cdi }: SpecInput): readonly string[] {
  const { config } = record;
  const variables = new Map<string, string>();
  const set = (text: string): void => {
    const equals = text.indexOf("=");
    if (equals > 0) variables.set(text.slice(0, equals), text);
    else if (equals < 0) variables.delete(text); // a name alone never takes a value of the engine's
  };
  set(defaultPath);
  set(`HOSTNAME=${config.Hostname ?? ""}`);
  if (config.Tty === true) set("TERM=xterm");
  config.Env?.forEach(set);
  cdi.env.forEach(set);
  if (!variables.has("HOME")) set(`HOME=${user.home}`);
  return [...variables.values()];
}

function seccompOf(
  security: SecurityOptions,
  context: { readonly privileged: boolean; readonly capabilities: readonly string[]; readonly arch: string },
): SeccompSpec | undefined {
  if (security.seccomp === "unconfined") return undefined;
  if (security.seccomp !== "default") return customSeccomp(security.seccomp, context.capabilities, context.arch);
  return context.privileged ? undefined : defaultSeccomp(context.capabilities, context.arch);
}

function selinuxLabel(labels: readonly string[], kind: "process" | "object"): string {
  const part = (key: string, fallback: string): string =>
    labels.find((label) => label.startsWith(`${key}:`))?.slice(key.length + 1) ?? fallback;
  const role = kind === "process" ? part("role", "system_r") : "object_r";
  const type = kind === "process" ? part("type", "container_t") : "container_file_t";
  return `${part("user", "system_u")}:${role}:${type}:${part("level", "s0")}`;
}

/** Mounts that receive from the host need a root that does. */
function rootPropagation(mounts: readonly ResolvedMount[]): string {
  return mounts.some(({ options }) => options.includes("rslave") || options.includes("slave")) ? "rslave" : "rprivate";
}
