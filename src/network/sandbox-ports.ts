/** Published ports of sandboxes: claimed, translated, forwarded, given back. */
import { errorMessage } from "../errors.ts";
import type { UndoStack } from "../host/undo-stack.ts";
import type { NetworkContext } from "./context.ts";
import { forgetFlows } from "./forget-flows.ts";
import { releaseClaims } from "./ports/claim-ports.ts";
import { claimFor, noPorts, portTarget, requestsOf, rulesFor, startForwarders } from "./published-ports.ts";
import type { Sandbox } from "./sandbox.ts";
import type { SandboxState } from "./types.ts";

const portOwner = (sandbox: Sandbox): string => `ports:${sandbox.id}`;

export class SandboxPorts {
  readonly #context: NetworkContext;
  readonly #all: () => readonly Sandbox[];

  /** @param all the sandboxes of the engine, to name who holds a port */
  constructor(context: NetworkContext, all: () => readonly Sandbox[]) {
    this.#context = context;
    this.#all = all;
  }

  /** Starts with the firewall at once: its program runs while the links are made. */
  publish(sandbox: Sandbox, undo: UndoStack): Promise<void> {
    const target = portTarget(sandbox.endpoints.values());
    sandbox.published = claimFor(sandbox.request.ports, target, (protocol, port) => this.#portOwner(protocol, port));
    const { claims } = sandbox.published;
    undo.defer("ports", () => this.unpublish(sandbox));
    const rules = this.#context.firewall.set(portOwner(sandbox), rulesFor(claims, target));
    sandbox.forwarders = startForwarders(claims, target);
    forgetFlows(sandbox.published.bound);
    return rules;
  }

  async unpublish(sandbox: Sandbox): Promise<void> {
    const { forwarders, published } = sandbox;
    if (forwarders.length === 0) releaseClaims(published.claims);
    sandbox.forwarders = [];
    sandbox.published = noPorts;
    await Promise.all([this.#context.firewall.remove(portOwner(sandbox)), ...forwarders.map((one) => one.close())]);
    forgetFlows(published.bound);
  }

  #portOwner(protocol: string, port: number): string | undefined {
    const holder = this.#all().find(({ published }) =>
      published.bound.some((bound) => bound.protocol === protocol && bound.hostPort === port),
    );
    return holder === undefined ? undefined : `container ${holder.name}`;
  }

  /** Somebody may have taken a port while no engine held it: then the rules are what is left of it. */
  adopt(sandbox: Sandbox, state: SandboxState): void {
    const target = portTarget(sandbox.endpoints.values());
    const claims = requestsOf(state.ports).flatMap((request) => {
      try {
        return claimFor([request], target, () => undefined).claims;
      } catch (error) {
        this.#context.log("warn", `container ${sandbox.name}: ${errorMessage(error)}`);
        return [];
      }
    });
    sandbox.published = { claims, bound: state.ports };
    sandbox.forwarders = startForwarders(claims, target);
    this.#context.firewall.adopt(portOwner(sandbox), rulesFor(claims, target));
  }

  /** The ports follow the default route to another network. */
  async retarget(sandbox: Sandbox): Promise<void> {
    const target = portTarget(sandbox.endpoints.values());
    await this.#context.firewall.set(portOwner(sandbox), rulesFor(sandbox.published.claims, target));
  }
}
