/** Puts the runtime specification into the bundle. */
import { writeFileSync } from "node:fs";
import { specText } from "../runtime/rlimits.ts";
import type { RuntimeSpec } from "../runtime/spec-types.ts";
import type { ContainerPaths } from "./paths.ts";

export function writeRuntimeSpec(paths: ContainerPaths, spec: RuntimeSpec): void {
  writeFileSync(paths.runtimeSpec, specText(spec), { mode: 0o600 });
}
