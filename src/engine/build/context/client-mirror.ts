/** A copy of a folder that a client lists and sends: what differs from the last build is asked for, the rest stays. Everything the
 *  client says is hostile: paths are checked, come in order and below directories that came before; link targets are data. Everything
 *  belongs to root, times are whole seconds, as in `mirror.ts`. */
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { closeSync, fchmodSync, linkSync, mkdirSync, openSync, symlinkSync, writeSync } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import { fchmodat, utimensat } from "../../../host/libc.ts";
import { removeTree } from "../../images/layers/remove-tree.ts";
import { joinTree, nameOf, parentOf, shown } from "../files/tree.ts";
import type { Tree } from "../files/tree.ts";
import type { ClientEntry, ClientReceiver } from "../types.ts";
import { plainFile } from "./mirror-index.ts";
import type { Copied, MirrorIndex } from "./mirror-index.ts";
import type { MirrorResult } from "./mirror.ts";

const maxPathBytes = 4096;
const maxEntries = 2_000_000;
const maxBytes = 64 * 2 ** 30;
/** How far before now a file must have been written for its time to tell a later change. */
const racyNs = 100_000_000n;

function refuse(path: Buffer | string, why: string): TscomposeError {
  const text = JSON.stringify((typeof path === "string" ? shown(path) : path.toString("utf8")).slice(0, 200));
  return new TscomposeError("build/invalid", `the client's build context holds the path ${text}, which ${why}`);
}

/** Latin1, as in `Tree`. @throws build/invalid for one that leads elsewhere */
function checkedPath(path: Buffer): string {
  if (path.length === 0 || path.length > maxPathBytes || path.includes(0)) throw refuse(path, "is not a path");
  const text = path.toString("latin1");
  const parts = text.split("/");
  if (parts.some((part) => part === "" || part === "." || part === ".." || part.length > 255))
    throw refuse(path, "is not a plain relative path");
  return text;
}

/** The order in which a folder is listed: byte by byte, `/` before everything else, so that a directory's entries follow it. */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const [one, other] = [a.charCodeAt(index), b.charCodeAt(index)];
    if (one === other) continue;
    if (one === 0x2f) return -1;
    if (other === 0x2f) return 1;
    return one - other;
  }
  return a.length - b.length;
}

interface OpenFile {
  readonly path: string;
  readonly entry: ClientEntry;
  readonly hash: Hash;
  fd: number | undefined;
  bytes: number;
}

