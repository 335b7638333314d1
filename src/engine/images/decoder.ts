/** Unpacks gzip, zstd, xz and bzip2 streams, told apart by their first bytes. Gunzip runs on a thread of its own, with ISA-L where
 *  it is installed, else with zlib; Node 20 has no zstd, so that and the rare ones go through Debian's programs. */
import { createGunzip } from "node:zlib";
import { errorMessage, TscomposeError } from "../../errors.ts";
import { startFilter } from "../../host/filter.ts";
import { createIsalGunzip, type IsalGunzip } from "../../host/isal.ts";
import { sniffCompression, type Compression } from "./media-types.ts";

export interface Decoder {
  /** Resolves when more may be written. */
  write(chunk: Buffer): Promise<void> | void;
  /** Resolves when all output was delivered.
   *  @throws image/invalid for a broken or cut-off stream */
  end(): Promise<void> | void;
  /** Frees what it holds; for a stream that is given up. Idempotent. */
  close(): void;
}

/** Windows above this are refused (security.md I-19); it is what `zstd --long=27` takes. */
const zstdMemory = "--memory=128MB";
const programs: Readonly<Record<"zstd" | "xz" | "bzip2", readonly string[]>> = {
  zstd: ["zstd", "-d", "-c", "-q", "--no-progress", zstdMemory],
  xz: ["xz", "-d", "-c", "-q", "--memlimit-decompress=256MiB"],
  bzip2: ["bzip2", "-d", "-c", "-q"],
};
const sniffBytes = 6;
const outputChunk = 1024 * 1024;

/** `sink` gets the unpacked bytes in order; what it throws comes out of `write` or `end`. */
export class SniffingDecoder implements Decoder {
  readonly #sink: (chunk: Buffer) => void;
  readonly #gunzip: "fastest" | "zlib";
  #start: Buffer | undefined = Buffer.alloc(0);
  #decoder: Decoder | undefined;
  /** Known after the first bytes. */
  compression: Compression | undefined;

  /** `gunzip`: to use only zlib where ISA-L is installed, too. */
  constructor(sink: (chunk: Buffer) => void, gunzip: "fastest" | "zlib" = "fastest") {
    this.#sink = sink;
    this.#gunzip = gunzip;
  }

  write(chunk: Buffer): Promise<void> | void {
    if (this.#decoder !== undefined) return this.#decoder.write(chunk);
    this.#start = Buffer.concat([this.#start ?? Buffer.alloc(0), chunk]);
    if (this.#start.length >= sniffBytes) return this.#begin(this.#start);
  }

  async end(): Promise<void> {
    if (this.#decoder === undefined) await this.#begin(this.#start ?? Buffer.alloc(0));
    await this.#decoder?.end();
  }

  close(): void {
    this.#decoder?.close();
  }

  #begin(start: Buffer): Promise<void> | void {
    this.#start = undefined;
    this.compression = sniffCompression(start);
    this.#decoder = createDecoder(this.compression, this.#sink, this.#gunzip);
    return this.#decoder.write(start);
  }
}

function createDecoder(compression: Compression, sink: (chunk: Buffer) => void, gunzip: "fastest" | "zlib"): Decoder {
  switch (compression) {
    case "none":
      return { write: sink, end: () => undefined, close: () => undefined };
    case "gzip": {
      const fast = gunzip === "zlib" ? undefined : createIsalGunzip();
      return fast === undefined ? gunzipDecoder(sink) : isalDecoder(fast, sink);
    }
    case "zstd":
    case "xz":
    case "bzip2":
      return filterDecoder(programs[compression], sink);
  }
}

function filterDecoder(argv: readonly string[], sink: (chunk: Buffer) => void): Decoder {
  const filter = startFilter(argv, sink);
  const translate = (error: unknown): never => {
    const bad = error instanceof TscomposeError && error.code === "host/command-failed";
    throw bad ? brokenStream(argv[0] ?? "", error) : error;
  };
  return {
    write: (chunk) => filter.write(chunk).catch(translate),
    end: () => filter.end().catch(translate),
    close: () => filter.kill(),
  };
}

/** One piece is unpacked on another thread while the one before it goes to the sink on this one. */
function isalDecoder(gunzip: IsalGunzip, sink: (chunk: Buffer) => void): Decoder {
  let ready: Buffer | undefined;
  const deliver = (): void => {
    const chunk = ready;
    ready = undefined;
    if (chunk !== undefined && chunk.length > 0) sink(chunk);
  };
  return {
    async write(chunk) {
      gunzip.feed(chunk);
      while (!gunzip.wantsInput) {
        const step = gunzip.step();
        try {
          deliver();
        } catch (error) {
          await step.catch(() => undefined); // it uses the chunk, which is the caller's
          throw error;
        }
        ready = await step;
      }
    },
    end() {
      deliver();
      if (!gunzip.complete) throw brokenStream("gzip", new Error("unexpected end of file"));
    },
    close: () => undefined,
  };
}

function gunzipDecoder(sink: (chunk: Buffer) => void): Decoder {
  const gunzip = createGunzip({ chunkSize: outputChunk });
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  const fail = (error: Error): void => {
    failure ??= error;
    gunzip.destroy();
    wake?.();
  };
  gunzip.on("error", (error) => fail(brokenStream("gzip", error)));
  gunzip.on("data", (chunk: Buffer) => {
    if (failure !== undefined) return;
    try {
      sink(chunk);
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  });
  const wait = async (event: "drain" | "end"): Promise<void> => {
    if (failure === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        gunzip.once(event, resolve);
      });
    }
    if (failure !== undefined) throw failure;
  };
  return {
    write(chunk) {
      if (failure !== undefined) throw failure;
      return gunzip.write(chunk) ? undefined : wait("drain");
    },
    end() {
      gunzip.end();
      return wait("end");
    },
    close: () => gunzip.destroy(),
  };
}

function brokenStream(kind: string, error: unknown): TscomposeError {
  return new TscomposeError("image/invalid", `the ${kind} stream is broken: ${errorMessage(error)}`, { cause: error });
}
