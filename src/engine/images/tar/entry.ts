/** An entry of a tar archive. Names are bytes: what an archive calls a file need not be text. */
export type TarType = "file" | "hardlink" | "symlink" | "char" | "block" | "dir" | "fifo";

export interface TarTime {
  /** Seconds since the epoch, rounded down. */
  readonly sec: number;
  readonly nsec: number;
}
export interface TarEntry {
  readonly type: TarType;
  /** As in the archive: may be absolute, hold `..` or end with a slash. */
  readonly name: Buffer;
  /** Target of a symlink or hard link, as in the archive. */
  readonly linkName: Buffer;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow; 0 for all but files. */
  readonly size: number;
  readonly mtime: TarTime;
  readonly device: { readonly major: number; readonly minor: number };
  /** Name (latin1) -> value. */
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

export const emptyXattrs: ReadonlyMap<string, Buffer> = new Map();
export const blockSize = 512;
