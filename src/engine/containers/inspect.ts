/** `docker inspect` of a container. Source: engine-api.md section 11. */
import { existsSync } from "node:fs";
import type { ContainerInspect, ContainerState, HostConfig } from "../types.ts";
import { visibleMounts } from "../volumes/resolve-mounts.ts";
import type { Container } from "./container.ts";
import type { RecordedState } from "./record.ts";
import { networkSettings, portMap, type NetworkLookup } from "./network-settings.ts";

export interface InspectFacts {
  readonly lookup: NetworkLookup;
  /** Highest first. */
  readonly lowerDirs: readonly string[];
  /** With the limits that the kernel has. */
  readonly hostConfig: HostConfig;
  readonly appArmorProfile: string;
  readonly sizes: { readonly rw: number; readonly rootFs: number } | undefined;
}

export function inspectContainer(container: Container, facts: InspectFacts): ContainerInspect {
  const { record, paths } = container;
  const { sandbox } = record.state;
  return {
    Id: record.id,
    Created: record.created,
    Path: record.path,
    Args: record.args,
    State: stateOf(record.state),
    Image: record.imageId,
    ResolvConfPath: paths.resolvConf,
    HostnamePath: paths.hostnameFile,
    HostsPath: paths.hostsFile,
    LogPath: existsSync(paths.log) ? paths.log : "",
    Name: `/${record.name}`,
    RestartCount: record.state.restartCount,
    Driver: "overlay2",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: facts.appArmorProfile,
    ExecIDs: container.execIds.size > 0 ? [...container.execIds] : null,
    HostConfig: facts.hostConfig,
    GraphDriver: {
      Name: "overlay2",
      Data: {
        LowerDir: facts.lowerDirs.join(":"),
        MergedDir: paths.root,
        UpperDir: paths.upper,
        WorkDir: paths.work,
      },
    },
    ...(facts.sizes === undefined ? {} : { SizeRw: facts.sizes.rw, SizeRootFs: facts.sizes.rootFs }),
    Mounts: visibleMounts(record.mounts, record.hostConfig),
    Config: record.config,
    NetworkSettings: {
      Bridge: "",
      SandboxID: sandbox === undefined ? "" : record.id,
      SandboxKey: record.state.process === undefined ? "" : `/proc/${record.state.process.pid}/ns/net`,
      Ports: portMap(record),
      Networks: networkSettings(record, facts.lookup),
    },
  };
}

export function stateOf(state: RecordedState): ContainerState {
  const { status } = state;
  const alive = status === "running" || status === "paused";
  return {
    Status: status,
    Running: alive || status === "restarting",
    Paused: status === "paused",
    Restarting: status === "restarting",
    OOMKilled: state.oomKilled,
    Dead: status === "dead",
    Pid: alive ? (state.process?.pid ?? 0) : 0,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt,
    FinishedAt: state.finishedAt,
    ...(state.health === undefined ? {} : { Health: state.health }),
  };
}
