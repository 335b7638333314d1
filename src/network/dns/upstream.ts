/** Questions that go outside: servers raced one after the other, answers checked and cached, the same question asked once at a
 *  time. Each query has its own socket, so port and id must both be guessed to forge an answer. Source: RFC 5452, RFC 7766. */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { checkResponse, type CheckedResponse } from "./response.ts";
import { REFUSED, SERVFAIL, type Question } from "./question.ts";

export interface UpstreamQuery {
  readonly message: Buffer;
  readonly question: Question;
  readonly servers: readonly string[];
  readonly transport: "udp" | "tcp";
}
interface Answer {
  readonly message: Buffer;
  readonly checked: CheckedResponse;
}
interface CacheEntry extends Answer {
  readonly storedAt: number;
  readonly expiresAt: number;
}

const totalTimeoutMs = 4000;
/** After this long without an answer the next server is asked too. */
const patienceMs = 250;
/** For so long a server that did not answer is asked after the others. */
const silentMs = 30_000;
const maximumOpen = 1024;
const cacheSize = 8192;
const longestCachedSeconds = 300;

export class Upstream {
  readonly #cache = new Map<string, CacheEntry>();
  readonly #open = new Map<string, Promise<Answer | undefined>>();
  /** Servers that gave no answer while another did, or nobody did: when they may be asked in their turn again. */
  readonly #silent = new Map<string, number>();

