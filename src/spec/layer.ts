import type { ChainLink } from "./diagnostic.ts";
import type { VariableScope } from "./env-context.ts";
import type { FileSource } from "./file-source.ts";
import type { SkippablePhase } from "./load-options.ts";
import type { Report } from "./report.ts";
import { lineAndColumn } from "./source.ts";
import type { SourceRole, Span } from "./source.ts";
import type { MapNode, Node } from "./tree.ts";
import type { YamlLibrary } from "./yaml/library-reader.ts";

/** What every file of one load shares. */
export interface LoadContext {
  readonly files: FileSource;
  readonly report: Report;
  readonly home: string | undefined;
  readonly library: YamlLibrary | undefined;
  readonly without: ReadonlySet<SkippablePhase>;
  /** Read once, however often a file is included or extended: path and role to documents. */
  readonly documents: Map<string, readonly Node[] | undefined>;
  readonly layers: Map<string, MapNode>;
  /** What the variables of each file were answered from, for `--explain`. */
  readonly scopes: Map<string, VariableScope>;
}

/** Files that are merged into one tree: those of the project, or those of one include. */
export interface Layer {
  /** Absolute, or `-`. */
  readonly paths: readonly string[];
  readonly role: SourceRole;
  readonly chain: readonly ChainLink[];
  /** Absolute: `include` and `extends` look for files from here. */
  readonly directory: string;
  /** What relative paths of the model are resolved against: `directory`, or its way from the layer that included this one. */
  readonly base: string;
  readonly scope: VariableScope;
  /** The files being read, outermost first: an include of one of them is a cycle. */
  readonly open: readonly string[];
}

/** Thrown when going on would only repeat what has been reported. */
export const stopLoading = new Error("errors were reported");

export function stopOnErrors(report: Report): void {
  if (report.errors > 0) throw stopLoading;
}

export function linkTo(span: Span, relation: ChainLink["relation"], subject?: string): ChainLink {
  const { line, column } = lineAndColumn(span.file, span.start);
  return { relation, file: span.file.path, line, column, ...(subject === undefined ? {} : { subject }) };
}
