/** Durable replacement of small files: after `writeAtomic` returns, a power cut leaves either the old or the new content.
 *  Source: fsync(2), rename(2); the directory is synced too, or the rename itself may be lost. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Writes temp + fsync + rename + fsync of the directory. Leaves no temp file behind on failure. */
export function writeAtomic(path: string, content: string | Buffer, mode = 0o600): void {
  const temp = `${path}.${process.pid}.tmp`;
  try {
    const fd = openSync(temp, "w", mode);
    try {
      const bytes = Buffer.from(content);
      for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temp, path);
  } catch (error) {
    rmSync(temp, { force: true });
    throw error;
  }
  syncDirectory(dirname(path));
}

/** Makes renames and unlinks in a directory durable. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** As `writeAtomic`, off the main thread. Calls for one path must not overlap. */
export async function writeAtomicLater(path: string, content: string | Buffer, mode = 0o600): Promise<void> {
  const temp = `${path}.${process.pid}.later.tmp`;
  try {
    const file = await open(temp, "w", mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temp, path);
  } catch (error) {
    await rm(temp, { force: true });
    throw error;
  }
  const directory = await open(dirname(path), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
