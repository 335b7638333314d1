/** The sessions that clients hold open (`POST /session`): by them the engine asks a client for files, secrets, credentials. */
import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import { TscomposeError } from "../../errors.ts";
import { GrpcClient } from "./grpc/client.ts";

const prefix = "x-docker-expose-session-";
/** How long a build waits for the session that it names: the two come on connections of their own. */
const patienceMs = 6000;

export interface Session {
  readonly id: string;
  readonly client: GrpcClient;
  /** What stands for the client's folder in later builds. */
  readonly sharedKey: string;
  /** Fires when the client has gone. */
  readonly signal: AbortSignal;
  offers(method: string): boolean;
}

export class Sessions {
  readonly #open = new Map<string, Session>();
  readonly #waiting = new Map<string, Set<(session: Session) => void>>();

  /** @throws request/invalid, request/conflict before the connection is taken over */
  check(headers: IncomingHttpHeaders): string {
    const id = headers[`${prefix}uuid`];
    if (typeof id !== "string" || !/^[A-Za-z0-9_-]{1,128}$/.test(id))
      throw new TscomposeError("request/invalid", "the session has no id", {
        hint: `send it in the header ${prefix}uuid`,
      });
    if (this.#open.has(id)) throw new TscomposeError("request/conflict", `session ${id} exists already`);
    return id;
  }

  /** Settles when the client has gone. */
  async serve(id: string, headers: IncomingHttpHeaders, socket: Duplex): Promise<void> {
    const client = new GrpcClient(socket);
    const gone = new AbortController();
    const methods = new Set(String(headers[`${prefix}grpc-method`] ?? "").split(/,\s*/));
    const session: Session = {
      id,
      client,
      sharedKey: String(headers[`${prefix}sharedkey`] ?? ""),
      signal: gone.signal,
      offers: (method) => methods.has(method),
    };
    this.#open.set(id, session);
    for (const tell of this.#waiting.get(id) ?? []) tell(session);
    try {
      await client.closed;
    } finally {
      this.#open.delete(id);
      gone.abort(new TscomposeError("aborted", "the client has gone"));
    }
  }

  /** @throws request/not-found where it does not come */
  async get(id: string, signal: AbortSignal): Promise<Session> {
    const open = this.#open.get(id);
    if (open !== undefined) return open;
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting);
    return await new Promise((resolve, reject) => {
      const settle = (session: Session | undefined): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", giveUp);
        waiting.delete(settle);
        if (waiting.size === 0) this.#waiting.delete(id);
        if (session !== undefined) resolve(session);
        else reject(new TscomposeError("request/not-found", `no active session for ${id}`));
      };
      const giveUp = (): void => settle(undefined);
      const timer = setTimeout(giveUp, patienceMs);
      signal.addEventListener("abort", giveUp);
      waiting.add(settle);
    });
  }
}