  /** The answer with the asker's id; undefined when no server gave one in time. */
  async ask(query: UpstreamQuery): Promise<Buffer | undefined> {
    const key = cacheKey(query);
    const cached = this.#cached(key);
    if (cached !== undefined) return withId(cached, query.question);
    let running = this.#open.get(key);
    if (running === undefined) {
      if (this.#open.size >= maximumOpen) return undefined;
      running = race({ ...query, servers: this.#inOrder(query.servers) }, (server, silent) => {
        if (silent) this.#silent.set(server, performance.now() + silentMs);
        else this.#silent.delete(server);
      }).finally(() => this.#open.delete(key));
      this.#open.set(key, running);
    }
    const answer = await running;
    if (answer === undefined) return undefined;
    this.#store(key, answer);
    return withId(answer.message, query.question);
  }

  clear(): void {
    this.#cache.clear();
  }

  /** Those that were silent lately come last. */
  #inOrder(servers: readonly string[]): readonly string[] {
    if (this.#silent.size === 0) return servers;
    const now = performance.now();
    const isSilent = (server: string): boolean => (this.#silent.get(server) ?? 0) > now;
    return [...servers.filter((one) => !isSilent(one)), ...servers.filter(isSilent)];
  }

  /** With what is left of the times to live. */
  #cached(key: string): Buffer | undefined {
    const entry = this.#cache.get(key);
    if (entry === undefined) return undefined;
    const now = performance.now();
    if (now >= entry.expiresAt) {
      this.#cache.delete(key);
      return undefined;
    }
    const age = Math.floor((now - entry.storedAt) / 1000);
    const message = Buffer.from(entry.message);
    for (const offset of entry.checked.ttlOffsets) {
      message.writeUInt32BE(Math.max(0, message.readUInt32BE(offset) - age), offset);
    }
    return message;
  }

  #store(key: string, answer: Answer): void {
    const { rcode, truncated, minimumTtl } = answer.checked;
    if (truncated || minimumTtl === 0 || (rcode !== 0 && rcode !== 3)) return;
    if (this.#cache.size >= cacheSize) {
      const oldest = this.#cache.keys().next().value;
      if (oldest !== undefined) this.#cache.delete(oldest);
    }
    const storedAt = performance.now();
    const seconds = Math.min(minimumTtl, longestCachedSeconds);
    this.#cache.set(key, { ...answer, storedAt, expiresAt: storedAt + seconds * 1000 });
  }
}

/** Flags and options beside the question change the answer (DNSSEC, checking disabled): they are part of the key. */
function cacheKey({ message, question, servers, transport }: UpstreamQuery): string {
  const rest = message.toString("latin1", 12 + question.raw.length);
  const name = question.raw.toString("latin1").toLowerCase();
  return `${transport} ${servers.join(" ")} ${message.readUInt16BE(2)} ${name} ${rest}`;
}

function withId(answer: Buffer, question: Question): Buffer {
  const message = Buffer.from(answer);
  message.writeUInt16BE(question.id, 0);
  question.raw.copy(message, 12);
  return message;
}

async function race(
  query: UpstreamQuery,
  tell: (server: string, silent: boolean) => void,
): Promise<Answer | undefined> {
  const abort = new AbortController();
  const deadline = setTimeout(() => abort.abort(), totalTimeoutMs);
  try {
    return await new Promise<Answer | undefined>((resolve) => {
      let poor: Answer | undefined;
      let pending = 0;
      let next = 0;
      let timer: NodeJS.Timeout | undefined;
      abort.signal.addEventListener("abort", () => resolve(poor));
      const start = (): void => {
        clearTimeout(timer);
        const server = query.servers[next];
        if (server === undefined) {
          if (pending === 0) resolve(poor);
          return;
        }
        next += 1;
        pending += 1;
        timer = setTimeout(() => {
          if (abort.signal.aborted) return;
          tell(server, true);
          start();
        }, patienceMs);
        void askOne(query, server, abort.signal).then((answer) => {
          pending -= 1;
          if (!abort.signal.aborted) tell(server, answer === undefined);
          const code = answer?.checked.rcode;
          if (answer !== undefined && code !== SERVFAIL && code !== REFUSED) return resolve(answer);
          poor ??= answer;
          return start();
        });
      };
      start();
    });
  } finally {
    clearTimeout(deadline);
    abort.abort();
  }
}

function askOne(query: UpstreamQuery, server: string, signal: AbortSignal): Promise<Answer | undefined> {
  const id = randomInt(0x10000);
  const message = Buffer.from(query.message);
  message.writeUInt16BE(id, 0);
  const accept = (data: Buffer): Answer | undefined => {
    const checked = checkResponse(data, id, query.question);
    return checked === undefined ? undefined : { message: Buffer.from(data), checked };
  };
  return query.transport === "udp"
    ? askUdp(message, server, { accept, signal })
    : askTcp(message, server, { accept, signal });
}

interface Exchange {
  readonly accept: (data: Buffer) => Answer | undefined;
  readonly signal: AbortSignal;
}

function askUdp(message: Buffer, server: string, { accept, signal }: Exchange): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(server.includes(":") ? "udp6" : "udp4");
    let done = false;
    const finish = (answer: Answer | undefined): void => {
      if (done) return;
      done = true;
      signal.removeEventListener("abort", onAbort);
      socket.close();
      resolve(answer);
    };
    const onAbort = (): void => finish(undefined);
    signal.addEventListener("abort", onAbort);
    socket.on("error", () => finish(undefined));
    socket.on("message", (data) => {
      const answer = accept(data);
      if (answer !== undefined) finish(answer); // anything else may be a forgery: the true one may still come
    });
    socket.on("connect", () => socket.send(message));
    socket.connect(53, server);
  });
}

function askTcp(message: Buffer, server: string, { accept, signal }: Exchange): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: server, port: 53 });
    const finish = (answer: Answer | undefined): void => {
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      resolve(answer);
    };
    const onAbort = (): void => finish(undefined);
    signal.addEventListener("abort", onAbort);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    let received = Buffer.alloc(0);
    socket.on("connect", () => socket.write(Buffer.concat([length, message])));
    socket.on("error", () => finish(undefined));
    socket.on("close", () => finish(undefined));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      finish(accept(received.subarray(2, 2 + received.readUInt16BE(0))));
    });
  });
}
