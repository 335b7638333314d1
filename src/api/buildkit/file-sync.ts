/** A folder of the client at the other end of a session: it lists what it has, we ask for what we want of it, it sends that. What is
 *  hostile in the entries is the receiver's to refuse; here the order of the conversation is.
 *  Source: tonistiigi/fsutil send.go and receive.go (the protocol), BuildKit session/filesync (the headers). */
import { posix } from "node:path";
import { TscomposeError } from "../../errors.ts";
import type { ClientEntry, ClientFolder, ClientReceiver } from "../../engine/build/types.ts";
import { GrpcError } from "./grpc/status.ts";
import type { Metadata } from "./grpc/client.ts";
import { goMode, packet, packetType } from "./session-messages.ts";
import type { Stat } from "./session-messages.ts";
import type { Session } from "./sessions.ts";

export const diffCopy = "/moby.filesync.v1.FileSync/DiffCopy";
const maxPacketBytes = 4 * 1024 * 1024;
/** Files that are asked for and have not come to their end. */
const maxOutstanding = 64;

export interface FolderOptions {
  readonly session: Session;
  /** As the client calls it. */
  readonly name: string;
  readonly signal: AbortSignal;
  /** Called when a transfer begins: of a few files by name, or of the folder. */
  readonly begin: (what: "names" | "folder") => {
    readonly onBytes: (count: number) => void;
    readonly onEnd: () => void;
  };
}

function isSet(mode: number, bit: number): boolean {
  return Math.floor(mode / bit) % 2 === 1;
}

const others = [goMode.device, goMode.namedPipe, goMode.socket, goMode.charDevice, goMode.irregular];

export function entryOf(stat: Stat): ClientEntry {
  const mode = stat.mode ?? 0;
  const type = isSet(mode, goMode.directory)
    ? "directory"
    : isSet(mode, goMode.symlink)
      ? "symlink"
      : others.some((bit) => isSet(mode, bit))
        ? "other"
        : "file";
  const special =
    (isSet(mode, goMode.setuid) ? 0o4000 : 0) +
    (isSet(mode, goMode.setgid) ? 0o2000 : 0) +
    (isSet(mode, goMode.sticky) ? 0o1000 : 0);
  return {
    path: stat.path ?? Buffer.alloc(0),
    type,
    mode: (mode % 0o1000) + special,
    sizeBytes: stat.size ?? 0n,
    mtimeNs: stat.modTime ?? 0n,
    link: stat.linkName ?? Buffer.alloc(0),
  };
}

/** Values that are not plain ASCII are escaped as in a query, and a header says so. */
function encoded(name: string, values: readonly string[]): Metadata {
  if (values.length === 0) return {};
  if (values.every((value) => /^[\x20-\x7e]*$/.test(value))) return { [name]: values };
  return { [name]: values.map((value) => encodeURIComponent(value)), [`${name}-encoded`]: "1" };
}

export function clientFolder(options: FolderOptions): ClientFolder {
  const { session, name } = options;
  return {
    key: session.sharedKey === "" ? undefined : `${session.sharedKey}:${name}`,
    sync: (wanted, receiver) => converse(options, { ...wanted, what: "folder" }, receiver),
    read: async (paths) => {
      const files = new SmallFiles();
      await converse(options, { follow: paths, exclude: [], what: "names" }, files);
      return files.named(paths);
    },
  };
}

async function converse(
  options: FolderOptions,
  wanted: {
    readonly follow: readonly string[];
    readonly exclude: readonly string[];
    readonly what: "names" | "folder";
  },
  receiver: ClientReceiver,
): Promise<void> {
  const { session, name, signal } = options;
  if (!session.offers(diffCopy)) throw new TscomposeError("build/failed", `the client offers no files of ${name}`);
  const metadata = {
    ...encoded("dir-name", [name]),
    ...encoded("followpaths", wanted.follow),
    ...encoded("exclude-patterns", wanted.exclude),
  };
  const stream = session.client.stream(diffCopy, { metadata, signal, maxBytes: maxPacketBytes });
  const told = options.begin(wanted.what);
  const transfer = new Transfer(receiver, (message) => stream.send(message));
  try {
    for await (const message of stream.messages) {
      told.onBytes(message.length);
      await transfer.take(message);
    }
    transfer.finish(name);
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error;
    throw new TscomposeError("build/failed", `the client did not send ${name}: ${error.message}`, { cause: error });
  } finally {
    stream.close();
    told.onEnd();
  }
}

