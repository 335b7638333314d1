/** What a build does: a graph of steps, each made of a file tree that others made and an operation on it. Plain data. */
import type { NetworkMode } from "../dockerfile/instruction.ts";
import type { MountType, SharingMode } from "../dockerfile/run-mount.ts";
import type { LineRange } from "../dockerfile/syntax-tree.ts";
import type { Platform } from "../../images/platform.ts";
import type { ModeChange } from "./mode-set.ts";

/** A file tree to start from or to read. */
export type Source =
  | { readonly kind: "scratch" }
  | { readonly kind: "step"; readonly step: number }
  | { readonly kind: "image"; readonly image: BaseImage }
  /** A folder the client sends: the main context is "context". */
  | { readonly kind: "context"; readonly name: string };

export interface BaseImage {
  /** As written, for messages. */
  readonly name: string;
  /** `sha256:...` of the image configuration. */
  readonly id: string;
  readonly platform: Platform;
}

interface StepCommon {
  readonly id: number;
  /** `[build 2/5] RUN make`, as BuildKit shows it. */
  readonly title: string;
  /** `RUN make`, as in the Dockerfile. */
  readonly source: string;
  readonly place: LineRange;
  readonly stage: string;
  readonly parent: Source;
  /** Never taken from the cache. */
  readonly ignoreCache: boolean;
}

export interface StepMount {
  readonly type: Exclude<MountType, "secret" | "ssh">;
  readonly source: Source;
  /** Absolute path in the source. */
  readonly sourcePath: string;
  readonly target: string;
  readonly readonly: boolean;
  readonly sizeBytes: number | undefined;
  readonly cache:
    | undefined
    | {
        readonly id: string;
        readonly sharing: SharingMode;
        /** Of the directory when it is made first; undefined: as in the source, or 0755 of root. */
        readonly mode: number | undefined;
        readonly uid: number | undefined;
        readonly gid: number | undefined;
      };
}

export interface StepSecret {
  readonly id: string;
  /** The file; undefined where only a variable is wanted. */
  readonly target: string | undefined;
  readonly env: string | undefined;
  readonly required: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

export interface StepSsh {
  readonly id: string;
  readonly target: string | undefined;
  readonly required: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

export interface RunStep extends StepCommon {
  readonly kind: "run";
  /** Of the files that it runs in. */
  readonly platform: Platform;
  readonly args: readonly string[];
  /** `NAME=value`, each name once. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly network: NetworkMode;
  readonly security: "sandbox" | "insecure";
  readonly mounts: readonly StepMount[];
  readonly secrets: readonly StepSecret[];
  readonly ssh: readonly StepSsh[];
  /** A script from a heredoc with `#!`, put at /dev/pipes/<name>. */
  readonly script: { readonly name: string; readonly content: string } | undefined;
}

export type CopyOrigin =
  | {
      readonly kind: "files";
      readonly source: Source;
      readonly path: string;
      readonly include: readonly string[];
      readonly required: readonly string[];
    }
  | { readonly kind: "inline"; readonly name: string; readonly content: string }
  | { readonly kind: "url"; readonly url: string; readonly name: string; readonly checksum: string }
  | { readonly kind: "git"; readonly url: string; readonly keepGitDir: boolean; readonly checksum: string };

export interface CopyAction {
  readonly origin: CopyOrigin;
  /** Absolute; ends in "/" or "/." as written. */
  readonly destination: string;
  readonly chown: string;
  readonly mode: ModeChange | undefined;
  readonly exclude: readonly string[];
  readonly unpack: boolean;
}

export interface CopyStep extends StepCommon {
  readonly kind: "copy";
  readonly actions: readonly CopyAction[];
  /** `--link`: the files are a layer of their own, whatever is below. */
  readonly link: boolean;
}

export interface MkdirStep extends StepCommon {
  readonly kind: "mkdir";
  readonly path: string;
  /** `user[:group]` of what is made; empty for root. */
  readonly user: string;
}

export type Step = RunStep | CopyStep | MkdirStep;
