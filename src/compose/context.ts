/** Use cases: a client and options in, data or an async iterable out. Nothing here prints, exits, or reads the environment. */
import type { Docker } from "../client/docker.ts";
import type { OnProgress } from "../planner/events.ts";
import type { Project } from "../spec/model.ts";

export interface ComposeContext {
  readonly docker: Docker;
  readonly signal: AbortSignal;
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
