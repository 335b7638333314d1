/** Talking to one registry about one repository: authentication, redirects, retries. Knows paths, not what they mean.
 *  Source: OCI distribution-spec; security.md I-40 to I-46; reliability.md (retry contract). */
import type { IncomingMessage } from "node:http";
import { isTscomposeError, TscomposeError } from "../../../errors.ts";
import type { RegistryCredentials } from "../../types.ts";
import { isLoopbackHost } from "./address-policy.ts";
import { parseChallenge, type Challenge } from "./challenge.ts";
import { hasCredentials } from "./credentials.ts";
import type { Endpoint } from "./endpoint.ts";
import type { HttpConnections, HttpRequest } from "./http.ts";
import {
  isRetriableStatus,
  maxAttempts,
  maxConnectAttempts,
  maxRetryAfterMs,
  parseRetryAfter,
  pause,
  retryDelayMs,
} from "./retry.ts";
import { basicHeader, readToken, tokenRequest, type Token } from "./token.ts";

const maxRedirects = 10;

export interface SessionOptions {
  readonly endpoint: Endpoint;
  readonly connections: HttpConnections;
  readonly credentials: RegistryCredentials | undefined;
  /** `repository:library/busybox:pull`, ... */
  readonly scopes: readonly string[];
  readonly signal: AbortSignal;
}
export interface SessionRequest {
  readonly method: HttpRequest["method"];
  /** Below the base, `v2/...`, or a URL the registry gave. */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew for each attempt. */
  readonly body?: () => Buffer | AsyncIterable<Buffer>;
  readonly firstByteMs?: number;
  /** Not sent again by itself: what a broken upload left there has to be asked first. */
  readonly once?: boolean;
}

