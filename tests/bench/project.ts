/** Projects for the bench: a folder with a compose file, gone after use. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Gives `use` a new folder, and a function that writes its compose file. */
export async function withProject<T>(
  use: (folder: string, write: (composeFile: string) => void) => T | Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "bench-project-"));
  try {
    return await use(folder, (composeFile) => writeFileSync(join(folder, "compose.yaml"), composeFile));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `count` services of busybox that sleep, each with the given lines of YAML (in one-line style). */
export function sleepers(count: number, extra: (index: number) => string = () => ""): string {
  const lines = Array.from(
    { length: count },
    (_, index) => `  s${index}: {image: "busybox:latest", command: sleep 3600${extra(index)}}\n`,
  );
  return `services:\n${lines.join("")}`;
}
