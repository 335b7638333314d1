/** What the engine says about itself, its machine and the space it takes. Source: engine-api.md sections 8 and 9; Docker Engine
 *  API /info, /version, /system/df. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { hostname, release } from "node:os";
import { formatNanoseconds, realtimeNs } from "../host/clock.ts";
import type { ContainerRegistry } from "./containers/registry.ts";
import type { ContainerService, ImageService, SystemService } from "./engine.ts";
import type { CacheUsage } from "./build/types.ts";
import type { ImageStore } from "./images/types.ts";
import type { HostProfile } from "./runtime/host-profile.ts";
import { runtimeVersion, type OciRuntime } from "./runtime/oci-runtime.ts";
import type { ContainerSummary, ImageSummary } from "./types.ts";
import { directorySize } from "./volumes/directory-size.ts";
import type { Volumes } from "./volumes/volumes.ts";

export interface SystemOptions {
  /** Of this program. */
  readonly version: string;
  readonly dataRoot: string;
  readonly registry: ContainerRegistry;
  readonly containers: Pick<ContainerService, "list">;
  readonly images: ImageService & Pick<ImageStore, "resolve">;
  readonly buildCache: () => Promise<readonly CacheUsage[]>;
  readonly volumes: Pick<Volumes, "usage">;
  readonly host: HostProfile;
  readonly runtime: OciRuntime;
  /** Live subscribers of the event bus. */
  readonly eventListeners: () => number;
  /** Lines for the user, such as records that were set aside. */
  readonly warnings: readonly string[];
}

export class System implements SystemService {
  readonly #options: SystemOptions;
  /** Asked of the program once, by whoever asks first. */
  #runtimeVersion: string | undefined;

  constructor(options: SystemOptions) {
    this.#options = options;
  }

