/** The engine's log file: its end, and what is appended to it. */
import { createReadStream, existsSync, readFileSync, statSync, watch } from "node:fs";

/** The last `count` lines with their ends; all where undefined. */
export function lastLines(path: string, count: number | undefined): string {
  if (!existsSync(path)) return "";
  const text = readFileSync(path, "utf8");
  if (count === undefined) return text;
  const lines = text.split(/(?<=\n)/);
  return lines.slice(Math.max(0, lines.length - count)).join("");
}

/** Gives what is appended to `path` after `from` bytes, until `signal` fires. A file that became shorter was replaced: it is
 *  read from its start. */
export async function followFile(
  path: string,
  from: number,
  options: { readonly signal: AbortSignal; readonly write: (text: string) => void },
): Promise<void> {
  let position = from;
  let wake = (): void => undefined;
  const watcher = watch(path, () => wake());
  options.signal.addEventListener("abort", () => wake(), { once: true });
  try {
    while (!options.signal.aborted) {
      const size = statSync(path).size;
      if (size < position) position = 0;
      if (size > position) {
        for await (const chunk of createReadStream(path, { start: position, end: size - 1, encoding: "utf8" })) {
          options.write(String(chunk));
        }
        position = size;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (options.signal.aborted || statSync(path).size !== position) resolve();
        });
      }
    }
  } finally {
    watcher.close();
  }
}
