/** What the API asks of the builder. Types only. */
import type { ProgressMessage, RegistryCredentials, Ulimit } from "../types.ts";

export interface BuildRequest {
  /** Path of the Dockerfile in the context; default `Dockerfile`. */
  readonly dockerfile: string | undefined;
  /** The text itself, in place of a file. */
  readonly dockerfileText: string | undefined;
  readonly tags: readonly string[];
  /** Undefined: the last stage. */
  readonly target: string | undefined;
  /** A key without a value is not given. */
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** `os/arch[/variant]`. */
  readonly platform: string | undefined;
  readonly noCache: boolean;
  /** Ask the registry for newer base images. */
  readonly pull: boolean;
  readonly quiet: boolean;
  /** The client is our own: warnings of the build checks, and failures with the lines of the Dockerfile. */
  readonly rich: boolean;
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
  /** Registry host -> credentials. */
  readonly credentials: Readonly<Record<string, RegistryCredentials>>;
  readonly allow: { readonly networkHost: boolean; readonly insecure: boolean };
  readonly signal: AbortSignal;
}

export interface BuildService {
  /** `context`: a tar, plain or compressed. Lines as Docker's classic builder writes them; a failure is thrown by the iterable,
   *  with `exitCode` in its details where a RUN step ended so.
   *  @throws build/invalid before the first line for a context or Dockerfile that cannot be used */
  build(request: BuildRequest, context: AsyncIterable<Buffer>): Promise<AsyncIterable<ProgressMessage>>;
  /** Forgets cached steps not used since `untilMs` (milliseconds since the epoch), or all. */
  prune(
    untilMs: number | undefined,
  ): Promise<{ readonly CachesDeleted: readonly string[] | null; readonly SpaceReclaimed: number }>;
}
