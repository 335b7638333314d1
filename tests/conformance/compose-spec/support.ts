import { createFileSource } from "../../../src/compose/file-source.ts";
import { TscomposeError } from "../../../src/errors.ts";
import type { Diagnostic } from "../../../src/spec/diagnostic.ts";
import type { FileSource } from "../../../src/spec/file-source.ts";
import type { LoadOptions, LoadResult } from "../../../src/spec/load-options.ts";
import { loadProject } from "../../../src/spec/load-project.ts";
import { cleanPath } from "../../../src/spec/paths.ts";
import { renderJson } from "../../../src/spec/render.ts";

/** Files that are only in memory, all under `/project` unless their path is absolute. */
export function memoryFiles(files: Readonly<Record<string, string | Uint8Array>>): FileSource {
  const contents = new Map<string, Uint8Array>();
  const folders = new Set<string>(["/"]);
  for (const [path, text] of Object.entries(files)) {
    const full = cleanPath(path.startsWith("/") ? path : `/project/${path}`);
    contents.set(full, typeof text === "string" ? new TextEncoder().encode(text) : text);
    for (let at = full.lastIndexOf("/"); at > 0; at = full.lastIndexOf("/", at - 1)) folders.add(full.slice(0, at));
  }
  return {
    read: (path) => contents.get(path),
    kind: (path) => (contents.has(path) ? "file" : folders.has(path) ? "directory" : undefined),
    realPath: (path) => (contents.has(path) || folders.has(path) ? path : undefined),
  };
}

export const projectOptions: LoadOptions = { cwd: "/project", environment: { HOME: "/home/me" }, home: "/home/me" };

export async function loadMemory(
  files: Readonly<Record<string, string | Uint8Array>>,
  options: Partial<LoadOptions> = {},
): Promise<LoadResult> {
  return loadProject({ ...projectOptions, ...options }, memoryFiles(files));
}

/** The problems of files that must not load. */
export async function refusals(
  files: Readonly<Record<string, string | Uint8Array>>,
  options: Partial<LoadOptions> = {},
): Promise<readonly Diagnostic[]> {
  try {
    await loadMemory(files, options);
  } catch (error) {
    return diagnosticsOf(error);
  }
  throw new Error("the files were accepted");
}

export function diagnosticsOf(error: unknown): readonly Diagnostic[] {
  if (!(error instanceof TscomposeError) || error.code !== "spec/invalid") throw error;
  const { diagnostics } = error.details;
  return (diagnostics as readonly Diagnostic[] | undefined) ?? [];
}

export const disk: FileSource = createFileSource();

/** The model as JSON that can be compared: keys sorted, dollar signs doubled as `config` prints them. */
export function comparable(result: LoadResult): unknown {
  return sortKeys(JSON.parse(JSON.stringify(renderJson(result.project)).replaceAll("$", "$$$$")));
}

export function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sortKeys(inner)]),
  );
}
