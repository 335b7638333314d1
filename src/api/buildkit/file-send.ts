/** Gives a client what a build made: an archive as one stream, or a folder file by file.
 *  Source: BuildKit session/filesync (FileSend), tonistiigi/fsutil send.go. */
import { TscomposeError } from "../../errors.ts";
import type { ClientEntry, ResultFiles } from "../../engine/build/types.ts";
import { GrpcError } from "./grpc/status.ts";
import type { GrpcStream } from "./grpc/client.ts";
import { bytesMessage, goMode, packet, packetType } from "./session-messages.ts";
import type { Session } from "./sessions.ts";

const diffCopy = "/moby.filesync.v1.FileSend/DiffCopy";
const maxBytes = 4 * 1024 * 1024;
/** Of the content in one message, as clients take it. */
const chunkBytes = 32 * 1024;

export interface Destination {
  readonly session: Session;
  /** Which of the outputs that the client asked for. */
  readonly index: number;
  readonly signal: AbortSignal;
}

function open({ session, index, signal }: Destination): GrpcStream {
  if (!session.offers(diffCopy))
    throw new TscomposeError("build/failed", "the client takes no files: it named no destination");
  const metadata = { "buildkit-attachable-exporter-id": String(index) };
  return session.client.stream(diffCopy, { metadata, signal, maxBytes });
}

async function sending(destination: Destination, work: (stream: GrpcStream) => Promise<void>): Promise<void> {
  const stream = open(destination);
  try {
    await work(stream);
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error;
    throw new TscomposeError("build/failed", `the client did not take the result: ${error.message}`, { cause: error });
  } finally {
    stream.close();
  }
}

export async function sendArchive(destination: Destination, archive: AsyncIterable<Buffer>): Promise<void> {
  await sending(destination, async (stream) => {
    const answer = drain(stream);
    for await (const chunk of archive)
      for (let at = 0; at < chunk.length; at += chunkBytes)
        await stream.send(bytesMessage.encode({ data: chunk.subarray(at, at + chunkBytes) }));
    stream.endSending();
    await answer;
  });
}

/** Its end is what the client says of the whole. Told here, thrown where it is waited for. */
function drain(stream: GrpcStream): Promise<void> {
  const end = (async () => {
    for await (const message of stream.messages) void message;
  })();
  end.catch(() => undefined);
  return end;
}

function modeOf({ type, mode }: ClientEntry): number {
  const kind = type === "directory" ? goMode.directory : type === "symlink" ? goMode.symlink : 0;
  const special =
    (mode & 0o4000 ? goMode.setuid : 0) + (mode & 0o2000 ? goMode.setgid : 0) + (mode & 0o1000 ? goMode.sticky : 0);
  return kind + special + (mode & 0o777);
}

export async function sendFolder(destination: Destination, files: ResultFiles): Promise<void> {
  await sending(destination, async (stream) => {
    const paths: Buffer[] = [];
    const listing = (async () => {
      for (const entry of files.entries()) {
        paths.push(entry.path);
        const stat = {
          path: entry.path,
          mode: modeOf(entry),
          size: entry.type === "symlink" ? BigInt(entry.link.length) : entry.sizeBytes,
          modTime: entry.mtimeNs,
          linkName: entry.link,
        };
        await stream.send(packet.encode({ type: packetType.stat, stat }));
      }
      await stream.send(packet.encode({ type: packetType.stat }));
    })();
    listing.catch(() => undefined);
    for await (const message of stream.messages) {
      const { type, id, data } = packet.decode(message);
      if (type === packetType.error)
        throw new TscomposeError("build/failed", `the client did not take the result: ${data.toString("utf8")}`);
      if (type === packetType.fin) break;
      if (type !== packetType.request) continue;
      const path = paths[id];
      if (path === undefined) throw new TscomposeError("build/failed", "the client asks for a file that there is not");
      for await (const chunk of files.read(path))
        for (let at = 0; at < chunk.length; at += chunkBytes)
          await stream.send(packet.encode({ type: packetType.data, id, data: chunk.subarray(at, at + chunkBytes) }));
      await stream.send(packet.encode({ type: packetType.data, id }));
    }
    await listing;
    await stream.send(packet.encode({ type: packetType.fin }));
    stream.endSending();
  });
}
