/** A request's HostConfig -> one with Docker's defaults filled in and every field checked. Pure. A field that the engine does not
 *  honour is refused by its name, never ignored. Source: engine-api.md section 10, cli-wire.md 0.3; Docker's error texts. */
import { TscomposeError } from "../../../errors.ts";
import { checkAppArmor } from "../../runtime/apparmor.ts";
import { decideCapabilities } from "../../runtime/capabilities.ts";
import { readonlyPaths } from "../../runtime/confined-paths.ts";
import { parseDeviceRule } from "../../runtime/devices.ts";
import type { HostProfile } from "../../runtime/host-profile.ts";
import { checkUlimit, rlimits } from "../../runtime/rlimits.ts";
import { customSeccomp } from "../../runtime/seccomp.ts";
import { parseSecurityOptions } from "../../runtime/security-options.ts";
import { parseId } from "../../runtime/user.ts";
import { planLog } from "../../streams/log-config.ts";
import type { HostConfig } from "../../types.ts";
import { checkModes } from "./modes.ts";
import { storageSize } from "../storage-size.ts";
import { checkResources, normaliseResources } from "./resources.ts";
import { checkRestartPolicy, normaliseRestartPolicy } from "./restart-policy-request.ts";
import { checkSysctls } from "./sysctls.ts";

export interface HostConfigContext {
  readonly host: HostProfile;
  /** Names of OCI runtimes that can be asked for, the default first. */
  readonly runtimes: readonly string[];
}

const defaultShmSize = 64 * 1024 * 1024;

export function normaliseHostConfig(asked: HostConfig, { host, runtimes }: HostConfigContext): HostConfig {
  const network = asked.NetworkMode ?? "";
  return {
    ...asked,
    ...normaliseResources(asked),
    Binds: asked.Binds ?? null,
    LogConfig: { Type: asked.LogConfig?.Type || "json-file", Config: asked.LogConfig?.Config ?? {} },
    NetworkMode: network === "" || network === "default" ? "bridge" : network,
    PortBindings: asked.PortBindings ?? {},
    RestartPolicy: normaliseRestartPolicy(asked.RestartPolicy),
    AutoRemove: asked.AutoRemove ?? false,
    ConsoleSize: asked.ConsoleSize ?? [0, 0],
    IpcMode: asked.IpcMode || "private",
    CgroupnsMode: asked.CgroupnsMode || (host.cgroup.version === 2 && asked.Privileged !== true ? "private" : "host"),
    ShmSize: asked.ShmSize || defaultShmSize,
    Runtime: asked.Runtime || (runtimes[0] ?? ""),
    ...confinedPaths(asked, host),
  };
}

function confinedPaths(asked: HostConfig, host: HostProfile): Pick<HostConfig, "MaskedPaths" | "ReadonlyPaths"> {
  if (asked.Privileged === true) return { MaskedPaths: null, ReadonlyPaths: null };
  const unmasked = parseSecurityOptions(asked.SecurityOpt ?? []).unmaskedPaths;
  if (unmasked) return { MaskedPaths: [], ReadonlyPaths: [] };
  return {
    MaskedPaths: asked.MaskedPaths ?? host.maskedPaths,
    ReadonlyPaths: asked.ReadonlyPaths ?? readonlyPaths,
  };
}

/** Fields that are looked at; all others must be empty. */
export const honouredFields: ReadonlySet<string> = new Set(
  (
    "Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove VolumeDriver VolumesFrom ConsoleSize " +
    "Annotations CapAdd CapDrop CgroupnsMode Dns DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode Links OomScoreAdj PidMode " +
    "Privileged PublishAllPorts ReadonlyRootfs SecurityOpt Tmpfs UTSMode UsernsMode ShmSize Sysctls Runtime Isolation " +
    "Mounts MaskedPaths ReadonlyPaths Init CpuShares Memory NanoCpus CgroupParent BlkioWeight BlkioWeightDevice " +
    "BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota " +
    "CpusetCpus CpusetMems Devices DeviceCgroupRules MemoryReservation MemorySwap MemorySwappiness " +
    "StorageOpt OomKillDisable PidsLimit Ulimits DeviceRequests CpuRealtimePeriod CpuRealtimeRuntime"
  ).split(" "),
);

