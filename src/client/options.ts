/** What the client's methods take: dockerode's option objects, in which query parameters and body share one level. Types only. */
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type {
  ContainerCreateBody,
  EndpointSettings,
  ExecConfig,
  NetworkCreateBody,
  RegistryCredentials,
  Resources,
  RestartPolicy,
  VolumeCreateBody,
  WaitCondition,
} from "../api/wire.ts";

/** Where the engine is and how to speak to it. `socketPath` or `host`; neither: DOCKER_HOST, else /var/run/docker.sock. */
export interface DockerOptions {
  readonly socketPath?: string;
  /** A name, an address, or a URL with scheme (`tcp://`, `http://`, `https://`, `unix://`). */
  readonly host?: string;
  readonly port?: number | string;
  readonly protocol?: "http" | "https";
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** `v1.43` or `1.43`; absent: the version this client was written for, or the server's newest where that is older. */
  readonly version?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds without a byte before a request is given up; absent: never. */
  readonly timeout?: number;
  /** One that is open already, to be used first and closed with the client. */
  readonly connection?: Socket;
}

export type Callback<Result> = (error: Error | null, result?: Result) => void;

/** dockerode's calling convention: a promise, or nothing when a callback is given. */
export interface Call<Options, Result> {
  (options?: Options): Promise<Result>;
  (callback: Callback<Result>): void;
  (options: Options | undefined, callback: Callback<Result>): void;
}
export interface CallWith<Options, Result> {
  (options: Options): Promise<Result>;
  (options: Options, callback: Callback<Result>): void;
}

export interface Abortable {
  readonly abortSignal?: AbortSignal;
}
/** An object is sent as JSON; a string as it is. */
export interface Filtered extends Abortable {
  readonly filters?: string | Readonly<Record<string, readonly string[]>>;
}
/** Unix seconds (fractions allowed) or what the server parses. */
export type Moment = number | string;

export interface ContainerListQuery extends Filtered {
  readonly all?: boolean;
  readonly limit?: number;
  readonly size?: boolean;
}
export interface ContainerCreateOptions extends ContainerCreateBody, Abortable {
  readonly name?: string;
  readonly platform?: string;
}
export interface InspectQuery extends Abortable {
  readonly size?: boolean;
}
export interface StopQuery extends Abortable {
  /** Gets what the engine says about it beside the answer. */
  readonly onWarning?: (text: string) => void;
  /** Seconds before SIGKILL; -1: never. */
  readonly t?: number;
  readonly signal?: string;
}
export interface KillQuery extends Abortable {
  readonly signal?: string | number;
}
export interface RemoveQuery extends Abortable {
  readonly force?: boolean;
  readonly v?: boolean;
  readonly link?: boolean;
}
export interface WaitQuery extends Abortable {
  readonly condition?: WaitCondition;
}
export interface LogsQuery extends Abortable {
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly timestamps?: boolean;
  readonly details?: boolean;
  readonly since?: Moment;
  readonly until?: Moment;
  readonly tail?: number | "all";
}
export interface AttachQuery extends Abortable {
  readonly stream?: boolean;
  readonly stdin?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly logs?: boolean;
  readonly detachKeys?: string;
  /** Taken for dockerode's sake: the connection is always upgraded. */
  readonly hijack?: boolean;
}
export interface ResizeQuery extends Abortable {
  readonly h: number;
  readonly w: number;
}
export interface RenameQuery extends Abortable {
  readonly name: string;
}
export interface TopQuery extends Abortable {
  readonly ps_args?: string;
}
export interface StatsQuery extends Abortable {
  readonly "one-shot"?: boolean;
}
export interface ArchiveQuery extends Abortable {
  readonly path: string;
}
export interface ArchivePutQuery extends ArchiveQuery {
  readonly noOverwriteDirNonDir?: boolean;
  readonly copyUIDGID?: boolean;
}
export interface UpdateOptions extends Resources, Abortable {
  readonly RestartPolicy?: RestartPolicy;
}
export interface ExecCreateOptions extends ExecConfig, Abortable {}
export interface ExecStartOptions extends Abortable {
  readonly Detach?: boolean;
  readonly Tty?: boolean;
  readonly ConsoleSize?: readonly [number, number];
  /** Taken for dockerode's sake: the connection is always upgraded and stdin always writable. */
  readonly hijack?: boolean;
  readonly stdin?: boolean;
}
export interface CommitOptions extends Abortable {
  readonly repo?: string;
  readonly tag?: string;
  readonly comment?: string;
  readonly author?: string;
  readonly pause?: boolean;
  readonly changes?: string | readonly string[];
}

export interface Authenticated extends Abortable {
  /** Sent as X-Registry-Auth. */
  readonly authconfig?: RegistryCredentials | { readonly key: string } | { readonly base64: string };
}
export interface ImageListQuery extends Filtered {
  /** Each image's platforms with it. */
  readonly manifests?: boolean;
  readonly all?: boolean;
  readonly digests?: boolean;
  readonly "shared-size"?: boolean;
}
export interface PullQuery extends Authenticated {
  readonly fromImage?: string;
  readonly fromSrc?: string;
  readonly repo?: string;
  readonly tag?: string;
  readonly message?: string;
  readonly changes?: string | readonly string[];
  readonly platform?: string;
}
export interface PushQuery extends Authenticated {
  readonly tag?: string;
  readonly platform?: string;
}
export type DistributionQuery = Authenticated;
export interface TagQuery extends Abortable {
  readonly repo: string;
  readonly tag?: string;
}
export interface ImageRemoveQuery extends Abortable {
  readonly force?: boolean;
  readonly noprune?: boolean;
}
export interface LoadQuery extends Abortable {
  readonly quiet?: boolean;
}
export interface BuildQuery extends Authenticated {
  readonly [parameter: string]: unknown;
}

export interface NetworkCreateOptions extends NetworkCreateBody, Abortable {
  readonly CheckDuplicate?: boolean;
}
export interface NetworkInspectQuery extends Abortable {
  readonly verbose?: boolean;
  readonly scope?: string;
}
export interface NetworkConnectOptions extends Abortable {
  readonly Container: string;
  readonly EndpointConfig?: EndpointSettings;
}
export interface NetworkDisconnectOptions extends Abortable {
  readonly Container: string;
  readonly Force?: boolean;
}
export interface VolumeCreateOptions extends VolumeCreateBody, Abortable {}
export interface VolumeRemoveQuery extends Abortable {
  readonly force?: boolean;
}
export interface EventsQuery extends Filtered {
  readonly since?: Moment;
  readonly until?: Moment;
}
export interface DiskUsageQuery extends Abortable {
  readonly type?: string | readonly string[];
}

/** A file's path, its bytes, or a stream of them. */
export type BytesSource = string | Buffer | Readable;
