/** The engine of this machine, put together: images, networks, volumes, containers and what streams to and from them. The only
 *  file that knows all of them. */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { removeEmptyCgroup } from "../host/cgroup.ts";
import { markTopDirectory } from "../host/inode-flags.ts";
import { Inotify } from "../host/inotify.ts";
import { Poller } from "../host/poller.ts";
import { createNetworking } from "../network/networking.ts";
import type { NetworkingOptions } from "../network/types.ts";
import { Archives } from "./archive/archives.ts";
import { createBuilder } from "./build/builder.ts";
import { adoptContainers, makeRunDirectories } from "./containers/adopt.ts";
import { Containers } from "./containers/containers.ts";
import type { ContainerContext, Log } from "./containers/context.ts";
import { Lifecycle } from "./containers/lifecycle.ts";
import { joinNetwork, leaveNetwork } from "./containers/network-membership.ts";
import { containersDir, runtimeStateDir } from "./containers/paths.ts";
import { OomWatch } from "./containers/oom-watch.ts";
import { ContainerRegistry } from "./containers/registry.ts";
import { RootFilesystems } from "./containers/rootfs.ts";
import { Runs } from "./containers/runs.ts";
import { UserNamespaces } from "./containers/user-namespaces.ts";
import { cgroupPathOf } from "./containers/cgroup-place.ts";
import { resolveContainerUser } from "./containers/spec-of.ts";
import type { Container } from "./containers/container.ts";
import type { ContainerService, Engine } from "./engine.ts";
import { EventBus } from "./events.ts";
import type { NetworkInspect } from "./types.ts";
import { HealthMonitors } from "./health/health-monitors.ts";
import { createImageStore } from "./images/store.ts";
import { FaultVerbs } from "./networks/fault-service.ts";
import { Networks } from "./networks/network-service.ts";
import { capabilityNames } from "./runtime/capabilities.ts";
import { readHostProfile } from "./runtime/host-profile.ts";
import { chooseRuntime, runtimeCommand } from "./runtime/oci-runtime.ts";
import { SeccompFilters } from "./runtime/seccomp-filters.ts";
import type { ResolvedUser } from "./runtime/user.ts";
import { Attachments } from "./streams/attachments.ts";
import { containerLogs } from "./streams/container-logs.ts";
import { Execs } from "./streams/exec-service.ts";
import { LogKeeper } from "./streams/log-keeper.ts";
import { RunCompanions } from "./streams/run-companions.ts";
import { Stats } from "./stats/stats.ts";
import { System } from "./system.ts";
import { Volumes } from "./volumes/volumes.ts";

export interface LocalEngineOptions {
  readonly dataRoot: string;
  readonly runRoot: string;
  /** One line for the engine's log. */
  readonly log: (line: string) => void;
  /** The process has a mount namespace of its own: the engine may take mounts away in it. */
  readonly privateMounts?: boolean;
  /** `crun` or `runc`; undefined: the engine chooses. */
  readonly runtime?: string | undefined;
  /** Where specifications of CDI devices are; undefined: /etc/cdi and /var/run/cdi. */
  readonly cdiDirectories?: readonly string[] | undefined;
  /** `systemd` or `cgroupfs`; undefined: the engine chooses. */
  readonly cgroupDriver?: string | undefined;
  /** Whose subordinate ids containers get that do not say otherwise: "default" or `user[:group]`; undefined: nobody's. */
  readonly usernsRemap?: string | undefined;
  /** Of this program, for `info` and `version`. */
  readonly version?: string | undefined;
  /** False: health checks on Docker's schedule only, also while somebody waits for the first success. */
  readonly eagerHealth?: boolean;
  /** Settings of networking; absent: the defaults. */
  readonly network?: Pick<NetworkingOptions, "publishAddresses"> & Partial<Pick<NetworkingOptions, "pools">>;
}

