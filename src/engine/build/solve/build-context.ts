/** What the steps of one build work with. Types only. */
import type { ContainerContext } from "../../containers/context.ts";
import type { HostConfig } from "../../types.ts";
import type { ContextFiles } from "../files/receive-context.ts";
import type { CacheMounts } from "./cache-mounts.ts";
import type { RemoteOrigins } from "./remote-origins.ts";
import type { BuildRoots } from "./run-container.ts";
import type { RunNetworks } from "./run-networks.ts";
import type { Workspace } from "./workspace.ts";

export interface BuildScope {
  readonly engine: ContainerContext;
  readonly roots: BuildRoots;
  /** Files that every container has; the lowest of what is put over an image. */
  readonly initLayer: string;
  readonly workspace: Workspace;
  readonly cacheMounts: CacheMounts;
  readonly networks: RunNetworks;
  /** By name: "context" is the main one. */
  readonly contexts: ReadonlyMap<string, ContextFiles>;
  readonly secrets: ReadonlyMap<string, Buffer>;
  /** Id -> socket of the client's SSH agent. */
  readonly ssh: ReadonlyMap<string, string>;
  /** Host keys of git servers that were seen first. */
  readonly knownHosts: string;
  readonly remotes: RemoteOrigins;
  /** Of RUN: memory, shm size, ulimits, extra hosts, ... */
  readonly limits: HostConfig;
  /** `NAME=value` that RUN gets and no key or image holds. */
  readonly proxies: readonly string[];
  readonly epochSeconds: number | undefined;
  /** Entitlements that were asked for. */
  readonly allow: { readonly networkHost: boolean; readonly insecure: boolean };
  readonly signal: AbortSignal;
}

/** A file tree in the store; undefined chain: nothing. */
export interface Result {
  readonly chainId: string | undefined;
  /** Lowest first. */
  readonly diffIds: readonly string[];
  /** When the highest of them were made, in milliseconds since the epoch: those that steps made, lowest first. */
  readonly madeMs: readonly number[];
}
