import { formatDiagnostic } from "../spec/format-diagnostic.ts";
import type { LoadOptions } from "../spec/load-options.ts";
import { loadProject, specInvalid } from "../spec/load-project.ts";
import type { Project } from "../spec/model.ts";
import { checkSupported, type SupportedCommand } from "../spec/support.ts";
import { withPlatforms } from "../spec/platforms.ts";

import { createCommandFileSource } from "./file-source.ts";

/** Loads the project and hands on the warnings about its files. @throws spec/invalid,
 *  also for keys that `command` cannot honour: none is silently ignored. */
export async function load(
  options: LoadOptions,
  warn: (message: string) => void,
  command: SupportedCommand | undefined,
): Promise<Project> {
  const result = await loadProject(options, createCommandFileSource());
  const unsupported = command === undefined ? [] : checkSupported(result, command);
  const refused = unsupported.some(({ severity }) => severity === "error" || options.strict === true);
  if (refused) throw specInvalid(unsupported, options);
  for (const diagnostic of [...result.diagnostics, ...unsupported]) warn(formatDiagnostic(diagnostic));
  return withPlatforms(result.project);
}
