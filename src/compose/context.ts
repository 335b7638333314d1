/** Use cases: a client and options in, data or an async iterable out. Nothing here prints, exits, or reads the environment. */
import type { Docker } from "../client/docker.ts";
import type { OnProgress } from "../planner/events.ts";
import type { Project } from "../spec/model.ts";

export interface ComposeContext {
  readonly docker: Docker;
  readonly signal: AbortSignal;
  /** The engine is the one of this machine: when it goes, another one will go on where it was. */
  readonly engineReturns: boolean;
  /** Engine calls at once. */
  readonly concurrency: number;
  readonly onProgress: OnProgress;
  /** Lower case, no full stop. */
  readonly onWarning: (message: string) => void;
  readonly lockProject: ProjectLock;
  /** Yes or no; no where nobody can be asked. */
  readonly confirm: (question: string) => Promise<boolean>;
  /** For registries; undefined: none are known for that host. */
  readonly credentials: (registry: string) => Promise<Credentials | undefined>;
  /** Build arguments that every build has, below those of the file: the proxies of docker's configuration. */
  readonly proxyArguments: () => Promise<Readonly<Record<string, string>>>;
  /** @throws build/invalid for a folder or Dockerfile that is not there */
  readonly packContext: (request: PackRequest) => Promise<PackedContext>;
  /** How an engine on this machine finds a folder. @throws build/invalid */
  readonly localFolder: (directory: string) => LocalFolder;
  /** As `localFolder`; made where it is not there. */
  readonly newFolder: (directory: string) => LocalFolder;
  /** A tar of an OCI layout with one image of it, which then has no name.
   *  @throws build/invalid for a folder that is none, or a tag or digest that it does not have; undefined: its only image */
  readonly packLayout: (directory: string, name: string) => AsyncIterable<Buffer>;
  /** Id -> socket of an agent that holds the keys. @throws build/invalid for one that cannot be had */
  readonly sshAgents: (sources: readonly SshSource[]) => Promise<SshAgents>;
  /** Id -> base64. @throws build/invalid for a secret that cannot be read */
  readonly readSecrets: (secrets: readonly SecretSource[]) => Promise<Readonly<Record<string, string>>>;
}

export interface PackRequest {
  readonly directory: string;
  /** Relative to the folder, or absolute. */
  readonly dockerfile: string;
  /** In place of a file. */
  readonly dockerfileText: string | undefined;
  /** `folder`: the engine reads the files itself. */
  readonly as: "archive" | "folder";
}

export interface PackedContext {
  /** A tar; nothing where the engine reads the folder. */
  readonly archive: AsyncIterable<Buffer>;
  readonly folder: LocalFolder | undefined;
  /** Its name in the archive. */
  readonly dockerfile: string;
  /** For the engine: a Dockerfile that is not in the folder, and the ignore file beside it. */
  readonly dockerfileText: string | undefined;
  readonly ignoreText: string | undefined;
  /** Names of the base images, as written. */
  readonly bases: readonly string[];
}

/** See the engine's own type. */
export interface LocalFolder {
  readonly path: string;
  readonly bootId: string;
  readonly dev: string;
  readonly ino: string;
}

/** An SSH agent's socket or a file with a private key; undefined: the agent of the environment. */
export interface SshSource {
  readonly id: string;
  readonly path: string | undefined;
}

export interface SshAgents {
  readonly sockets: Readonly<Record<string, string>>;
  /** Ends the agents that were started for it. */
  close(): void;
}

/** Where a secret is; one of the three. */
export interface SecretSource {
  readonly id: string;
  readonly file: string | undefined;
  readonly environment: string | undefined;
  readonly text: string | undefined;
}

export interface Credentials {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly serveraddress?: string;
}

/** One change of a project at a time, over all processes of this machine. Resolves when it is our turn; the result gives it up. */
export type ProjectLock = (project: string, signal: AbortSignal) => Promise<() => void>;

/** A project by its model, or only by name (`-p` without a file): then labels have to tell. */
export interface ProjectReference {
  readonly name: string;
  readonly project: Project | undefined;
}
