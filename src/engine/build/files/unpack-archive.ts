/** ADD of a local archive: its entries into the destination. */
import { closeSync, constants, createReadStream, openSync } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import { O_DIRECTORY } from "../../../host/libc.ts";
import { SniffingDecoder } from "../../images/decoder.ts";
import { entryComponents } from "../../images/layers/entry-path.ts";
import { defaultLimits } from "../../images/layers/limits.ts";
import { Unpacker } from "../../images/layers/unpacker.ts";
import { TarReader } from "../../images/tar/reader.ts";
import type { TarHandler } from "../../images/tar/reader.ts";
import { makeDirectories } from "./make-directories.ts";
import type { FileTime, Owner } from "./make-directories.ts";
import { toBytes } from "./tree.ts";
import type { Tree } from "./tree.ts";

class FirstEntry extends Error {}

async function feed(path: Buffer, handler: TarHandler): Promise<void> {
  const reader = new TarReader(handler);
  const decoder = new SniffingDecoder((chunk) => reader.write(chunk));
  const stream = createReadStream(path);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const wait = decoder.write(chunk);
      if (wait !== undefined) await wait;
    }
    await decoder.end();
    reader.finish();
  } finally {
    stream.destroy();
    decoder.close();
  }
}

/** True for a tar with at least one entry, plain or compressed. Anything else is copied as it is. */
export async function isArchive(path: Buffer): Promise<boolean> {
  try {
    await feed(path, {
      entry: () => {
        throw new FirstEntry();
      },
      data: () => undefined,
      end: () => undefined,
    });
    return false;
  } catch (error) {
    return error instanceof FirstEntry || (error instanceof Error && error.cause instanceof FirstEntry);
  }
}

/** @throws build/failed for an archive that is broken or leads out of the destination */
export async function unpackArchive(
  path: Buffer,
  target: Tree,
  options: { readonly destination: string; readonly owner: Owner | undefined; readonly time: FileTime | undefined },
): Promise<void> {
  const to = target.resolve(toBytes(options.destination));
  makeDirectories(target, to, { mode: 0o755, owner: options.owner, time: options.time });
  const fd = openSync(target.path(to === "" ? "." : to), constants.O_RDONLY | O_DIRECTORY);
  const unpacker = new Unpacker(fd, defaultLimits, "plain");
  const { owner } = options;
  try {
    await feed(path, {
      entry: (entry) => {
        // Docker leaves the destination itself as it is.
        if (entry.type === "dir" && entryComponents(entry.name).length === 0) return;
        unpacker.entry(owner === undefined ? entry : { ...entry, ...owner });
      },
      data: (chunk) => unpacker.data(chunk),
      end: () => unpacker.end(),
    });
    unpacker.finish();
  } catch (error) {
    if (!(error instanceof TscomposeError) || error.code !== "image/invalid") throw error;
    throw new TscomposeError("build/failed", `cannot unpack the archive: ${error.message}`, { cause: error });
  } finally {
    unpacker.close();
    closeSync(fd);
  }
}
