/** A file's bytes in large pieces out of two buffers that take turns: new memory for each piece costs more than reading it. */
import { open } from "node:fs/promises";

const pieceBytes = 1 << 20;

/** @param range `end`: the byte after the last; default the end of the file. Each piece is valid until the next is asked for. */
export async function* readPieces(
  path: string,
  { start, end = Infinity }: { readonly start: number; readonly end?: number },
): AsyncGenerator<Buffer> {
  const file = await open(path, "r");
  let pending: Promise<{ readonly bytesRead: number }> | undefined;
  try {
    let position = start;
    let current = Buffer.allocUnsafeSlow(pieceBytes);
    let next = current;
    const read = (into: Buffer): Promise<{ readonly bytesRead: number }> =>
      file.read(into, 0, Math.max(0, Math.min(into.length, end - position)), position);
    pending = read(current);
    for (;;) {
      const { bytesRead } = await pending;
      pending = undefined;
      if (bytesRead === 0) return;
      position += bytesRead;
      if (next === current) next = Buffer.allocUnsafeSlow(pieceBytes);
      pending = read(next);
      yield current.subarray(0, bytesRead);
      [current, next] = [next, current];
    }
  } finally {
    await pending?.catch(() => undefined);
    await file.close();
  }
}