  async info(): Promise<object> {
    const { host, runtime, registry, dataRoot } = this.#options;
    const counts = countStates(registry);
    const images = await this.#options.images.list({ all: false, filters: new Map() });
    const osRelease = readOsRelease();
    return {
      ID: engineId(dataRoot),
      ...counts,
      Images: images.length,
      Driver: "overlay2",
      DriverStatus: [["Backing Filesystem", "overlayfs"]],
      Plugins: {
        Volume: ["local"],
        Network: ["bridge", "host", "null"],
        Authorization: null,
        Log: ["json-file", "local", "none"],
      },
      ...limitsOf(host),
      IPv4Forwarding: readText("/proc/sys/net/ipv4/ip_forward") === "1",
      BridgeNfIptables: readText("/proc/sys/net/bridge/bridge-nf-call-iptables") === "1",
      BridgeNfIp6tables: readText("/proc/sys/net/bridge/bridge-nf-call-ip6tables") === "1",
      Debug: false,
      NFd: readdirSync("/proc/self/fd").length,
      NGoroutines: 0,
      SystemTime: formatNanoseconds(realtimeNs()),
      LoggingDriver: "json-file",
      CgroupDriver: host.cgroupDriver,
      CgroupVersion: String(host.cgroup.version),
      NEventsListener: this.#options.eventListeners(),
      KernelVersion: release(),
      OperatingSystem: osRelease.name,
      OSVersion: osRelease.version,
      OSType: "linux",
      Architecture: host.arch === "x64" ? "x86_64" : host.arch === "arm64" ? "aarch64" : host.arch,
      IndexServerAddress: "https://index.docker.io/v1/",
      RegistryConfig: {
        InsecureRegistryCIDRs: ["127.0.0.0/8", "::1/128"],
        IndexConfigs: { "docker.io": { Name: "docker.io", Mirrors: [], Secure: true, Official: true } },
        Mirrors: null,
      },
      NCPU: host.cpuCount,
      MemTotal: host.memoryBytes,
      GenericResources: null,
      DockerRootDir: dataRoot,
      ...proxies(),
      Name: hostname(),
      Labels: [],
      ExperimentalBuild: false,
      ServerVersion: this.#options.version,
      Runtimes: Object.fromEntries(runtime.names.map((name) => [name, { path: runtime.path }])),
      DefaultRuntime: runtime.name,
      Swarm: {
        NodeID: "",
        NodeAddr: "",
        LocalNodeState: "inactive",
        ControlAvailable: false,
        Error: "",
        RemoteManagers: null,
      },
      LiveRestoreEnabled: true,
      Isolation: "",
      InitBinary: host.initProgram ?? "",
      ContainerdCommit: { ID: "" },
      RuncCommit: { ID: this.#runtime() },
      InitCommit: { ID: "" },
      SecurityOptions: securityOptions(host),
      CDISpecDirs: ["/etc/cdi", "/var/run/cdi"],
      Warnings: [...this.#options.warnings, ...(runtime.note === "" ? [] : [`${runtime.name}: ${runtime.note}`])],
    };
  }

  version(): Promise<object> {
    const { host, runtime, version } = this.#options;
    const platform = { Os: "linux", Arch: goArch(host.arch), KernelVersion: release() };
    return Promise.resolve({
      Platform: { Name: "tscompose" },
      Components: [
        {
          Name: "Engine",
          Version: version,
          Details: { ...platform, Experimental: "false", GitCommit: "", GoVersion: "" },
        },
        { Name: runtime.name, Version: this.#runtime(), Details: { GitCommit: "" } },
      ],
      Version: version,
      GitCommit: "",
      GoVersion: "",
      ...platform,
    });
  }

  /** `types`: `image`, `container`, `volume`, `build-cache`; empty: all. What was not asked for is null. */
  async diskUsage(types: readonly string[]): Promise<object> {
    const wanted = (type: string): boolean => types.length === 0 || types.includes(type);
    const all = { all: true, limit: 0, size: true, filters: new Map<string, readonly string[]>() };
    const containers = await this.#options.containers.list({ ...all, size: wanted("container") });
    const images = wanted("image") ? await this.#imageUsage(containers) : undefined;
    return {
      LayersSize: images?.layersSize ?? 0,
      Images: images?.summaries ?? null,
      Containers: wanted("container") ? containers : null,
      Volumes: wanted("volume") ? await this.#options.volumes.usage() : null,
      BuildCache: wanted("build-cache") ? (await this.#options.buildCache()).map(cacheRecord) : null,
    };
  }

  async #imageUsage(
    containers: readonly ContainerSummary[],
  ): Promise<{ readonly layersSize: number; readonly summaries: readonly ImageSummary[] }> {
    const { images } = this.#options;
    const summaries = await images.list({ all: true, filters: new Map() });
    const users = new Map<string, string[]>();
    for (const { Id } of summaries) {
      for (const dir of images.resolve(Id).layerDirs) users.set(dir, [...(users.get(dir) ?? []), Id]);
    }
    let layersSize = 0;
    const shared = new Map<string, number>();
    for (const [dir, ids] of users) {
      const size = await directorySize(dir);
      layersSize += size;
      if (ids.length > 1) for (const id of ids) shared.set(id, (shared.get(id) ?? 0) + size);
    }
    const withUse = summaries.map((summary) => ({
      ...summary,
      SharedSize: shared.get(summary.Id) ?? 0,
      Containers: containers.filter(({ ImageID }) => ImageID === summary.Id).length,
    }));
    return { layersSize, summaries: withUse };
  }

  #runtime(): string {
    this.#runtimeVersion ??= runtimeVersion(this.#options.runtime).replace(/^\S+ version /, "");
    return this.#runtimeVersion;
  }
}

/** Docker's BuildCache. */
function cacheRecord(item: CacheUsage): object {
  return {
    ID: item.id,
    Type: item.type,
    Description: item.description,
    InUse: item.inUse,
    Shared: item.shared,
    Size: item.sizeBytes,
    CreatedAt: new Date(item.createdMs).toISOString(),
    LastUsedAt: new Date(item.usedMs).toISOString(),
    UsageCount: item.uses,
  };
}

function countStates(registry: ContainerRegistry): object {
  const states = registry.all().map(({ state }) => state.status);
  const count = (status: string): number => states.filter((state) => state === status).length;
  const [running, paused] = [count("running"), count("paused")];
  return {
    Containers: states.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: states.length - running - paused,
  };
}

function limitsOf({ cgroup, swapTotalBytes }: HostProfile): object {
  const has = (controller: string): boolean => cgroup.controllers.has(controller);
  const memory = cgroup.controllers.get("memory");
  const swapFile =
    memory !== undefined && (cgroup.version === 2 || existsSync(`${memory}/memory.memsw.limit_in_bytes`));
  return {
    MemoryLimit: has("memory"),
    SwapLimit: swapFile && swapTotalBytes >= 0,
    CpuCfsPeriod: has("cpu"),
    CpuCfsQuota: has("cpu"),
    CPUShares: has("cpu"),
    CPUSet: has("cpuset"),
    PidsLimit: has("pids"),
    OomKillDisable: cgroup.version === 1 && has("memory"),
  };
}

function securityOptions({ appArmor, selinux, cgroup }: HostProfile): readonly string[] {
  return [
    ...(appArmor ? ["name=apparmor"] : []),
    "name=seccomp,profile=builtin",
    ...(selinux ? ["name=selinux"] : []),
    ...(cgroup.version === 2 ? ["name=cgroupns"] : []),
  ];
}

/** The same for one data root on one machine, and nowhere else. */
function engineId(dataRoot: string): string {
  const hex = createHash("sha256")
    .update(`${readText("/etc/machine-id")}\n${dataRoot}`)
    .digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-");
}

/** Source: os-release(5). */
function readOsRelease(): { readonly name: string; readonly version: string } {
  const text = readText("/etc/os-release");
  const field = (key: string): string => new RegExp(`^${key}="?([^"\\n]*)"?$`, "m").exec(text)?.[1] ?? "";
  return { name: field("PRETTY_NAME") || "Linux", version: field("VERSION_ID") };
}

function proxies(): object {
  const value = (name: string): string => withoutPassword(process.env[name] ?? process.env[name.toLowerCase()] ?? "");
  return { HttpProxy: value("HTTP_PROXY"), HttpsProxy: value("HTTPS_PROXY"), NoProxy: value("NO_PROXY") };
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//xxxxx:xxxxx@");
}

function goArch(arch: string): string {
  return arch === "x64" ? "amd64" : arch;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
