/** The network of one container while it runs. State only; `sandboxes.ts` does things with it. */
import { closeSync, openSync } from "node:fs";
import type { DnsServer } from "./dns/server.ts";
import type { Endpoint } from "./plan-endpoint.ts";
import type { Forwarder } from "./ports/forwarder.ts";
import { noPorts, type PublishedPorts } from "./published-ports.ts";
import type { SandboxRequest } from "./types.ts";

export class Sandbox {
  readonly request: SandboxRequest;
  /** A descriptor of its own: the caller may close the one it gave. */
  readonly netns: number;
  /** By network id, in the order in which they were joined. */
  readonly endpoints = new Map<string, Endpoint>();
  /** Without a slash. */
  name: string;
  healthy = true;
  published: PublishedPorts = noPorts;
  forwarders: readonly Forwarder[] = [];
  dns: DnsServer | undefined;
  #closed = false;

  constructor(request: SandboxRequest) {
    this.request = request;
    this.name = request.containerName;
    this.netns = openSync(`/proc/self/fd/${request.netnsFd}`, "r");
  }

  get id(): string {
    return this.request.containerId;
  }

  /** Lets go of the namespace. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.netns);
  }
}
