/** Gathers what the runtime specification of a container depends on, and builds it. */
import { readlinkSync, openSync, closeSync, constants, statSync } from "node:fs";
import { posix } from "node:path";
import { TscomposeError } from "../../errors.ts";
import { creatingAs, ownerOutside } from "../../host/id-map.ts";
import * as libc from "../../host/libc.ts";
import { buildSpec, initPath } from "../runtime/build-spec.ts";
import { planCdi, noCdi, type CdiPlan } from "../runtime/cdi/cdi-plan.ts";
import { readCdiDevices } from "../runtime/cdi/cdi-registry.ts";
import { requestedDevices } from "../runtime/cdi/device-requests.ts";
import { deviceNumbers, planDevices } from "../runtime/devices.ts";
import type { RuntimeSpec } from "../runtime/spec-types.ts";
import { ensureDirectoryInRoot, readUserFiles } from "../runtime/user-files.ts";
import { resolveUser, type ResolvedUser } from "../runtime/user.ts";
import type { HostConfig } from "../types.ts";
import { checkMountTargets } from "../volumes/mount-paths.ts";
import type { CgroupPlace } from "./cgroup-place.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { isNetworkSysctl } from "./create/sysctls.ts";
import { joinedContainer } from "./create/modes.ts";
import type { ResolvedMount } from "./record.ts";
import { joinable, type NetworkPreparation } from "./sandbox.ts";
import type { IpcPlan } from "./shared-memory.ts";

export interface Prepared {
  readonly rootfs: string;
  readonly mounts: readonly ResolvedMount[];
  readonly network: NetworkPreparation;
  readonly ipc: IpcPlan;
  readonly cgroup: CgroupPlace;
}

/** @throws request/invalid for a user that the image does not have, container/start-failed for a working directory that leads
 *  out of the container's own files */
export function runtimeSpecOf(ctx: ContainerContext, container: Container, prepared: Prepared): RuntimeSpec {
  const { record } = container;
  const { config, hostConfig } = record;
  const user = resolveUser(config.User ?? "", hostConfig.GroupAdd ?? [], readUserFiles(prepared.rootfs));
  const map = record.userNamespace;
  const root = map === undefined ? undefined : ownerOutside(map, { uid: 0, gid: 0 });
  creatingAs(root, () => prepareWorkingDirectory(prepared.rootfs, config.WorkingDir || "/"));
  if (map !== undefined) ownerOutside(map, user);
  const sysctls = Object.entries(hostConfig.Sysctls ?? {}).filter(([name]) => !isNetworkSysctl(name));
  return buildSpec({
    record,
    host: ctx.host,
    rootfs: rootPathFor(ctx, container, prepared.rootfs),
    userNamespace: map,
    cgroup: prepared.cgroup,
    user,
    namespaces: {
      network: prepared.network.namespace,
      ipc: prepared.ipc.namespace,
      pid: pidNamespace(ctx, hostConfig),
      uts: hostConfig.UTSMode === "host" ? "host" : "new",
      user: userNamespaceOf(ctx, container),
      cgroup: hostConfig.CgroupnsMode === "private" ? "new" : "host",
    },
    devices: planDevices({
      privileged: hostConfig.Privileged === true,
      devices: hostConfig.Devices ?? [],
      rules: hostConfig.DeviceCgroupRules ?? [],
    }),
    cdi: planCdiOf(ctx, hostConfig, prepared.rootfs),
    deviceNumbers: limitedDevices(hostConfig),
    files: engineFiles(ctx, container, prepared.network),
    mounts: prepared.mounts,
    sharedMemory: prepared.ipc.sharedMemory,
    sysctls: { ...prepared.network.sysctls, ...Object.fromEntries(sysctls) },
  });
}

/** @throws request/invalid for devices that this host does not have */
function planCdiOf(ctx: ContainerContext, hostConfig: HostConfig, rootfs: string): CdiPlan {
  const requests = hostConfig.DeviceRequests ?? [];
  if (requests.length === 0) return noCdi;
  const devices = readCdiDevices(ctx.host.cdiDirectories);
  const plan = planCdi(requestedDevices(requests, devices), devices);
  const targets = plan.mounts.map(({ destination }) => ({ Destination: destination }));
  checkMountTargets(rootfs, targets, hostConfig.Privileged === true);
  return plan;
}

/** Of a container in a user namespace as seen from the bundle: crun looks it up as that namespace's root, who may not walk through
 *  the engine's directories. */
function rootPathFor(ctx: ContainerContext, container: Container, rootfs: string): string {
  if (container.record.userNamespace === undefined || ctx.runtime.name !== "crun") return rootfs;
  return posix.relative(container.paths.bundle, rootfs);
}

