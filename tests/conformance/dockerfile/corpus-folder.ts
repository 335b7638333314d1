/** Where the corpus of Dockerfiles is, on the machine that has it. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

const shared = process.env["TSCOMPOSE_SHARED"] ?? fileURLToPath(new URL("../../../../shared", import.meta.url));

/** The folder, or undefined where this machine has no corpus. */
export function corpusFolder(): string | undefined {
  const folder = join(shared, "corpus-dockerfile");
  return existsSync(join(folder, "words.jsonl")) ? folder : undefined;
}
