/** A problem in a compose file, with its place. Collected, never thrown one by one; `spec/invalid` carries all of them in
 *  `details.diagnostics`. */
export type Severity = "error" | "warning";

/** Stable; printed, and asked for by tests and by machines. */
export type DiagnosticCode =
  | "yaml-syntax"
  | "yaml-duplicate-key"
  | "yaml-key"
  | "yaml-alias"
  | "encoding"
  | "too-large"
  | "file-not-found"
  | "file-unreadable"
  | "remote-unsupported"
  | "interpolation"
  | "required-variable"
  | "unset-variable"
  | "cast"
  | "merge"
  | "unknown-key"
  | "wrong-type"
  | "invalid-value"
  | "missing-key"
  | "duplicate-item"
  | "short-syntax"
  | "extends"
  | "include"
  | "cycle"
  | "undefined-reference"
  | "conflict"
  | "project-name"
  | "env-file"
  | "label-file"
  | "profile"
  | "not-supported"
  | "no-effect"
  | "deprecated"
  | "yaml-trap"
  | "dollar-swallowed"
  | "file-choice";

/** `path`: absolute, or `-`. `line` and `column` count from 1; columns are UTF-16 units. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Length on that line, for the underline; at least 1. */
  readonly length: number;
  /** The source line, without its end, shortened where very long. */
  readonly excerpt: string;
}

export interface ChainLink {
  readonly relation: "included from" | "extended by" | "overridden in" | "read by";
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** What is there, where it has a name: `service "web"`. */
  readonly subject?: string;
}

export interface Diagnostic {
  readonly severity: Severity;
  readonly code: DiagnosticCode;
  /** Lower case, no full stop. */
  readonly message: string;
  /** Of the model: `["services", "web", "ports", "0"]`; empty for the file as a whole. */
  readonly path: readonly string[];
  readonly place?: Place;
  readonly expected?: string;
  readonly suggestion?: string;
  readonly chain: readonly ChainLink[];
}