class Transfer {
  readonly #receiver: ClientReceiver;
  readonly #send: (message: Buffer) => Promise<void>;
  #count = 0;
  #isListed = false;
  #asked = false;
  #isDone = false;
  readonly #queue: number[] = [];
  #next = 0;
  readonly #outstanding = new Set<number>();

  constructor(receiver: ClientReceiver, send: (message: Buffer) => Promise<void>) {
    this.#receiver = receiver;
    this.#send = send;
  }

  async take(message: Buffer): Promise<void> {
    const { type, stat, id, data } = packet.decode(message);
    if (this.#isDone) return;
    switch (type) {
      case packetType.stat:
        if (this.#isListed) throw unexpected("lists files after the end of the list");
        if (stat === undefined) this.#isListed = true;
        else {
          if (this.#receiver.entry(entryOf(stat), this.#count)) this.#queue.push(this.#count);
          this.#count += 1;
        }
        break;
      case packetType.data:
        if (!this.#outstanding.has(id)) throw unexpected("sends a file that was not asked for");
        if (data.length > 0) {
          this.#receiver.data(id, data);
          return;
        }
        this.#receiver.end(id);
        this.#outstanding.delete(id);
        break;
      case packetType.fin:
        this.#isDone = this.#asked;
        if (!this.#isDone) throw unexpected("ends before it was asked to");
        return;
      case packetType.error:
        throw new TscomposeError("build/failed", `the client cannot send its files: ${data.toString("utf8")}`);
      default:
        throw unexpected(`sends a packet of type ${type}`);
    }
    await this.#ask();
  }

  async #ask(): Promise<void> {
    while (this.#next < this.#queue.length && this.#outstanding.size < maxOutstanding) {
      const id = this.#queue[this.#next] ?? 0;
      this.#next += 1;
      this.#outstanding.add(id);
      await this.#send(packet.encode({ type: packetType.request, id }));
    }
    if (!this.#isListed || this.#outstanding.size > 0 || this.#asked) return;
    this.#asked = true;
    await this.#send(packet.encode({ type: packetType.fin }));
  }

  finish(name: string): void {
    if (!this.#isDone) throw unexpected(`ends in the middle of the files of ${name}`);
  }
}

function unexpected(what: string): TscomposeError {
  return new TscomposeError("build/failed", `the client breaks the protocol of file transfer: it ${what}`);
}

const maxFiles = 1000;
const maxBytes = 16 * 1024 * 1024;

/** A few files in memory, and the symlinks between them. */
class SmallFiles implements ClientReceiver {
  readonly #paths: string[] = [];
  readonly #contents = new Map<string, Buffer[]>();
  readonly #links = new Map<string, string>();
  #bytes = 0;

  entry(entry: ClientEntry, index: number): boolean {
    const path = entry.path.toString("utf8");
    this.#paths[index] = path;
    if (index >= maxFiles) throw new TscomposeError("build/invalid", `${path} is one of more than ${maxFiles} files`);
    if (entry.type === "symlink") this.#links.set(path, entry.link.toString("utf8"));
    if (entry.type !== "file") return false;
    if (entry.sizeBytes > BigInt(maxBytes)) throw tooLarge(path);
    this.#contents.set(path, []);
    return true;
  }

  data(index: number, chunk: Buffer): void {
    const path = this.#paths[index] ?? "";
    this.#bytes += chunk.length;
    if (this.#bytes > maxBytes) throw tooLarge(path);
    this.#contents.get(path)?.push(chunk);
  }

  end(): void {
    // The content is joined when it is asked for.
  }

  named(paths: readonly string[]): ReadonlyMap<string, Buffer> {
    const found = paths.flatMap((path): readonly (readonly [string, Buffer])[] => {
      const parts = this.#contents.get(this.#resolved(path));
      return parts === undefined ? [] : [[path, Buffer.concat(parts)]];
    });
    return new Map(found);
  }

  #resolved(given: string): string {
    let path = posix.join("/", given).slice(1);
    for (let hops = 0; hops < 40; hops += 1) {
      const parts = path.split("/");
      const at = parts.findIndex((_, index) => this.#links.has(parts.slice(0, index + 1).join("/")));
      if (at < 0) return path;
      const link = this.#links.get(parts.slice(0, at + 1).join("/")) ?? "";
      path = posix
        .join("/", link.startsWith("/") ? "" : parts.slice(0, at).join("/"), link, ...parts.slice(at + 1))
        .slice(1);
    }
    return path;
  }
}

function tooLarge(path: string): TscomposeError {
  return new TscomposeError("build/invalid", `${path} is larger than 16 MiB`);
}
