/** What the API asks of the builder. Types only. */
import type { BuildEvent } from "./solve/events.ts";
import type { ProgressMessage, RegistryCredentials, Ulimit } from "../types.ts";

/** A folder of the machine that the engine runs on, and the proof that the client means the same one. */
export interface LocalFolder {
  /** Absolute. */
  readonly path: string;
  /** /proc/sys/kernel/random/boot_id as the client reads it. */
  readonly bootId: string;
  /** Of the folder, in decimal. */
  readonly dev: string;
  readonly ino: string;
}

/** What a client has at a path of a folder. */
export interface ClientEntry {
  /** Relative, `/` between its parts. Comes from the client: to be checked. */
  readonly path: Buffer;
  readonly type: "file" | "directory" | "symlink" | "other";
  /** Permissions with setuid, setgid, sticky. */
  readonly mode: number;
  readonly sizeBytes: bigint;
  readonly mtimeNs: bigint;
  /** Of a symlink its content; of a file another name that it has, a path as above. */
  readonly link: Buffer;
}

/** Takes the entries of a folder in order (see `comparePaths`), and the content of those that it wants. */
export interface ClientReceiver {
  /** @returns true: the content is wanted. @throws build/invalid */
  entry(entry: ClientEntry, index: number): boolean;
  /** Of a file that is wanted; those of several may come mixed. */
  data(index: number, chunk: Buffer): void;
  end(index: number): void;
}

/** A folder of a client that is asked for what is needed of it. */
export interface ClientFolder {
  /** The same for the same folder in later builds; undefined: it is not known again. */
  readonly key: string | undefined;
  /** The files of these paths that are there, each at most 16 MiB. */
  read(paths: readonly string[]): Promise<ReadonlyMap<string, Buffer>>;
  /** `follow`: only these paths (patterns too), what their symlinks lead to, and what is below; none: everything.
   *  @throws what the receiver throws; build/failed where the client fails */
  sync(
    wanted: { readonly follow: readonly string[]; readonly exclude: readonly string[] },
    receiver: ClientReceiver,
  ): Promise<void>;
}

/** What a build asks its client for when it knows what it needs. */
export interface ClientServices {
  /** Undefined: there is no such secret. */
  secret(id: string): Promise<Buffer | undefined>;
  /** Makes a socket in `directory` (of this build, empty) that leads to the agent. Undefined: there is none of that id. */
  agent(id: string, directory: string): Promise<string | undefined>;
  credentials(registry: string): Promise<RegistryCredentials | undefined>;
}

/** The files that a build made. */
export interface ResultFiles {
  tar(): AsyncIterable<Buffer>;
  /** Directories before what is in them, names in the order of their bytes (see `comparePaths`). No devices, pipes, sockets. */
  entries(): Iterable<ClientEntry>;
  /** Of a file among the entries. */
  read(path: Buffer): AsyncIterable<Buffer>;
}

export type ContextSource =
  /** The body of the request. */
  | { readonly kind: "tar" }
  | { readonly kind: "client"; readonly folder: ClientFolder }
  | { readonly kind: "folder"; readonly folder: LocalFolder }
  /** A git repository, an archive, or a Dockerfile. */
  | { readonly kind: "remote"; readonly url: string };

/** What `FROM name` and `--from=name` mean. */
export type NamedSource =
  Exclude<ContextSource, { readonly kind: "tar" }> | { readonly kind: "image"; readonly reference: string };

/** An entry of `cache_from` or `cache_to`. */
export interface CacheText {
  /** `type=registry,ref=app:cache`, or the name of an image. */
  readonly text: string;
  /** What `src` or `dest` of `type=local` means. */
  readonly folder: LocalFolder | undefined;
}

