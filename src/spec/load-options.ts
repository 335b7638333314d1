import type { Diagnostic, Place } from "./diagnostic.ts";
import type { Dict, Project } from "./model.ts";

/** What the command line and the machine say. Nothing here is read from the process: the caller hands it in. */
export interface LoadOptions {
  /** Absolute. */
  readonly cwd: string;
  /** The process environment. Wins over every `.env` file. */
  readonly environment: Dict<string | undefined>;
  /** For `~` in paths; undefined where the account has none. */
  readonly home?: string | undefined;
  /** `-f`, in order; `-` is standard input. Empty: `COMPOSE_FILE`, else the look-up. */
  readonly files?: readonly string[];
  readonly projectDirectory?: string | undefined;
  readonly projectName?: string | undefined;
  /** `--profile`; empty: `COMPOSE_PROFILES`. */
  readonly profiles?: readonly string[];
  /** `--env-file`, in order; empty: `COMPOSE_ENV_FILES`, else `.env`. */
  readonly envFiles?: readonly string[];
  /** Services named on the command line (globs allowed). Non-empty: they, their dependencies, and what these use. */
  readonly services?: readonly string[];
  /** `--no-deps`: named services only, their dependency edges dropped. */
  readonly dependencies?: "include" | "ignore";
  /** `unused`: networks, volumes, ... that no selected service uses are dropped, as every command but `config
   *  --all-resources` and `build` wants. Default `unused`. */
  readonly prune?: "unused" | "nothing";
  readonly compatibility?: boolean;
  /** Warnings become errors. */
  readonly strict?: boolean;
  /** Phases to leave out, for the flags of `config` that ask for it. */
  readonly without?: ReadonlySet<SkippablePhase>;
}

export type SkippablePhase =
  | "interpolation"
  | "normalization"
  | "path-resolution"
  | "consistency"
  /** Reading `env_file` into `environment`. */
  | "env-files"
  | "validation";

export interface LoadResult {
  readonly project: Project;
  /** Warnings only: with an error there is no result. In file order. */
  readonly diagnostics: readonly Diagnostic[];
  readonly origins: Origins;
}

/** Where a value of the model came from. */
export interface Origins {
  /** The history of the value at `path`, newest first: the first entry is the one that holds. Undefined: no such value. */
  explain(path: readonly string[]): readonly Origin[] | undefined;
  /** Where the value stands, or what it is part of. */
  place(path: readonly string[]): Place | undefined;
}

export type OriginKind =
  "file" | "override" | "extends" | "include" | "env-file" | "dotenv" | "shell" | "label-file" | "default";

export interface Origin {
  readonly kind: OriginKind;
  readonly value: unknown;
  /** For a value that interpolation made: the text as written. */
  readonly written?: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  /** For a value that holds variables: which, and where each was answered from. */
  readonly variables?: readonly VariableOrigin[];
  readonly note?: string;
}

export interface VariableOrigin {
  readonly name: string;
  readonly value: string | undefined;
  readonly kind: "shell" | "dotenv" | "include-env" | "unset";
  readonly file?: string;
  readonly line?: number;
  readonly beats?: readonly VariableOrigin[];
}
