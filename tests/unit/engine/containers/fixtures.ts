/** Records and machines for tests of the pure parts. */
import type { ContainerRecord, RecordedState } from "../../../../src/engine/containers/record.ts";
import type { HostProfile } from "../../../../src/engine/runtime/host-profile.ts";

/** Everything a root process can hold. */
export const allCapabilities = (1n << 41n) - 1n;

export function hostProfile(change: Partial<HostProfile> = {}): HostProfile {
  const controllers = ["memory", "cpu", "cpuset", "pids", "blkio", "freezer", "devices"];
  return {
    cgroupDriver: "cgroupfs",
    arch: "x64",
    capabilities: allCapabilities,
    hardLimits: {},
    cgroup: {
      version: 1,
      controllers: new Map(controllers.map((name) => [name, `/sys/fs/cgroup/${name}`])),
      mountPoints: controllers.map((name) => `/sys/fs/cgroup/${name}`),
      hybridUnified: undefined,
    },
    realtimeGroups: true,
    appArmor: false,
    appArmorParser: false,
    selinux: false,
    maskedPaths: ["/proc/kcore"],
    initProgram: "/usr/bin/tini-static",
    cpuCount: 2,
    memoryBytes: 4 * 1024 ** 3,
    swapTotalBytes: 0,
    cdiDirectories: [],
    ...change,
  };
}

export const never = "0001-01-01T00:00:00Z";

export function state(change: Partial<RecordedState> = {}): RecordedState {
  return {
    status: "created",
    process: undefined,
    monitor: undefined,
    exitCode: 0,
    error: "",
    oomKilled: false,
    startedAt: never,
    finishedAt: never,
    restartCount: 0,
    stoppedByUser: false,
    health: undefined,
    sandbox: undefined,
    lastEndpoints: [],
    ...change,
  };
}

export function record(change: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    version: 1,
    id: "a".repeat(64),
    name: "one",
    created: "2026-11-21T10:00:00.000000000Z",
    imageId: `sha256:${"b".repeat(64)}`,
    imageRef: "busybox",
    config: { Hostname: "aaaaaaaaaaaa", Env: [], Labels: {} },
    hostConfig: { NetworkMode: "bridge" },
    path: "sleep",
    args: ["1000"],
    endpoints: { bridge: {} },
    mounts: [],
    state: state(),
    ...change,
  };
}
