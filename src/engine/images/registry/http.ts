/** One HTTP exchange with a registry: no redirects, no retries, no authentication. Bounded in time: 30 s to connect and for the
 *  first byte, 30 s without a further byte. */
import { lookup as dnsLookup, type LookupAddress } from "node:dns";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { LookupFunction } from "node:net";
import { createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import { errorMessage, errnoOf, TscomposeError } from "../../../errors.ts";
import { isInnerAddress } from "./address-policy.ts";
import type { HostCertificates } from "./host-certificates.ts";

export interface TlsOptions extends HostCertificates {
  /** Accept a certificate that nobody vouches for: insecure registries only. */
  readonly unverified: boolean;
}
export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Each chunk is sent before the next is asked for. */
  readonly body?: Buffer | AsyncIterable<Buffer>;
  readonly tls: TlsOptions;
  /** Refuse addresses of this machine: for hosts that the user did not name. */
  readonly outerOnly: boolean;
  readonly signal: AbortSignal;
  /** Milliseconds to the first byte of the answer. */
  readonly firstByteMs?: number;
}

const defaultFirstByteMs = 30_000;
const stallMs = 30_000;
/** For one chunk of a body, of 1 MiB at most. */
const sendStallMs = 120_000;

export class HttpConnections {
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: 8 });
  readonly #https = new Map<string, HttpsAgent>();
  readonly #trusted: readonly string[] | undefined;

  /** @param systemCertificates PEM, trusted beside Node's own list */
  constructor(systemCertificates?: string) {
    this.#trusted = systemCertificates === undefined ? undefined : [systemCertificates, ...rootCertificates];
  }

  close(): void {
    this.#http.destroy();
    for (const agent of this.#https.values()) agent.destroy();
  }

  /** The answer with its body unread.
   *  @throws registry/unreachable (details: errno), aborted */
  async send(request: HttpRequest): Promise<IncomingMessage> {
    const { url, signal } = request;
    if (signal.aborted) throw new TscomposeError("aborted", "the operation was aborted");
    const options: RequestOptions = {
      method: request.method,
      headers: { "user-agent": "tscompose", "accept-encoding": "identity", ...request.headers },
      signal,
      ...(request.outerOnly ? { lookup: guardedLookup } : {}),
    };
    if (request.outerOnly && isInnerAddress(url.hostname.replace(/^\[|\]$/g, ""))) throw innerAddress(url.hostname);
    const outgoing =
      url.protocol === "https:"
        ? httpsRequest(url, { ...options, agent: this.#httpsAgent(request.tls) })
        : httpRequest(url, { ...options, agent: this.#http });
    try {
      return await exchange(outgoing, request);
    } catch (error) {
      outgoing.destroy();
      throw asTscomposeError(error, request);
    }
  }

  #httpsAgent({ ca, client, unverified }: TlsOptions): HttpsAgent {
    const key = JSON.stringify([unverified, ca, client]);
    const known = this.#https.get(key);
    if (known !== undefined) return known;
    const trusted = ca === undefined ? this.#trusted : [ca, ...(this.#trusted ?? rootCertificates)];
    // Made once: reading some 150 certificates for each connection costs more than the connection.
    const secureContext = createContext(trusted, client);
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 8, rejectUnauthorized: !unverified, secureContext });
    this.#https.set(key, agent);
    return agent;
  }
}

/** @throws request/invalid for what is no certificate, or no key for it */
function createContext(ca: readonly string[] | undefined, client: TlsOptions["client"]): SecureContext {
  try {
    return createSecureContext({ ...(ca === undefined ? {} : { ca: [...ca] }), ...client });
  } catch (error) {
    throw new TscomposeError("request/invalid", `the registry's certificates are not right: ${errorMessage(error)}`, {
      hint: "look into its folder below certs.d: authorities in *.crt, the client's certificate in *.cert and *.key",
      cause: error,
    });
  }
}

async function exchange(outgoing: ReturnType<typeof httpRequest>, request: HttpRequest): Promise<IncomingMessage> {
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once("response", resolve);
    outgoing.on("error", reject);
  });
  answered.catch(() => undefined); // the body may fail first; the failure is thrown from there
  const limit = request.firstByteMs ?? defaultFirstByteMs;
  let timer: NodeJS.Timeout | undefined;
  try {
    await writeBody(outgoing, request.body);
    timer = setTimeout(() => outgoing.destroy(new Error(`no answer within ${limit / 1000} s`)), limit);
    return await answered;
  } finally {
    clearTimeout(timer);
  }
}

