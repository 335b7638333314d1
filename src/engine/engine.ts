/** What the API server sees of the engine. In: Docker-shaped requests (`types.ts`). Out: Docker-shaped answers, async iterables
 *  for streams, `TscomposeError` for refusals. Knows nothing of HTTP and nothing of Compose. Types only. */
import type { BuildService } from "./build/types.ts";
import type {
  ContainerConfig,
  ContainerCreateBody,
  ContainerCreateResult,
  ContainerInspect,
  ContainerSummary,
  EndpointSettings,
  EventMessage,
  ExecConfig,
  ExecInspect,
  Filters,
  ImageDeleteItem,
  ImageHistoryItem,
  ImageInspect,
  ImageSummary,
  NetworkCreateBody,
  NetworkFault,
  NetworkFaultBody,
  NetworkInspect,
  ProgressMessage,
  RegistryCredentials,
  Resources,
  RestartPolicy,
  VolumeCreateBody,
  VolumeInspect,
} from "./types.ts";

export interface Engine {
  readonly containers: ContainerService;
  readonly exec: ExecService;
  readonly images: ImageService;
  /** Undefined for an engine that cannot build. */
  readonly builds?: BuildService;
  readonly networks: NetworkService;
  /** Undefined for an engine that cannot cut networks. */
  readonly faults?: FaultService;
  readonly volumes: VolumeService;
  readonly events: EventService;
  readonly system: SystemService;
  /** Stops serving: timers, sockets, watchers. Containers go on. Idempotent. */
  close(): Promise<void>;
}

/** A piece of output; `console` is the merged stream of a tty. */
export interface OutputChunk {
  readonly stream: "stdout" | "stderr" | "console";
  readonly data: Buffer;
}

/** A live connection to the stdio of a container or an exec. */
export interface StdioSession {
  readonly tty: boolean;
  /** Ends when the process has ended and all of its output was delivered, or after `detach`. */
  readonly output: AsyncIterable<OutputChunk>;
  /** Resolves when the bytes were taken over; false: stdin is not open. */
  writeStdin(data: Buffer): Promise<boolean>;
  /** Half-close: end of file for the process, output goes on. */
  endStdin(): void;
  /** Drops this client; the process goes on. */
  detach(): void;
}

export interface ContainerListOptions {
  readonly all: boolean;
  readonly limit: number | undefined;
  readonly size: boolean;
  readonly filters: Filters;
}
export interface LogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  readonly timestamps: boolean;
  /** Unix time in nanoseconds, inclusive; undefined: from the start. */
  readonly sinceNs: bigint | undefined;
  readonly untilNs: bigint | undefined;
  /** Last lines to show before following; undefined: all. */
  readonly tail: number | undefined;
}
export type WaitCondition = "not-running" | "next-exit" | "removed";
export interface WaitResult {
  readonly StatusCode: number;
  readonly Error?: { readonly Message: string };
}
export interface ArchiveStat {
  readonly name: string;
  readonly size: number;
  /** Go's os.FileMode bits. */
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}

export interface CommitOptions {
  /** Name and tag of the image; empty: none. */
  readonly reference: string;
  readonly comment: string;
  readonly author: string;
  /** Freezes the container meanwhile, so that its files fit together. */
  readonly pause: boolean;
  /** Dockerfile instructions applied to the configuration. */
  readonly changes: readonly string[];
  /** Over the container's own; undefined: the container's own. */
  readonly config: ContainerConfig | undefined;
}

/** `ref`: full id, name (with or without leading slash) or unique id prefix. Every method throws container/not-found or
 *  container/ambiguous for one that does not resolve. */
