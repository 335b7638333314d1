/** The part of the OCI runtime specification that the engine writes. Types only.
 *  Source: opencontainers/runtime-spec config.md, config-linux.md (1.0; crun 1.8 and runc 1.1 read it). */

export interface RuntimeSpec {
  readonly ociVersion: "1.0.2";
  readonly process: ProcessSpec;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mounts: readonly MountSpec[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly hooks?: HooksSpec;
  readonly linux: LinuxSpec;
}

/** Stage -> programs of the host, in order. */
export type HooksSpec = Readonly<Record<string, readonly HookSpec[]>>;
export interface HookSpec {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  /** Seconds. */
  readonly timeout?: number;
}

export interface ProcessSpec {
  readonly terminal: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly umask?: number;
    readonly additionalGids?: readonly number[];
  };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: {
    readonly bounding: readonly string[];
    readonly effective: readonly string[];
    readonly permitted: readonly string[];
    readonly inheritable: readonly string[];
    readonly ambient: readonly string[];
  };
  readonly rlimits: readonly { readonly type: string; readonly hard: number; readonly soft: number }[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj?: number;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
}

export interface MountSpec {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface NamespaceSpec {
  readonly type: "pid" | "network" | "mount" | "ipc" | "uts" | "user" | "cgroup";
  readonly path?: string;
}

export interface DeviceSpec {
  readonly path: string;
  readonly type: "c" | "b" | "p";
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface DeviceRuleSpec {
  readonly allow: boolean;
  readonly type?: "a" | "c" | "b";
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
}

export interface ThrottleSpec {
  readonly major: number;
  readonly minor: number;
  readonly rate: number;
}

export interface ResourcesSpec {
  readonly devices?: readonly DeviceRuleSpec[];
  readonly memory?: {
    readonly limit?: number;
    readonly reservation?: number;
    readonly swap?: number;
    readonly swappiness?: number;
    readonly disableOOMKiller?: boolean;
  };
  readonly cpu?: {
    readonly shares?: number;
    readonly quota?: number;
    readonly period?: number;
    readonly realtimeRuntime?: number;
    readonly realtimePeriod?: number;
    readonly cpus?: string;
    readonly mems?: string;
  };
  readonly pids?: { readonly limit: number };
  readonly blockIO?: {
    readonly weight?: number;
    readonly weightDevice?: readonly { readonly major: number; readonly minor: number; readonly weight: number }[];
    readonly throttleReadBpsDevice?: readonly ThrottleSpec[];
    readonly throttleWriteBpsDevice?: readonly ThrottleSpec[];
    readonly throttleReadIOPSDevice?: readonly ThrottleSpec[];
    readonly throttleWriteIOPSDevice?: readonly ThrottleSpec[];
  };
}

export interface SeccompSpec {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly syscalls?: readonly SeccompRuleSpec[];
}
export interface SeccompRuleSpec {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly {
    readonly index: number;
    readonly value: number;
    readonly valueTwo?: number;
    readonly op: string;
  }[];
}

export interface IdMappingSpec {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface LinuxSpec {
  readonly namespaces: readonly NamespaceSpec[];
  readonly uidMappings?: readonly IdMappingSpec[];
  readonly gidMappings?: readonly IdMappingSpec[];
  readonly cgroupsPath: string;
  readonly resources: ResourcesSpec;
  readonly devices: readonly DeviceSpec[];
  readonly sysctl: Readonly<Record<string, string>>;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly seccomp?: SeccompSpec;
  readonly rootfsPropagation?: string;
  readonly mountLabel?: string;
}