async function writeBody(outgoing: ReturnType<typeof httpRequest>, body: HttpRequest["body"]): Promise<void> {
  if (body === undefined || Buffer.isBuffer(body)) {
    outgoing.end(body);
    return;
  }
  for await (const chunk of body) {
    if (outgoing.destroyed || outgoing.writableFinished) return;
    await writeChunk(outgoing, chunk);
  }
  outgoing.end();
}

/** Resolves when the kernel has the chunk, or the connection is over: then its memory is free for the next. */
async function writeChunk(outgoing: ReturnType<typeof httpRequest>, chunk: Buffer): Promise<void> {
  const stall = setTimeout(
    () => outgoing.destroy(new Error(`it took no data for ${sendStallMs / 1000} s`)),
    sendStallMs,
  );
  await new Promise<void>((resolve) => {
    const done = (): void => {
      outgoing.off("close", done);
      resolve();
    };
    outgoing.on("close", done);
    outgoing.write(chunk, done);
  });
  clearTimeout(stall);
}

const guardedLookup: LookupFunction = (hostname, options, callback) => {
  dnsLookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error !== null) {
      callback(error, []);
      return;
    }
    const outer = addresses.filter(({ address }) => !isInnerAddress(address));
    const [first] = outer;
    if (first === undefined) callback(innerAddress(hostname), []);
    else if (options.all === true) callback(null, outer);
    else callback(null, first.address, first.family);
  });
};

function innerAddress(host: string): TscomposeError {
  return new TscomposeError("registry/failed", `registry points to ${host}, an address of this machine: refused`, {
    hint: "a registry may not make the engine talk to local services",
  });
}

/** The body in pieces.
 *  @throws registry/unreachable when nothing comes for 30 s or the connection breaks; aborted */
export async function* readChunks(answer: IncomingMessage, signal: AbortSignal): AsyncGenerator<Buffer> {
  const abort = (): void => void answer.destroy(new TscomposeError("aborted", "the operation was aborted"));
  let waiting = true;
  const stall = setTimeout(() => {
    if (waiting) answer.destroy(new Error(`no data for ${stallMs / 1000} s`));
    else stall.refresh();
  }, stallMs);
  signal.addEventListener("abort", abort, { once: true });
  try {
    if (signal.aborted) abort();
    for await (const chunk of answer) {
      // The time a slow consumer takes is not the registry's.
      waiting = false;
      yield chunk as Buffer;
      waiting = true;
      stall.refresh();
    }
    if (!answer.complete) throw new Error("the connection was cut");
  } catch (error) {
    if (error instanceof TscomposeError) throw error;
    throw new TscomposeError("registry/unreachable", `connection to the registry broke: ${errorMessage(error)}`, {
      cause: error,
      details: { errno: errnoOf(error) },
    });
  } finally {
    clearTimeout(stall);
    signal.removeEventListener("abort", abort);
    answer.destroy();
  }
}

/** The whole body.
 *  @throws image/invalid when it is larger than `limit` */
export async function readAll(answer: IncomingMessage, limit: number, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of readChunks(answer, signal)) {
    size += chunk.length;
    if (size > limit) throw new TscomposeError("image/invalid", `registry answered with more than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function asTscomposeError(error: unknown, { url, signal }: HttpRequest): TscomposeError {
  if (signal.aborted) return new TscomposeError("aborted", "the operation was aborted", { cause: error });
  if (error instanceof TscomposeError) return error;
  const errno = errnoOf(error);
  const reason = error instanceof AggregateError ? error.errors.map(errorMessage).join("; ") : errorMessage(error);
  return new TscomposeError("registry/unreachable", `cannot reach registry ${url.host}: ${reason}`, {
    hint: hintFor(errno),
    cause: error,
    details: { errno },
  });
}

function hintFor(errno: string | undefined): string {
  if (errno === "ENOTFOUND" || errno === "EAI_AGAIN") return "check the registry's name and this machine's DNS";
  if (errno === "ECONNREFUSED") return "check that the registry runs and that the port is right";
  if (errno !== undefined && /CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA/.test(errno)) {
    return "the registry wants to know who asks: put client.cert and client.key into /etc/docker/certs.d/<host> (or certs.d/<host> below the data root)";
  }
  if (errno !== undefined && /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS|EPROTO/.test(errno)) {
    return "put the certificate of its authority into /etc/docker/certs.d/<host>/ca.crt (or certs.d/<host> below the data root)";
  }
  return "check the network, and proxies between here and the registry";
}
