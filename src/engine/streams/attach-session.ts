/** One client at the stdio of a container, over a connection to its monitor. It may come before the container runs.
 *  Source: conmon, conn_sock.c: each record is one byte that names the stream, then data; what is sent goes to stdin. */
import { TscomposeError } from "../../errors.ts";
import type { Poller } from "../../host/poller.ts";
import { PacketConnection } from "../../host/seqpacket.ts";
import type { OutputChunk, StdioSession } from "../engine.ts";
import { DetachMatcher } from "./detach-keys.ts";
import { PushQueue } from "./push-queue.ts";

export interface AttachWishes {
  readonly tty: boolean;
  /** False when the client does not want it or the container has none. */
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** The first client's end of input is the container's. */
  readonly stdinOnce: boolean;
  readonly detachKeys: readonly number[];
  readonly onDetachKeys: () => void;
  readonly onClosed: () => void;
}

const stderrStream = 3;
/** Beyond this much waiting output the monitor, and with it the container, waits for the reader... */
const pauseBytes = 1024 * 1024;
/** ... but not for one that takes nothing for so long: it is cut off. */
const stallMs = 5000;
/** conmon takes at most 32 KiB in one record. */
const stdinPacket = 16 * 1024;

export class AttachSession implements StdioSession {
  readonly tty: boolean;
  readonly #wishes: AttachWishes;
  readonly #queue: PushQueue<OutputChunk>;
  readonly #matcher: DetachMatcher | undefined;
  readonly #connected: Promise<PacketConnection | undefined>;
  #connect: (connection: PacketConnection | undefined) => void = () => undefined;
  #connection: PacketConnection | undefined;
  #stall: NodeJS.Timeout | undefined;
  #left = false;

  constructor(wishes: AttachWishes) {
    this.tty = wishes.tty;
    this.#wishes = wishes;
    this.#matcher = wishes.tty && wishes.stdin ? new DetachMatcher(wishes.detachKeys) : undefined;
    this.#connected = new Promise((resolve) => {
      this.#connect = resolve;
    });
    this.#queue = new PushQueue<OutputChunk>({
      limit: 4 * pauseBytes,
      weigh: ({ data }) => data.length,
      subject: "attach",
      onClose: () => this.#leave(),
    });
  }

  get output(): AsyncIterable<OutputChunk> {
    return this.#queue;
  }

  /** The monitor listens at `path`. @throws host/syscall-failed */
  connect(path: string, poller: Poller): void {
    if (this.#left || this.#connection !== undefined) return;
    this.#connection = new PacketConnection(path, poller, {
      onPacket: (packet) => this.#packet(packet),
      onEnd: () => this.end(),
    });
    this.#connect(this.#connection);
  }

  /** Takes what the monitor has sent so far: after the container's end that is all there is. */
  drain(): void {
    this.#connection?.drain();
  }

  /** The container has ended, or could not be started. Idempotent. */
  end(): void {
    this.#left = true;
    this.#connection?.close();
    this.#connect(undefined);
    clearTimeout(this.#stall);
    this.#queue.end();
    this.#wishes.onClosed();
  }

  async writeStdin(data: Buffer): Promise<boolean> {
    if (!this.#wishes.stdin || this.#left) return false;
    const { forward, detached } = this.#matcher?.feed(data) ?? { forward: data, detached: false };
    const connection = await this.#connected;
    let taken = connection !== undefined;
    for (let offset = 0; taken && offset < forward.length; offset += stdinPacket) {
      taken = (await connection?.send(forward.subarray(offset, offset + stdinPacket))) === true;
    }
    if (detached) {
      this.#wishes.onDetachKeys();
      this.detach();
    }
    return taken && !detached;
  }

  /** With StdinOnce the container reads the end of its input; otherwise its input stays open and only this client leaves. */
  endStdin(): void {
    if (!this.#wishes.stdin || this.#left) return;
    if (this.#wishes.stdinOnce && !this.tty) void this.#connected.then((connection) => connection?.endSending());
    else this.detach();
  }

  detach(): void {
    this.#leave();
    this.#queue.end();
  }

  #packet(packet: Buffer): void {
    const stderr = packet[0] === stderrStream;
    if (this.#left || packet.length < 2) return;
    if (!(stderr ? this.#wishes.stderr : this.#wishes.stdout || this.tty)) return;
    this.#queue.push({ stream: this.tty ? "console" : stderr ? "stderr" : "stdout", data: packet.subarray(1) });
    if (this.#queue.pending < pauseBytes || this.#stall !== undefined) return;
    this.#connection?.pause();
    this.#watchProgress(this.#queue.pending);
    this.#queue.whenDrained(() => {
      clearTimeout(this.#stall);
      this.#stall = undefined;
      this.#connection?.resume();
    });
  }

  #watchProgress(pending: number): void {
    this.#stall = setTimeout(() => {
      if (this.#queue.pending < pending) return this.#watchProgress(this.#queue.pending);
      this.#queue.fail(
        new TscomposeError("request/conflict", "attach: the reader took nothing for too long and was cut off", {
          hint: "read the stream without long pauses; the container goes on",
        }),
      );
    }, stallMs);
  }

  /** A connection that closes is the end of input for a container with StdinOnce: one that only listened stays open, unread. */
  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    clearTimeout(this.#stall);
    this.#connect(undefined);
    if (this.#wishes.stdinOnce && !this.#wishes.stdin && this.#connection !== undefined) {
      this.#connection.resume();
      return;
    }
    this.#connection?.close();
    this.#wishes.onClosed();
  }
}