/** Loads the records, takes over what runs, and serves. @throws host/unsupported for a machine that cannot run containers */
export async function createLocalEngine(options: LocalEngineOptions): Promise<Engine> {
  const { dataRoot, runRoot } = options;
  const roots = { dataRoot, runRoot };
  const log: Log = (level, message) => options.log(`${level}: ${message}`);
  for (const path of [dataRoot, runRoot, containersDir(roots)]) mkdirSync(path, { recursive: true, mode: 0o700 });
  markTopDirectory(containersDir(roots));
  const tag = createHash("sha256").update(runRoot).digest("hex").slice(0, 8);

  const host = readHostProfile(options);
  const runtime = chooseRuntime({
    systemdCgroups: host.cgroupDriver === "systemd",
    stateDir: runtimeStateDir(roots),
    name: options.runtime,
    privateMounts: options.privateMounts === true,
  });
  const events = new EventBus();
  const poller = new Poller();
  const inotify = new Inotify(poller);
  const registry = new ContainerRegistry();
  const images = createImageStore({ ...roots, log: (message) => log("warn", message), emit: events.publish });
  const networking = await createNetworking({
    dataDir: join(dataRoot, "networks"),
    tag,
    pools: options.network?.pools,
    publishAddresses: options.network?.publishAddresses,
    log,
    poller,
  });
  const volumes = new Volumes({
    dataDir: join(dataRoot, "volumes"),
    usersOf: (name) => usersOfVolume(registry, name),
    publish: events.publish,
    log,
  });
  const userNamespaces = new UserNamespaces(roots, options.usernsRemap);
  const rootfs = new RootFilesystems({ dataRoot, images, userNamespaces });
  const userOf = async (container: Container, user: string): Promise<ResolvedUser> =>
    rootfs.using(container, (root) => resolveContainerUser(root, user, container.record.hostConfig.GroupAdd ?? []));
  const exec = new Execs({
    registry,
    runtimeCommand: () => runtimeCommand(runtime),
    sendsTerminal: () => runtime.name === "crun",
    resolveUser: userOf,
    allCapabilities: capabilityNames.filter((_, number) => (host.capabilities >> BigInt(number)) & 1n),
    publish: events.publish,
    poller,
  });
  const attachments = new Attachments({ poller, inotify, publish: events.publish });
  const companions = new RunCompanions({
    attachments,
    health: new HealthMonitors({
      exec: (container, config, quiet) => exec.probe(container, config, quiet),
      setHealthy: (id, healthy) => networking.setHealthy(id, healthy),
      publish: events.publish,
      eager: options.eagerHealth !== false,
    }),
    logs: new LogKeeper(inotify, log),
    oom: host.cgroupDriver === "systemd" ? new OomWatch(inotify, host.cgroup) : undefined,
  });
  const ctx: ContainerContext = {
    roots,
    registry,
    images,
    networking,
    volumes,
    publish: events.publish,
    log,
    host,
    runtime,
    seccompFilters: new SeccompFilters(join(roots.dataRoot, "seccomp"), runtime),
    poller,
    rootfs,
    userNamespaces,
    runs: new Runs(poller),
    accompany: (container) => companions.accompany(container),
    cgroupRoot: `/tscompose-${tag}`,
  };
  makeRunDirectories(ctx);
  const lifecycle = new Lifecycle(ctx);
  const containers = new Containers(ctx, lifecycle);
  const archives = new Archives({
    registry,
    rootfs,
    volumes,
    userNamespaces,
    lowerDirs: (container) => rootfs.lowerDirsAsSeen(container),
    userOf: (container) => userOf(container, container.record.config.User ?? ""),
    publish: events.publish,
    log,
  });

  const stats = new Stats({
    registry,
    cgroup: host.cgroup,
    cgroupPathOf: (container) => cgroupPathOf(ctx, container),
    memoryBytes: host.memoryBytes,
    publish: events.publish,
  });

  const adoption = await adoptContainers(ctx, lifecycle);
  await networking.reconcile();
  await adoption.finish();
  const builds = await createBuilder({ engine: ctx, images, initLayer: rootfs.buildLayer });

  return {
    containers: containerService({ registry, containers, archives, attachments, inotify, stats }),
    exec,
    images,
    builds,
    networks: new Networks({
      networking,
      publish: events.publish,
      usersOf: (network) => usersOfNetwork(registry, network),
      join: (ref, network, settings) => joinNetwork(ctx, registry.resolve(ref), { network, settings }),
      leave: (ref, network, force) => leaveNetwork(ctx, registry.resolve(ref), { network, force }),
    }),
    faults: new FaultVerbs(networking, events.publish),
    volumes,
    events,
    system: new System({
      version: options.version ?? "0.0.0",
      dataRoot,
      registry,
      containers,
      images,
      volumes,
      host,
      runtime,
      buildCache: () => builds.usage(),
      eventListeners: () => events.listeners,
      warnings: adoption.corrupt,
    }),
    close: once(async () => {
      lifecycle.close();
      companions.close();
      await Promise.all(registry.all().map((container) => container.written()));
      await removeEmptyCgroup(host.cgroup, ctx.cgroupRoot);
      await networking.close();
      await images.close();
      inotify.close();
      await poller.close();
    }),
  };
}