export interface ContainerService {
  create(
    name: string | undefined,
    body: ContainerCreateBody,
    options: { readonly platform: string | undefined },
  ): Promise<ContainerCreateResult>;
  list(options: ContainerListOptions): Promise<readonly ContainerSummary[]>;
  inspect(ref: string, options: { readonly size: boolean }): Promise<ContainerInspect>;
  /** @throws container/not-modified when it runs already. */
  start(ref: string): Promise<void>;
  /** Seconds; -1 waits for ever. @returns why it was not given its grace period, one line in ASCII, when it was not
   *  @throws container/not-modified when it does not run. */
  stop(
    ref: string,
    options: { readonly timeoutSeconds: number | undefined; readonly signal: string | undefined },
  ): Promise<string | undefined>;
  restart(
    ref: string,
    options: { readonly timeoutSeconds: number | undefined; readonly signal: string | undefined },
  ): Promise<string | undefined>;
  kill(ref: string, signal: string | undefined): Promise<void>;
  pause(ref: string): Promise<void>;
  unpause(ref: string): Promise<void>;
  rename(ref: string, name: string): Promise<void>;
  update(
    ref: string,
    changes: Resources & { readonly RestartPolicy?: RestartPolicy },
  ): Promise<{ readonly Warnings: readonly string[] }>;
  /** Returns at once after resolving `ref`; the result comes later. */
  wait(ref: string, condition: WaitCondition): Promise<{ readonly result: Promise<WaitResult> }>;
  remove(
    ref: string,
    options: { readonly force: boolean; readonly volumes: boolean; readonly link: boolean },
  ): Promise<void>;
  /** `tty`: chunks carry stream "console". Ends at the end of the log, or with `follow` when the container ends or `signal` fires. */
  logs(
    ref: string,
    options: LogOptions,
    signal: AbortSignal,
  ): Promise<{ readonly tty: boolean; readonly chunks: AsyncIterable<OutputChunk> }>;
  attach(
    ref: string,
    options: {
      readonly stdin: boolean;
      readonly stdout: boolean;
      readonly stderr: boolean;
      readonly logs: boolean;
      readonly stream: boolean;
      readonly detachKeys: string | undefined;
    },
  ): Promise<StdioSession>;
  resize(ref: string, height: number, width: number): Promise<void>;
  top(
    ref: string,
    psArguments: string,
  ): Promise<{ readonly Titles: readonly string[]; readonly Processes: readonly (readonly string[])[] }>;
  /** Docker's stats objects, one a second; with `stream` false one. */
  stats(
    ref: string,
    options: { readonly stream: boolean; readonly oneShot: boolean },
    signal: AbortSignal,
  ): Promise<AsyncIterable<object>>;
  changes(ref: string): Promise<readonly { readonly Path: string; readonly Kind: 0 | 1 | 2 }[]>;
  statPath(ref: string, path: string): Promise<ArchiveStat>;
  getArchive(ref: string, path: string): Promise<{ readonly stat: ArchiveStat; readonly tar: AsyncIterable<Buffer> }>;
  putArchive(
    ref: string,
    path: string,
    tar: AsyncIterable<Buffer>,
    options: { readonly noOverwriteDirNonDir: boolean; readonly copyUidGid: boolean },
  ): Promise<void>;
  export(ref: string): Promise<AsyncIterable<Buffer>>;
  /** Makes an image of it. @throws request/invalid */
  commit(ref: string, options: CommitOptions): Promise<{ readonly Id: string }>;
  prune(filters: Filters): Promise<{ readonly ContainersDeleted: readonly string[]; readonly SpaceReclaimed: number }>;
}

export interface ExecService {
  create(containerRef: string, config: ExecConfig): Promise<{ readonly Id: string }>;
  /** Starts it; undefined when detached. */
  start(
    id: string,
    options: {
      readonly detach: boolean;
      readonly tty: boolean;
      readonly consoleSize: readonly [number, number] | undefined;
    },
  ): Promise<StdioSession | undefined>;
  resize(id: string, height: number, width: number): Promise<void>;
  inspect(id: string): Promise<ExecInspect>;
}

