/** Packs a tar as gzip on several cores: pieces of a fixed size become gzip members one after the other, so the result depends on
 *  the content alone. Readers of gzip take the members as one stream (RFC 1952, section 2.2). */
import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const pieceBytes = 1 << 20;
/** A good deal faster than 6, and hardly larger. */
const level = 4;
const gzipAsync = promisify<Buffer, { readonly level: number }, Buffer>(gzip);

/** Writes the packed form of `tar` to `file`, which must not exist. */
export async function compressTo(
  file: string,
  tar: AsyncIterable<Buffer>,
): Promise<{ readonly digest: string; readonly size: number }> {
  const fd = openSync(file, "wx", 0o600);
  const hash = createHash("sha256");
  let size = 0;
  const write = async (packing: Promise<Buffer>): Promise<void> => {
    const packed = await packing;
    hash.update(packed);
    size += packed.length;
    for (let done = 0; done < packed.length;) done += writeSync(fd, packed, done);
  };
  const running: Promise<Buffer>[] = [];
  const limit = Math.max(2, availableParallelism());
  try {
    for await (const piece of inPieces(tar)) {
      if (running.length >= limit) await write(running.shift() as Promise<Buffer>);
      const packing = gzipAsync(piece, { level });
      packing.catch(() => undefined); // thrown where it is written
      running.push(packing);
    }
    for (const packing of running) await write(packing);
  } finally {
    closeSync(fd);
  }
  return { digest: `sha256:${hash.digest("hex")}`, size };
}

async function* inPieces(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    let rest = chunk;
    while (size + rest.length >= pieceBytes) {
      const taken = rest.subarray(0, pieceBytes - size);
      yield Buffer.concat([...held, taken]);
      rest = rest.subarray(taken.length);
      held = [];
      size = 0;
    }
    if (rest.length > 0) held.push(Buffer.from(rest));
    size += rest.length;
  }
  if (size > 0) yield Buffer.concat(held);
}