interface Parts {
  readonly registry: ContainerRegistry;
  readonly containers: Containers;
  readonly archives: Archives;
  readonly attachments: Attachments;
  readonly inotify: Inotify;
  readonly stats: Stats;
}

/** The verbs, and what streams. */
function containerService({ registry, containers, archives, attachments, inotify, stats }: Parts): ContainerService {
  return {
    create: (name, body, options) => containers.create(name, body, options),
    list: (options) => containers.list(options),
    inspect: (ref, options) => containers.inspect(ref, options),
    start: (ref) => containers.start(ref),
    stop: (ref, options) => containers.stop(ref, options),
    restart: (ref, options) => containers.restart(ref, options),
    kill: (ref, signal) => containers.kill(ref, signal),
    pause: (ref) => containers.pause(ref),
    unpause: (ref) => containers.unpause(ref),
    rename: (ref, name) => containers.rename(ref, name),
    update: (ref, changes) => containers.update(ref, changes),
    wait: (ref, condition) => containers.wait(ref, condition),
    remove: (ref, options) => containers.remove(ref, options),
    commit: (ref, options) => containers.commit(ref, options),
    prune: (filters) => containers.prune(filters),
    logs: async (ref, options, signal) => containerLogs(registry.resolve(ref), options, { inotify, signal }),
    attach: async (ref, options) => attachments.attach(registry.resolve(ref), options),
    resize: async (ref, height, width) => attachments.resize(registry.resolve(ref), height, width),
    changes: (ref) => archives.changes(ref),
    statPath: (ref, path) => archives.statPath(ref, path),
    getArchive: (ref, path) => archives.getArchive(ref, path),
    putArchive: (ref, path, tar, options) => archives.putArchive(ref, path, tar, options),
    export: (ref) => archives.export(ref),
    top: (ref, psArguments) => stats.top(ref, psArguments),
    stats: (ref, wanted, signal) => stats.stats(ref, wanted, signal),
  };
}

function usersOfVolume(registry: ContainerRegistry, name: string): readonly string[] {
  const uses = (container: Container): boolean =>
    container.record.mounts.some(({ Type, Name }) => Type === "volume" && Name === name);
  return registry
    .all()
    .filter(uses)
    .map(({ id }) => id);
}

/** A container names its networks as it was asked to: by name, id or the beginning of an id. */
function usersOfNetwork(registry: ContainerRegistry, { Id, Name }: NetworkInspect): readonly string[] {
  const uses = (container: Container): boolean =>
    Object.keys(container.record.endpoints).some((ref) => ref === Name || (ref.length >= 12 && Id.startsWith(ref)));
  return registry
    .all()
    .filter(uses)
    .map(({ id }) => id);
}

function once(action: () => Promise<void>): () => Promise<void> {
  let result: Promise<void> | undefined;
  return () => (result ??= action());
}