export class ClientMirror implements ClientReceiver {
  readonly #target: Tree;
  readonly #before: MirrorIndex;
  readonly #onChange: () => void;
  readonly #index = new Map<string, Copied>();
  /** Directory -> the names that it is to have. */
  readonly #directories = new Map<string, { readonly names: Set<string>; readonly entry: ClientEntry | undefined }>([
    ["", { names: new Set(), entry: undefined }],
  ]);
  readonly #wanted = new Map<number, OpenFile>();
  readonly #hardLinks: { readonly path: string; readonly first: string }[] = [];
  readonly #files = new Set<string>();
  readonly #startedNs = BigInt(Date.now()) * 1_000_000n;
  #last = "";
  #count = 0;
  #bytes = 0;
  #changed = false;

  /** `onChange`: called before the first change. */
  constructor(target: Tree, before: MirrorIndex, onChange: () => void) {
    this.#target = target;
    this.#before = before;
    this.#onChange = onChange;
  }

  entry(entry: ClientEntry, index: number): boolean {
    const path = checkedPath(entry.path);
    this.#count += 1;
    if (this.#count > maxEntries) throw refuse(path, `is one of more than ${maxEntries}`);
    if (this.#last !== "" && comparePaths(this.#last, path) >= 0) throw refuse(path, "comes out of order");
    this.#last = path;
    const parent = this.#directories.get(parentOf(path));
    if (parent === undefined) throw refuse(path, "is below something that is no directory");
    if (entry.type === "other") return false;
    parent.names.add(nameOf(path));
    if (entry.type === "directory") this.#directory(path, entry);
    else if (entry.type === "symlink") this.#symlink(path, entry);
    else if (entry.link.length > 0) this.#hardLinks.push({ path, first: checkedPath(entry.link) });
    else return this.#file(path, entry, index);
    return false;
  }

  #willChange(): void {
    if (!this.#changed) this.#onChange();
    this.#changed = true;
  }

  #remove(path: string): void {
    this.#willChange();
    removeTree(this.#target.fd, Buffer.from(path, "latin1"));
  }

  #directory(path: string, entry: ClientEntry): void {
    this.#directories.set(path, { names: new Set(), entry });
    const existing = this.#target.stat(path);
    if (existing?.isDirectory() === true) return;
    this.#willChange();
    if (existing !== undefined) this.#remove(path);
    mkdirSync(this.#target.path(path), 0o755);
  }

  #symlink(path: string, entry: ClientEntry): void {
    const { link } = entry;
    if (link.length === 0 || link.length >= maxPathBytes || link.includes(0)) throw refuse(path, "is no symlink");
    const existing = this.#target.stat(path);
    if (existing?.isSymbolicLink() !== true || this.#target.link(path) !== link.toString("latin1")) {
      this.#willChange();
      if (existing !== undefined) this.#remove(path);
      symlinkSync(link, this.#target.path(path));
    }
    this.#time(path, entry);
  }

  #time(path: string, { mtimeNs }: ClientEntry): void {
    utimensat(this.#target.fd, Buffer.from(path, "latin1"), { sec: mtimeNs / 1_000_000_000n, nsec: 0 });
  }

  #file(path: string, entry: ClientEntry, index: number): boolean {
    this.#files.add(path);
    const stamp = stampOf(entry);
    const known = this.#before.files.get(path);
    const existing = this.#target.stat(path);
    if (known?.stamp === stamp && existing?.isFile() === true) {
      this.#index.set(path, known);
      return false;
    }
    this.#wanted.set(index, { path, entry, hash: createHash("sha256"), fd: undefined, bytes: 0 });
    return true;
  }

  #open(file: OpenFile): number {
    if (file.fd !== undefined) return file.fd;
    this.#willChange();
    if (this.#target.stat(file.path) !== undefined) this.#remove(file.path);
    file.fd = openSync(this.#target.path(file.path), "wx", 0o600);
    return file.fd;
  }

  data(index: number, chunk: Buffer): void {
    const file = this.#wanted.get(index);
    if (file === undefined) throw refuse("", "sends content that was not asked for");
    this.#bytes += chunk.length;
    if (this.#bytes > maxBytes) throw refuse(file.path, "makes the context larger than 64 GiB");
    const fd = this.#open(file);
    file.hash.update(chunk);
    file.bytes += chunk.length;
    for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
  }

  end(index: number): void {
    const file = this.#wanted.get(index);
    if (file === undefined) throw refuse("", "sends content that was not asked for");
    this.#wanted.delete(index);
    const fd = this.#open(file);
    const { path, entry } = file;
    try {
      fchmodSync(fd, entry.mode);
    } finally {
      closeSync(fd);
    }
    this.#time(path, entry);
    // A file that was being written while it was sent is asked for again next time.
    const isSteady = BigInt(file.bytes) === entry.sizeBytes && entry.mtimeNs < this.#startedNs - racyNs;
    const digest = file.hash.digest("hex");
    const seconds = Number(entry.mtimeNs / 1_000_000_000n);
    const plain = plainFile(this.#before, path, { digest, mode: entry.mode, seconds });
    this.#index.set(path, { stamp: isSteady ? stampOf(entry) : "", digest, plain });
  }

  /** Everything has come. @throws build/invalid for links that lead nowhere */
  finish(): MirrorResult {
    if (this.#wanted.size > 0) throw refuse([...this.#wanted.values()][0]?.path ?? "", "was not sent to its end");
    for (const { path, first } of this.#hardLinks) this.#hardLink(path, first);
    for (const [path, { names }] of this.#directories) {
      for (const name of this.#target.list(path)) if (!names.has(name)) this.#remove(joinTree(path, name));
    }
    for (const [path, { entry }] of [...this.#directories].toReversed())
      if (entry !== undefined) this.#describe(path, entry);
    const { id, state } = this.#before;
    const index = { id, state: this.#changed ? state + 1 : state, files: this.#index };
    return { index, changed: this.#changed, bytes: undefined };
  }

  #hardLink(path: string, first: string): void {
    const found = this.#files.has(first) ? this.#index.get(first) : undefined;
    const known = found === undefined ? undefined : { ...found, plain: undefined };
    if (known === undefined) throw refuse(path, "is another name of a file that did not come");
    const [one, other] = [this.#target.stat(first), this.#target.stat(path)];
    if (one !== undefined && one.ino === other?.ino && one.dev === other.dev) {
      for (const name of [first, path]) this.#index.set(name, known);
      return;
    }
    this.#willChange();
    if (other !== undefined) this.#remove(path);
    linkSync(this.#target.path(first), this.#target.path(path));
    for (const name of [first, path]) this.#index.set(name, known);
  }

  #describe(path: string, entry: ClientEntry): void {
    const existing = this.#target.stat(path);
    if (existing !== undefined && (Number(existing.mode) & 0o7777) !== entry.mode) {
      this.#willChange();
      fchmodat(this.#target.fd, Buffer.from(path, "latin1"), entry.mode);
    }
    this.#time(path, entry);
  }

  /** Closes what a transfer that was cut short left open. */
  close(): void {
    for (const { fd } of this.#wanted.values()) if (fd !== undefined) closeSync(fd);
    this.#wanted.clear();
  }
}

function stampOf({ mode, sizeBytes, mtimeNs }: ClientEntry): string {
  return `${mode}:${sizeBytes}:${mtimeNs}`;
}
