/** The engine's one connection to a container's monitor, shared by the clients that are attached. The monitor accepts one
 *  connection a turn and forgets what was written before: one made before the process is released misses nothing, a second
 *  might. Source: conmon, conn_sock.c: each record is one byte that names the stream, then data; what is sent goes to stdin. */
import type { Poller } from "../../host/poller.ts";
import { PacketConnection } from "../../host/seqpacket.ts";
import type { AttachLine, AttachSession } from "./attach-session.ts";

const stderrStream = 3;
/** conmon takes at most 32 KiB in one record. */
const stdinPacket = 16 * 1024;

export class MonitorLine implements AttachLine {
  readonly #sessions = new Set<AttachSession>();
  readonly #held = new Set<AttachSession>();
  /** A connection that closes is the end of input for the container: then it stays, unread, when the last client has left. */
  readonly #closeEndsStdin: boolean;
  readonly #connected: Promise<PacketConnection | undefined>;
  #settle: (connection: PacketConnection | undefined) => void = () => undefined;
  #connection: PacketConnection | undefined;
  #over = false;

  constructor(closeEndsStdin: boolean) {
    this.#closeEndsStdin = closeEndsStdin;
    this.#connected = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** It has had its end: the next client needs another. */
  get over(): boolean {
    return this.#over;
  }

  add(session: AttachSession): void {
    this.#sessions.add(session);
  }

  /** The monitor listens at `path`. Idempotent. @throws host/syscall-failed */
  connect(path: string, poller: Poller): void {
    if (this.#connection !== undefined || this.#over) return;
    this.#connection = new PacketConnection(path, poller, {
      onPacket: (packet) => this.#deliver(packet),
      onEnd: () => this.end(),
    });
    this.#settle(this.#connection);
  }

  async send(data: Buffer): Promise<boolean> {
    const connection = await this.#connected;
    for (let offset = 0; offset < data.length; offset += stdinPacket) {
      const taken = await connection?.send(data.subarray(offset, offset + stdinPacket));
      if (taken !== true) return false;
    }
    return connection !== undefined;
  }

  endSending(): void {
    void this.#connected.then((connection) => connection?.endSending());
  }

  hold(session: AttachSession): void {
    this.#held.add(session);
    this.#connection?.pause();
  }

  release(session: AttachSession): void {
    if (this.#held.delete(session) && this.#held.size === 0) this.#connection?.resume();
  }

  leave(session: AttachSession): void {
    this.#sessions.delete(session);
    this.release(session);
    if (this.#sessions.size === 0 && !this.#closeEndsStdin) this.end();
  }

  /** The container has ended, or could not be started: what it wrote is delivered, and the clients' streams end. Idempotent. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#connection?.drain();
    this.#connection?.close();
    this.#settle(undefined);
    for (const session of this.#sessions) session.detach();
  }

  #deliver(packet: Buffer): void {
    const stream = packet[0] === stderrStream ? "stderr" : "stdout";
    if (packet.length > 1) for (const session of this.#sessions) session.deliver(stream, packet.subarray(1));
  }
}