/** Fields that have a reason of their own to be refused. */
const refusals: Readonly<Record<string, string>> = {
  Cgroup: "joining another container's cgroup is not supported",
  CpuCount: "it is for Windows containers",
  CpuPercent: "it is for Windows containers",
  IOMaximumIOps: "it is for Windows containers",
  IOMaximumBandwidth: "it is for Windows containers",
  KernelMemory: "the kernel has no such limit any more, Memory covers it",
  KernelMemoryTCP: "the kernel has no such limit any more, Memory covers it",
};

/** Checks a normalised configuration. @throws request/invalid, request/unsupported, host/unsupported */
export function checkHostConfig(config: HostConfig, context: HostConfigContext): readonly string[] {
  for (const [key, value] of Object.entries(config)) {
    if (honouredFields.has(key) || isEmpty(value)) continue;
    const reason = refusals[key] ?? "this engine does not know it";
    throw new TscomposeError("request/unsupported", `HostConfig.${key} is not supported: ${reason}`, {
      hint: `leave ${key} out`,
      details: { field: key },
    });
  }
  const { host, runtimes } = context;
  checkRuntime(config, runtimes);
  checkRestartPolicy(config.RestartPolicy, config.AutoRemove === true);
  planLog(config.LogConfig);
  storageSize(config);
  checkModes(config);
  checkSysctls(config);
  checkSecurity(config, host);
  checkAnnotations(config);
  for (const group of config.GroupAdd ?? []) parseId(group);
  for (const rule of config.DeviceCgroupRules ?? []) parseDeviceRule(rule);
  config.Ulimits?.forEach(checkUlimit);
  rlimits(config.Ulimits ?? [], host.hardLimits);
  checkExtraHosts(config.ExtraHosts ?? []);
  if (config.Init === true && host.initProgram === undefined) {
    throw new TscomposeError("host/unsupported", "HostConfig.Init: no static init program is installed", {
      hint: "install one: apt-get install tini",
    });
  }
  const score = config.OomScoreAdj ?? 0;
  if (!Number.isSafeInteger(score) || score < -1000 || score > 1000) {
    throw invalid(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  }
  const shm = config.ShmSize ?? 0;
  if (!Number.isSafeInteger(shm) || shm < 0) throw invalid("SHM size can not be less than 0");
  return checkResources(config, host);
}

/** crun takes orders from annotations of this kind: one replaces the seccomp filter, another keeps the engine's groups. */
function checkAnnotations(config: HostConfig): void {
  const order = Object.keys(config.Annotations ?? {}).find((name) => name.startsWith("run.oci."));
  if (order === undefined) return;
  throw new TscomposeError("request/unsupported", `HostConfig.Annotations: ${order} is an order to the OCI runtime`, {
    hint: `leave ${order} out; security_opt and cap_add change the confinement`,
    details: { field: "Annotations" },
  });
}

function checkRuntime(config: HostConfig, runtimes: readonly string[]): void {
  const name = config.Runtime ?? "";
  if (name !== "" && !runtimes.includes(name)) {
    throw new TscomposeError("request/invalid", `unknown or invalid runtime name: ${name}`, {
      hint: `use one of ${runtimes.join(", ")}`,
    });
  }
}

function checkSecurity(config: HostConfig, host: HostProfile): void {
  const security = parseSecurityOptions(config.SecurityOpt ?? []);
  const capabilities = decideCapabilities({
    privileged: config.Privileged === true,
    add: config.CapAdd ?? [],
    drop: config.CapDrop ?? [],
    available: host.capabilities,
  });
  if (security.seccomp !== "default" && security.seccomp !== "unconfined") {
    customSeccomp(security.seccomp, capabilities, host.arch);
  }
  checkAppArmor(host, security.appArmor);
  if (!host.selinux && security.labels.length > 0) {
    throw new TscomposeError("host/unsupported", `label ${security.labels[0]}: this kernel has no SELinux`, {
      hint: "leave the label option out, or boot a kernel with SELinux",
    });
  }
}

/** They go into /etc/hosts. */
function checkExtraHosts(entries: readonly string[]): void {
  for (const entry of entries) {
    const [, name = "", address = ""] = /^([^:=]+)[:=](.+)$/.exec(entry) ?? [];
    const host = /^[a-zA-Z0-9_]([a-zA-Z0-9_.-]*)$/.test(name);
    const target = address === "host-gateway" || /^\[?[0-9a-fA-F:.]+\]?$/.test(address);
    if (!host || !target) throw invalid(`bad format for add-host: ${JSON.stringify(entry)}`);
  }
}

/** What clients send for "not set". */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function invalid(message: string): TscomposeError {
  return new TscomposeError("request/invalid", message);
}
