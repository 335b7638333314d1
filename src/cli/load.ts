import { createFileSource } from "../compose/file-source.ts";
import { formatDiagnostic } from "../spec/format-diagnostic.ts";
import type { LoadOptions } from "../spec/load-options.ts";
import { loadProject } from "../spec/load-project.ts";
import type { Project } from "../spec/model.ts";
import { withPlatforms } from "../spec/platforms.ts";

/** Loads the project and hands on the warnings about its files. @throws spec/invalid */
export async function load(options: LoadOptions, warn: (message: string) => void): Promise<Project> {
  const { project, diagnostics } = await loadProject(options, createFileSource());
  for (const diagnostic of diagnostics) warn(formatDiagnostic(diagnostic));
  return withPlatforms(project);
}
