/** Clients attached to containers: those that run and those that will. */
import type { Inotify } from "../../host/inotify.ts";
import type { Poller } from "../../host/poller.ts";
import type { Container } from "../containers/container.ts";
import type { OutputChunk, StdioSession } from "../engine.ts";
import { containerAttributes, type PublishEvent } from "../events.ts";
import { MonitorLine } from "./attach-line.ts";
import { AttachSession } from "./attach-session.ts";
import { containerLogs } from "./container-logs.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { resizeContainer } from "./resize-container.ts";

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly logs: boolean;
  readonly stream: boolean;
  readonly detachKeys: string | undefined;
}

export interface AttachmentsOptions {
  readonly poller: Poller;
  readonly inotify: Inotify;
  readonly publish: PublishEvent;
}

export class Attachments {
  readonly #options: AttachmentsOptions;
  readonly #lines = new Map<string, MonitorLine>();

  constructor(options: AttachmentsOptions) {
    this.#options = options;
  }

  /** To a container that does not run the client stays attached until it does. @throws request/invalid for bad detach keys */
  attach(container: Container, options: AttachOptions): StdioSession {
    const detachKeys = parseDetachKeys(options.detachKeys);
    const session = this.#session(container, options, detachKeys);
    this.#publish(container, "attach");
    if (!options.logs && options.stream) return session;
    const stop = new AbortController();
    return withOutput(session, this.#history(container, options, { session, signal: stop.signal }), stop);
  }

  /** The container's monitor listens and its process waits: clients that came early are connected, so that they miss nothing. */
  connectPending(container: Container): void {
    this.#lines.get(container.id)?.connect(container.paths.attachSocket, this.#options.poller);
  }

  /** The container has ended, or could not be started: delivers what came until then and ends the streams. Call it before anybody
   *  is told of the end. */
  ended(container: Container): void {
    this.#lines.get(container.id)?.end();
    this.#lines.delete(container.id);
  }

  /** Sets the size of the container's terminal. @throws container/wrong-status, request/invalid */
  resize(container: Container, height: number, width: number): void {
    resizeContainer(container, height, width);
    const attributes = containerAttributes(container.record, { height: String(height), width: String(width) });
    this.#options.publish({ type: "container", action: "resize", id: container.id, attributes });
  }

  close(): void {
    for (const line of this.#lines.values()) line.end();
    this.#lines.clear();
  }

  #session(container: Container, options: AttachOptions, detachKeys: readonly number[]): AttachSession {
    const { config } = container.record;
    // What the log delivers must not come over the connection as well.
    const live = options.stream && !options.logs;
    const line = this.#line(container);
    const wishes = {
      tty: config.Tty === true,
      stdin: options.stdin && config.OpenStdin === true,
      stdout: live && options.stdout,
      stderr: live && options.stderr,
      stdinOnce: config.StdinOnce === true,
      detachKeys,
      onDetachKeys: () => this.#publish(container, "detach"),
    };
    const session = new AttachSession(wishes, line);
    line.add(session);
    if (container.alive) line.connect(container.paths.attachSocket, this.#options.poller);
    return session;
  }

  #line(container: Container): MonitorLine {
    const existing = this.#lines.get(container.id);
    if (existing !== undefined && !existing.over) return existing;
    const { OpenStdin, StdinOnce } = container.record.config;
    const line = new MonitorLine(OpenStdin === true && StdinOnce === true);
    this.#lines.set(container.id, line);
    return line;
  }

  /** What was written so far and, with `stream`, what follows. */
  async *#history(
    container: Container,
    options: AttachOptions,
    { session, signal }: { readonly session: AttachSession; readonly signal: AbortSignal },
  ): AsyncGenerator<OutputChunk, void, undefined> {
    const { stdout, stderr, stream } = options;
    const wanted = { stdout, stderr, follow: stream, timestamps: false, sinceNs: undefined, untilNs: undefined };
    try {
      if (options.logs)
        yield* containerLogs(container, { ...wanted, tail: undefined }, { inotify: this.#options.inotify, signal })
          .chunks;
    } finally {
      session.detach();
    }
  }

  #publish(container: Container, action: "attach" | "detach"): void {
    const attributes = containerAttributes(container.record);
    this.#options.publish({ type: "container", action, id: container.id, attributes });
  }
}

function withOutput(session: AttachSession, output: AsyncIterable<OutputChunk>, stop: AbortController): StdioSession {
  return {
    tty: session.tty,
    output,
    writeStdin: (data) => session.writeStdin(data),
    endStdin: () => session.endStdin(),
    detach: () => {
      stop.abort();
      session.detach();
    },
  };
}
