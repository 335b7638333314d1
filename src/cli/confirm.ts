import type { Terminal } from "./terminal.ts";

/** Asks a question that is answered with yes or no; anything else, and the end of input, is no. */
export async function confirm(terminal: Terminal, question: string): Promise<boolean> {
  const { createInterface } = await import("node:readline/promises");
  const reader = createInterface({
    input: terminal.stdin,
    output: terminal.stderr,
    terminal: terminal.stdin.isTTY === true,
  });
  try {
    const closed = new Promise<string>((resolve) => reader.once("close", () => resolve("")));
    const answer = await Promise.race([reader.question(`${question} (y/N) `), closed]);
    return /^(y|yes|t|true|1)$/i.test(answer.trim());
  } finally {
    reader.close();
  }
}