export class RegistrySession {
  readonly #options: SessionOptions;
  #base: URL | undefined;
  #authorization: { readonly header: string; readonly expiresAtMs: number } | undefined;
  #challenge: Challenge | undefined;
  #loggingIn: Promise<void> | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  get endpoint(): Endpoint {
    return this.#options.endpoint;
  }

  /** The final answer whatever its status, its body unread; tried again where that makes sense.
   *  @throws registry/unreachable, registry/failed, image/pull-denied, aborted */
  async request(request: SessionRequest): Promise<IncomingMessage> {
    for (let attempt = 1; ; attempt++) {
      let answer: IncomingMessage;
      try {
        answer = await this.#authorized(request);
      } catch (error) {
        const final = request.once === true || attempt >= maxConnectAttempts;
        if (!isTscomposeError(error, "registry/unreachable") || final || isHopeless(error)) throw error;
        await pause(retryDelayMs(attempt, undefined, Math.random()), this.#options.signal);
        continue;
      }
      const status = answer.statusCode ?? 0;
      if (!isRetriableStatus(status) || attempt >= maxAttempts || request.once === true) return answer;
      const waitMs = parseRetryAfter(answer.headers["retry-after"], Date.now());
      answer.destroy();
      if (waitMs !== undefined && waitMs > maxRetryAfterMs) throw tooLongToWait(this.endpoint.host, waitMs, status);
      await pause(retryDelayMs(attempt, waitMs, Math.random()), this.#options.signal);
    }
  }

  /** The base URL that answers: found out once, for registries that may be without TLS. */
  async base(): Promise<URL> {
    if (this.#base !== undefined) return this.#base;
    const { bases } = this.endpoint;
    const [first] = bases;
    if (first === undefined) throw new Error("an endpoint without a URL");
    if (bases.length === 1) return (this.#base = first);
    let failure: TscomposeError | undefined;
    for (const base of bases) {
      try {
        const answer = await this.#send({ method: "GET", path: new URL("v2/", base) }, undefined);
        this.#challenge ??= parseChallenge(answer.headers["www-authenticate"]);
        const wrongProtocol = base.protocol === "http:" && answer.statusCode === 400;
        answer.resume();
        if (!wrongProtocol) return (this.#base = base);
      } catch (error) {
        if (!isTscomposeError(error, "registry/unreachable") || isHopeless(error)) throw error;
        failure ??= error;
      }
    }
    throw (
      failure ?? new TscomposeError("registry/failed", `registry ${this.endpoint.host} answers neither http nor https`)
    );
  }

  async #authorized(request: SessionRequest): Promise<IncomingMessage> {
    if (this.#authorization === undefined || this.#authorization.expiresAtMs <= Date.now()) {
      if (this.#base === undefined) await this.base();
      if (this.#challenge !== undefined) await this.#logInOnce(this.#challenge);
    }
    const used = this.#authorization;
    const answer = await this.#follow(request, used?.header);
    if (answer.statusCode !== 401) return answer;
    const challenge = parseChallenge(answer.headers["www-authenticate"]);
    if (challenge === undefined || (challenge.scheme === "basic" && used !== undefined)) return answer;
    answer.resume();
    this.#challenge = challenge;
    // Another request may have logged in since this one was sent.
    if (this.#authorization === used) await this.#logInOnce(challenge);
    return this.#follow(request, this.#authorization?.header);
  }

  #logInOnce(challenge: Challenge): Promise<void> {
    this.#loggingIn ??= this.#logIn(challenge).finally(() => (this.#loggingIn = undefined));
    return this.#loggingIn;
  }

  async #logIn(challenge: Challenge): Promise<void> {
    const { credentials } = this.#options;
    if (credentials?.registrytoken !== undefined && credentials.registrytoken !== "") {
      this.#authorization = {
        header: `Bearer ${credentials.registrytoken}`,
        expiresAtMs: Infinity,
      };
    } else if (challenge.scheme === "bearer") {
      const token = await this.#fetchToken(challenge);
      this.#authorization = {
        header: `Bearer ${token.value}`,
        expiresAtMs: token.expiresAtMs,
      };
    } else if (hasCredentials(credentials)) {
      this.#authorization = {
        header: basicHeader(credentials ?? {}),
        expiresAtMs: Infinity,
      };
    }
  }

  async #fetchToken(challenge: Extract<Challenge, { readonly scheme: "bearer" }>): Promise<Token> {
    const { endpoint, credentials, scopes, signal, connections } = this.#options;
    const { host, hostname } = await this.base();
    const policy = {
      registryHost: hostname,
      insecure: endpoint.insecure,
      tokenHosts: endpoint.tokenHosts,
    };
    const { method, url, headers, body } = tokenRequest(challenge, scopes, {
      credentials,
      policy,
    });
    const answer = await connections.send({
      method,
      url,
      headers,
      ...(body === undefined ? {} : { body }),
      // Who we are is for the registry itself.
      tls: url.host === host ? endpoint.tls : { ...endpoint.tls, client: undefined },
      outerOnly: !isLoopbackHost(hostname),
      signal,
      firstByteMs: 15_000,
    });
    return readToken(answer, Date.now(), signal);
  }

  /** Follows redirects. The authorization stays with the host it was meant for. */
  async #follow(request: SessionRequest, authorization: string | undefined): Promise<IncomingMessage> {
    const { origin } = await this.base();
    let url = await this.resolve(request.path);
    for (let hops = 0; hops <= maxRedirects; hops++) {
      const answer = await this.#send({ ...request, path: url }, url.origin === origin ? authorization : undefined);
      const location = isRedirect(answer.statusCode) ? answer.headers.location : undefined;
      if (location === undefined || (request.method !== "GET" && request.method !== "HEAD")) return answer;
      answer.resume();
      url = checkRedirect(url, location);
    }
    throw new TscomposeError(
      "registry/failed",
      `registry ${this.endpoint.host} redirects more than ${maxRedirects} times`,
    );
  }

  async resolve(path: string | URL): Promise<URL> {
    const base = await this.base();
    return typeof path === "string" ? new URL(path, base) : path;
  }

  #send(request: SessionRequest & { readonly path: URL }, authorization: string | undefined): Promise<IncomingMessage> {
    const { endpoint, connections, signal } = this.#options;
    const { hostname } = endpoint.bases[0] ?? request.path;
    const own = endpoint.bases.some((base) => base.host === request.path.host);
    const body = request.body?.();
    return connections.send({
      method: request.method,
      url: request.path,
      headers: {
        ...request.headers,
        ...(authorization === undefined ? {} : { authorization }),
      },
      ...(body === undefined ? {} : { body }),
      tls: own
        ? endpoint.tls
        : {
            ca: undefined,
            client: undefined,
            unverified: endpoint.insecure && isLoopbackHost(request.path.hostname),
          },
      outerOnly: !own && !isLoopbackHost(hostname),
      signal,
      ...(request.firstByteMs === undefined ? {} : { firstByteMs: request.firstByteMs }),
    });
  }
}

function isRedirect(status: number | undefined): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

function checkRedirect(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from.href) : undefined;
  if (to === undefined || !/^https?:$/.test(to.protocol) || to.username !== "" || to.password !== "") {
    throw new TscomposeError(
      "registry/failed",
      `registry ${from.host} redirects to something that is no http(s) address: refused`,
    );
  }
  if (from.protocol === "https:" && to.protocol === "http:") {
    throw new TscomposeError(
      "registry/failed",
      `registry ${from.host} redirects from https to http (${to.host}): refused`,
    );
  }
  return to;
}

/** Names that do not exist and ports where nobody listens: trying again keeps the user waiting for nothing. */
function isHopeless(error: TscomposeError): boolean {
  const errno = String(error.details["errno"]);
  return (
    ["ENOTFOUND", "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"].includes(errno) ||
    /CERT|SELF_SIGNED|UNABLE_TO/.test(errno)
  );
}

function tooLongToWait(host: string, waitMs: number, status: number): TscomposeError {
  const seconds = Math.ceil(waitMs / 1000);
  return new TscomposeError(
    "registry/failed",
    `registry ${host} is busy (status ${status}) and asks to come back in ${seconds} seconds`,
    {
      hint: `try again in ${seconds} seconds, log in for a higher limit, or use a mirror`,
      details: { retryAfterSeconds: seconds },
    },
  );
}