/** Namespaces belong to the user namespace that they were made in: who joins them joins that one too. */
function userNamespaceOf(ctx: ContainerContext, container: Container): string {
  const { record } = container;
  if (record.userNamespace === undefined) return "host";
  const { NetworkMode, IpcMode, PidMode } = record.hostConfig;
  const refs = [NetworkMode, IpcMode, PidMode].flatMap((mode) => joinedContainer(mode) ?? []);
  const others = refs.map((ref) => joinable(ctx, ref, "user"));
  const foreign = others.find(
    (other) => JSON.stringify(other.record.userNamespace) !== JSON.stringify(record.userNamespace),
  );
  if (foreign !== undefined) {
    throw new TscomposeError(
      "request/invalid",
      `cannot join the namespaces of container ${foreign.name}: it has another user namespace`,
      { hint: "give both containers the same userns_mode" },
    );
  }
  const [first] = others;
  return first === undefined ? "new" : `/proc/${first.state.process?.pid}/ns/user`;
}

/** The user of a container as its image has it, for an exec. */
export function resolveContainerUser(rootfs: string, user: string, groupAdd: readonly string[]): ResolvedUser {
  return resolveUser(user, groupAdd, readUserFiles(rootfs));
}

function pidNamespace(ctx: ContainerContext, hostConfig: HostConfig): string {
  const ref = joinedContainer(hostConfig.PidMode);
  if (ref !== undefined) return `/proc/${joinable(ctx, ref, "pid").state.process?.pid}/ns/pid`;
  return hostConfig.PidMode === "host" ? "host" : "new";
}

function engineFiles(
  ctx: ContainerContext,
  container: Container,
  network: NetworkPreparation,
): readonly { readonly source: string; readonly destination: string; readonly readOnly: boolean }[] {
  const paths = network.shared?.paths ?? container.paths;
  const init =
    container.record.hostConfig.Init === true && ctx.host.initProgram !== undefined
      ? [{ source: ctx.host.initProgram, destination: initPath, readOnly: true }]
      : [];
  return [
    { source: paths.resolvConf, destination: "/etc/resolv.conf", readOnly: false },
    { source: paths.hostnameFile, destination: "/etc/hostname", readOnly: false },
    { source: paths.hostsFile, destination: "/etc/hosts", readOnly: false },
    ...init,
  ];
}

/** Makes it where the image lacks it, and sees where it really is. */
function prepareWorkingDirectory(rootfs: string, path: string): void {
  try {
    ensureDirectoryInRoot(rootfs, path);
  } catch (error) {
    const errno = libc.syscallErrno(error);
    if (errno === undefined) throw error;
    const reason = errno === "ENOTDIR" ? "not a directory" : errno;
    throw new TscomposeError("container/start-failed", `cannot make the working directory ${path}: ${reason}`, {
      cause: error,
      hint: "use another working directory, or correct the image",
    });
  }
  const real = realPathInRoot(rootfs, path);
  if (!/^\/(proc|sys|dev)(\/|$)/.test(real)) return;
  throw new TscomposeError("container/start-failed", `the image leads the working directory ${path} to ${real}`, {
    hint: "use a working directory that is not a symlink in the image",
  });
}

function realPathInRoot(rootfs: string, path: string): string {
  const root = openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const resolve = libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS;
    const fd = libc.openat2(root, path.replace(/^\/+/, "") || ".", { flags: libc.O_PATH, resolve });
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).slice(readlinkSync(`/proc/self/fd/${root}`).length) || "/";
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(root);
  }
}

/** Those that a limit names. @throws request/invalid for a path that is no device */
export function limitedDevices(
  hostConfig: HostConfig,
): ReadonlyMap<string, { readonly major: number; readonly minor: number }> {
  const paths = [
    ...(hostConfig.BlkioWeightDevice ?? []),
    ...(hostConfig.BlkioDeviceReadBps ?? []),
    ...(hostConfig.BlkioDeviceWriteBps ?? []),
    ...(hostConfig.BlkioDeviceReadIOps ?? []),
    ...(hostConfig.BlkioDeviceWriteIOps ?? []),
  ].map(({ Path }) => Path);
  return new Map(
    [...new Set(paths)].map((path) => {
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat?.isBlockDevice() !== true) {
        throw new TscomposeError("request/invalid", `${path} is no block device of the host`, {
          hint: "name a device such as /dev/sda",
        });
      }
      return [path, deviceNumbers(stat)] as const;
    }),
  );
}
