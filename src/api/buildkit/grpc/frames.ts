/** Messages in a stream of gRPC: a byte that says whether it is compressed, the length (4 bytes), the message. Pure. */
import { GrpcError, grpcCode } from "./status.ts";

export function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Takes chunks of any size, gives whole messages. */
export class FrameReader {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether something of a message has come that is not there whole. */
  get isInside(): boolean {
    return this.#size > 0;
  }

  /** @throws GrpcError for a message that is too large or compressed */
  push(chunk: Buffer): readonly Buffer[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const messages: Buffer[] = [];
    for (;;) {
      const length = this.#nextLength();
      if (length === undefined || this.#size < 5 + length) return messages;
      const all = this.#joined();
      messages.push(all.subarray(5, 5 + length));
      this.#chunks = all.length > 5 + length ? [all.subarray(5 + length)] : [];
      this.#size -= 5 + length;
    }
  }

  #nextLength(): number | undefined {
    if (this.#size < 5) return undefined;
    const head = (this.#chunks[0]?.length ?? 0) >= 5 ? this.#chunks[0] : this.#joined();
    if (head === undefined) return undefined;
    if (head[0] !== 0) throw new GrpcError(grpcCode.unimplemented, "compressed messages are not understood");
    const length = head.readUInt32BE(1);
    if (length > this.#maxBytes)
      throw new GrpcError(
        grpcCode.resourceExhausted,
        `a message of ${length} bytes is larger than the ${this.#maxBytes} that are taken`,
      );
    return length;
  }

  #joined(): Buffer {
    const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}
