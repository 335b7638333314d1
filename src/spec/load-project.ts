import { TscomposeError } from "../errors.ts";

import type { FileSource } from "./file-source.ts";
import type { LoadOptions, LoadResult } from "./load-options.ts";

/** Compose files to project.
 *  @throws TscomposeError `spec/invalid`; `details.diagnostics` holds every problem found (`Diagnostic[]`, errors first). */
export async function loadProject(_options: LoadOptions, _files: FileSource): Promise<LoadResult> {
  await Promise.resolve();
  throw new TscomposeError("spec/invalid", "compose files cannot be loaded yet");
}