export interface PullOptions {
  /** As the client wrote it: `busybox`, `localhost:5000/a/b:tag`, `x@sha256:...`. */
  readonly reference: string;
  /** `os/arch[/variant]`. */
  readonly platform: string | undefined;
  readonly credentials: RegistryCredentials | undefined;
  readonly signal: AbortSignal;
}
export interface ImageService {
  list(options: {
    readonly all: boolean;
    readonly filters: Filters;
    readonly manifests?: boolean;
  }): Promise<readonly ImageSummary[]>;
  inspect(ref: string, options?: ImageChoice & { readonly manifests?: boolean }): Promise<ImageInspect>;
  history(ref: string, options?: ImageChoice): Promise<readonly ImageHistoryItem[]>;
  /** Rejects before the first message when the reference cannot be resolved; later failures are thrown by the iterable. */
  pull(options: PullOptions): Promise<AsyncIterable<ProgressMessage>>;
  push(options: PullOptions & { readonly tag: string | undefined }): Promise<AsyncIterable<ProgressMessage>>;
  load(tar: AsyncIterable<Buffer>, options?: ImageChoice): AsyncIterable<ProgressMessage>;
  importTar(
    tar: AsyncIterable<Buffer>,
    options: ImageChoice & {
      readonly reference: string | undefined;
      readonly message: string;
      readonly changes: readonly string[];
    },
  ): AsyncIterable<ProgressMessage>;
  /** `names`: see `saveImages`. */
  save(refs: readonly string[], names?: readonly string[], options?: ImageChoice): Promise<AsyncIterable<Buffer>>;
  tag(ref: string, repo: string, tag: string | undefined): Promise<void>;
  remove(
    ref: string,
    options: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<readonly ImageDeleteItem[]>;
  prune(
    filters: Filters,
  ): Promise<{ readonly ImagesDeleted: readonly ImageDeleteItem[]; readonly SpaceReclaimed: number }>;
  /** Whether a registry accepts the credentials; `serveraddress` says which, default Docker Hub. */
  logIn(
    credentials: RegistryCredentials,
    signal: AbortSignal,
  ): Promise<{ readonly Status: string; readonly IdentityToken: string }>;
  /** What a name stands for in its registry. */
  distribution(request: DistributionRequest): Promise<DistributionInspect>;
  search(request: SearchRequest): Promise<readonly SearchResult[]>;
}

/** An image of another platform than this one is image/not-found. */
export interface ImageChoice {
  /** `os/architecture[/variant]`; undefined: whatever it is. */
  readonly platform?: string | undefined;
}
export interface DistributionRequest {
  readonly reference: string;
  /** Undefined: none. */
  readonly credentials: RegistryCredentials | undefined;
  readonly signal: AbortSignal;
}
export interface DistributionInspect {
  readonly Descriptor: { readonly mediaType: string; readonly digest: string; readonly size: number };
  readonly Platforms: readonly { readonly architecture: string; readonly os: string; readonly variant?: string }[];
}
export interface SearchRequest {
  /** May begin with the host of a registry. */
  readonly term: string;
  readonly limit: number;
  /** Undefined: both. */
  readonly official: boolean | undefined;
  /** At least so many. */
  readonly stars: number;
  readonly credentials: RegistryCredentials | undefined;
  readonly signal: AbortSignal;
}
export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly is_official: boolean;
  readonly is_automated: boolean;
  readonly star_count: number;
}

export interface NetworkService {
  create(body: NetworkCreateBody): Promise<{ readonly Id: string; readonly Warning: string }>;
  list(filters: Filters): Promise<readonly NetworkInspect[]>;
  inspect(ref: string): Promise<NetworkInspect>;
  remove(ref: string): Promise<void>;
  connect(ref: string, containerRef: string, endpoint: EndpointSettings | undefined): Promise<void>;
  disconnect(ref: string, containerRef: string, force: boolean): Promise<void>;
  prune(filters: Filters): Promise<{ readonly NetworksDeleted: readonly string[] }>;
}

/** Partitions and cuts between containers, made on purpose; they outlive the engine. */
export interface FaultService {
  list(): Promise<readonly NetworkFault[]>;
  /** @throws network/invalid, network/name-in-use when it is in force already */
  create(body: NetworkFaultBody): Promise<NetworkFault>;
  /** @throws network/not-found */
  remove(id: string): Promise<void>;
}

export interface VolumeService {
  create(body: VolumeCreateBody): Promise<VolumeInspect>;
  list(filters: Filters): Promise<{ readonly Volumes: readonly VolumeInspect[]; readonly Warnings: readonly string[] }>;
  inspect(name: string): Promise<VolumeInspect>;
  remove(name: string, force: boolean): Promise<void>;
  prune(filters: Filters): Promise<{ readonly VolumesDeleted: readonly string[]; readonly SpaceReclaimed: number }>;
}

export interface EventService {
  /** Buffered events newer than `sinceNs`, then live ones until `untilNs` or `signal`. Times: Unix nanoseconds. */
  subscribe(
    options: { readonly sinceNs: bigint | undefined; readonly untilNs: bigint | undefined; readonly filters: Filters },
    signal: AbortSignal,
  ): AsyncIterable<EventMessage>;
}

export interface SystemService {
  /** Docker's /info object (engine-api.md section 9). */
  info(): Promise<object>;
  version(): Promise<object>;
  diskUsage(types: readonly string[]): Promise<object>;
}