export interface BuildRequest {
  readonly context: ContextSource;
  readonly namedContexts: Readonly<Record<string, NamedSource>>;
  /** Path of the Dockerfile in the context; default `Dockerfile`. */
  readonly dockerfile: string | undefined;
  /** The text itself, in place of a file. */
  readonly dockerfileText: string | undefined;
  /** Text of the ignore file, where it is not in the context. */
  readonly ignoreText: string | undefined;
  readonly tags: readonly string[];
  /** Undefined: the last stage. */
  readonly target: string | undefined;
  /** A key without a value is not given. */
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** `os/arch[/variant]`. */
  readonly platform: string | undefined;
  /** What takes nothing from the cache: stages by name. */
  readonly noCache: "none" | "all" | readonly string[];
  /** Results of earlier builds, elsewhere; the first that has a step counts. */
  readonly cacheFrom: readonly CacheText[];
  /** Where the results of this build go. */
  readonly cacheTo: readonly CacheText[];
  /** Ask the registry for newer base images. */
  readonly pull: boolean;
  readonly quiet: boolean;
  /** `steps`: the client is our own and hears of steps, warnings, failures with the lines of the Dockerfile. */
  readonly progress: "classic" | "steps";
  /** Of RUN: `default`, `none` or `host`. */
  readonly network: string | undefined;
  readonly extraHosts: readonly string[];
  readonly limits: {
    readonly shmSize?: number;
    readonly memory?: number;
    readonly memorySwap?: number;
    readonly cpuShares?: number;
    readonly cpuPeriod?: number;
    readonly cpuQuota?: number;
    readonly cpusetCpus?: string;
    readonly cpusetMems?: string;
    readonly ulimits?: readonly Ulimit[];
    readonly cgroupParent?: string;
  };
  /** By id. */
  readonly secrets: ReadonlyMap<string, Buffer>;
  /** Id -> socket of the client's SSH agent, on this machine. */
  readonly ssh: ReadonlyMap<string, string>;
  /** Only look for problems: findings are told, nothing is built. */
  readonly check: boolean;
  /** Only tell the targets that there are. */
  readonly onlyTargets?: boolean;
  /** Keep the files before a RUN step that fails as an image without a name, and tell of it. */
  readonly debug: boolean;
  /** Asked for what `secrets`, `ssh` and `credentials` do not have. */
  readonly client?: ClientServices;
  /** Where the Dockerfile is, if not in the context. */
  readonly dockerfileFolder?: ClientFolder;
  /** Called with what was made, before it becomes an image. */
  readonly takeFiles?: (files: ResultFiles) => Promise<void>;
  /** Where false, nothing but the cache keeps the result. */
  readonly keepImage?: boolean;
  /** Registry host -> credentials. */
  readonly credentials: Readonly<Record<string, RegistryCredentials>>;
  readonly allow: { readonly networkHost: boolean; readonly insecure: boolean };
  readonly signal: AbortSignal;
}

export interface CacheUsage {
  readonly id: string;
  /** Result of a step, `RUN --mount=type=cache`, copy of a context. */
  readonly type: "regular" | "exec.cachemount" | "source.local";
  readonly description: string;
  readonly inUse: boolean;
  /** An image has the layer too. */
  readonly shared: boolean;
  readonly sizeBytes: number;
  readonly createdMs: number;
  readonly usedMs: number;
  readonly uses: number;
}

export interface CachePruneOptions {
  /** Also what images have the layers of. */
  readonly all: boolean;
  readonly matches: (item: CacheUsage) => boolean;
  /** So much may stay. */
  readonly reservedBytes: number | undefined;
  /** No more than this is to stay. */
  readonly maxUsedBytes: number | undefined;
  /** So much of the disk is to be free, if it can be had. */
  readonly minFreeBytes: number | undefined;
}

export interface BuildService {
  /** `context`: a tar, plain or compressed. Lines as Docker's classic builder writes them; a failure is thrown by the iterable,
   *  with `exitCode` in its details where a RUN step ended so.
   *  @throws build/invalid before the first line for a context or Dockerfile that cannot be used */
  build(request: BuildRequest, context: AsyncIterable<Buffer>): Promise<AsyncIterable<ProgressMessage>>;
  /** As `build`, for those who take events. @returns the id of the image, empty where none was to be made
   *  @throws build/invalid, build/failed, what a base image's registry says */
  run(request: BuildRequest, context: AsyncIterable<Buffer>, emit: (event: BuildEvent) => void): Promise<string>;
  /** What builds keep, longest unused first. */
  usage(): Promise<readonly CacheUsage[]>;
  /** Forgets what no build uses, longest unused first, as far as the limits ask for; all of it without limits. */
  prune(options: CachePruneOptions): Promise<{ readonly deleted: readonly string[]; readonly spaceReclaimed: number }>;
}
