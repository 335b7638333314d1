/** Packs a tar as gzip on several cores: pieces of a fixed size become gzip members one after the other, so the result depends on
 *  the content and on the library alone: ISA-L where it is installed, else zlib. Readers of gzip take the members as one stream
 *  (RFC 1952, section 2.2). */
import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { createIsalDeflater, type PieceDeflater } from "../../../host/isal-deflate.ts";
import type { GrowingFile } from "../growing-file.ts";

const pieceBytes = 1 << 20;
/** A quarter faster than 4, and 3 % larger. */
const zlibLevel = 3;
const gzipAsync = promisify<Buffer, { readonly level: number }, Buffer>(gzip);

/** A piece that is collected, or on its way through another thread. */
interface Lane {
  readonly input: Buffer;
  readonly deflater: PieceDeflater;
  filled: number;
  packed: Promise<Buffer> | undefined;
}

export interface CompressOptions {
  readonly signal: AbortSignal;
  /** Hears how many bytes of the tar were taken so far. */
  readonly onTaken?: (bytes: number) => void;
  /** To use only zlib where ISA-L is installed, too. */
  readonly deflate?: "fastest" | "zlib";
}

/** Writes the packed form of `tar` to `target`, and closes it.
 *  @param tar each chunk is used before the next is asked for
 *  @throws what `tar` throws, and so do the readers of `target` */
export async function compressTo(
  target: GrowingFile,
  tar: AsyncIterable<Buffer>,
  options: CompressOptions,
): Promise<{ readonly digest: string; readonly size: number }> {
  try {
    const packed = await compress(target, tar, options);
    target.close();
    return packed;
  } catch (error) {
    target.close(error);
    throw error;
  }
}

async function compress(
  target: GrowingFile,
  tar: AsyncIterable<Buffer>,
  { signal, onTaken, deflate = "fastest" }: CompressOptions,
): Promise<{ readonly digest: string; readonly size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  let taken = 0;
  // One is collected while the others are packed.
  const free = Array.from({ length: 1 + threads() }, () => createLane(deflate));
  const running: Lane[] = [];
  const writeOldest = async (): Promise<Lane | undefined> => {
    const lane = running.shift();
    if (lane?.packed === undefined) return undefined;
    const packed = await lane.packed;
    hash.update(packed);
    size += packed.length;
    target.append(packed);
    lane.filled = 0;
    return lane;
  };
  const start = (lane: Lane): void => {
    lane.packed = lane.deflater.deflate(lane.input.subarray(0, lane.filled));
    lane.packed.catch(() => undefined); // thrown where it is written
    running.push(lane);
  };
  try {
    let lane = free.pop();
    for await (const chunk of tar) {
      signal.throwIfAborted();
      for (let at = 0; at < chunk.length;) {
        lane ??= free.pop() ?? (await writeOldest());
        if (lane === undefined) throw new Error("no lane is free, and none is busy");
        const copied = chunk.copy(lane.input, lane.filled, at);
        at += copied;
        lane.filled += copied;
        if (lane.filled < pieceBytes) continue;
        start(lane);
        lane = undefined;
      }
      taken += chunk.length;
      onTaken?.(taken);
    }
    if (lane !== undefined && lane.filled > 0) start(lane);
    while (running.length > 0) await writeOldest();
    return { digest: `sha256:${hash.digest("hex")}`, size };
  } finally {
    // Other threads still use the buffers.
    await Promise.allSettled(running.flatMap(({ packed }) => packed ?? []));
  }
}

/** libuv has four. */
function threads(): number {
  return Math.min(4, Math.max(2, availableParallelism()));
}

function createLane(deflate: "fastest" | "zlib"): Lane {
  const fast = deflate === "zlib" ? undefined : createIsalDeflater(pieceBytes);
  const deflater = fast ?? { deflate: (piece: Buffer) => gzipAsync(piece, { level: zlibLevel }) };
  return { input: Buffer.allocUnsafeSlow(pieceBytes), deflater, filled: 0, packed: undefined };
}
