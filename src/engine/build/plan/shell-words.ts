/** The shell form: the stage's shell and the text as its last argument. */
import type { ImageDraft } from "./image-draft.ts";

const defaultShell: readonly string[] = ["/bin/sh", "-c"];

export function withShell(image: ImageDraft, words: readonly string[]): readonly string[] {
  const shell = image.config.Shell ?? [];
  return [...(shell.length > 0 ? shell : defaultShell), words.join(" ")];
}
