/** Published ports of sandboxes: claimed, translated, forwarded, given back. */
import { errorMessage } from "../errors.ts";
import type { UndoStack } from "../host/undo-stack.ts";
import { parseAddress, type Address } from "./cidr.ts";
import type { NetworkContext } from "./context.ts";
import type { Rule } from "./firewall/rules.ts";
import { forgetFlows } from "./forget-flows.ts";
import { checkHostAccess, hostAccessOwner, rulesForHostAccess } from "./host-access.ts";
import { PortShares } from "./port-shares.ts";
import { anyIpv4, anyIpv6, type ClaimedPort, type PortHolder } from "./ports/claim-ports.ts";
import { holdPort, releasePort, type HeldPort } from "./ports/held-port.ts";
import {
  claimFor,
  forwardHeld,
  noPorts,
  portTarget,
  requestsOf,
  rulesForHeld,
  targetOf,
  type PortTarget,
} from "./published-ports.ts";
import type { Sandbox } from "./sandbox.ts";
import type { SandboxState } from "./types.ts";

const portOwner = (sandbox: Sandbox): string => `ports:${sandbox.id}`;
const heldBy = (sandbox: Sandbox): readonly HeldPort[] => sandbox.published.claims.flatMap(({ held }) => held);

export class SandboxPorts {
  readonly #context: NetworkContext;
  readonly #all: () => readonly Sandbox[];
  readonly #shares = new PortShares();
  readonly #anyAddresses: readonly Address[];

  /** @param all the sandboxes of the engine, to name who holds a port */
  constructor(context: NetworkContext, all: () => readonly Sandbox[]) {
    this.#context = context;
    this.#all = all;
    const given = context.publishAddresses.flatMap((text) => parseAddress(text) ?? []);
    this.#anyAddresses = given.length === 0 ? [anyIpv4, anyIpv6] : given;
  }

  /** Starts with the firewall at once: its program runs while the links are made. */
  publish(sandbox: Sandbox, undo: UndoStack): Promise<void> {
    const target = portTarget(sandbox.endpoints.values());
    sandbox.published = claimFor(sandbox.request.ports, target, this.#holder(sandbox));
    undo.defer("ports", () => this.unpublish(sandbox));
    checkHostAccess(sandbox);
    this.#forward(sandbox);
    this.#tellAccess(sandbox);
    const rules = this.#context.firewall.setAll(this.#rules(sandbox, target));
    // Those of a port that others serve already stay with them.
    if (!heldBy(sandbox).some((held) => this.#shares.hasOthers(held))) forgetFlows(sandbox.published.bound);
    return rules;
  }

  /** Ports that one fixed number was asked for are shared in a group; of a range each takes the next, as with Docker. */
  #holder(sandbox: Sandbox): PortHolder {
    const group = sandbox.request.publishGroup ?? "";
    return {
      anyAddresses: this.#anyAddresses,
      ownerOf: (protocol, port) => this.#ownerOf(protocol, port),
      hold: (request, address, port) => {
        const fixed = request.hostPort !== 0 && request.hostPort === request.hostPortEnd;
        return group !== "" && fixed && request.exclusive !== true
          ? this.#shares.hold(sandbox, request, { address, group })
          : holdPort(request.protocol, address, port);
      },
      release: (held) => {
        if (this.#shares.isShared(held)) void this.#shares.leave(sandbox, held);
        else releasePort(held);
      },
    };
  }

  #forward(sandbox: Sandbox): void {
    sandbox.forwarders = sandbox.published.claims.flatMap(({ request, held }) =>
      held.flatMap((one) => {
        if (this.#shares.isShared(one)) {
          this.#shares.join(sandbox, one);
          return [];
        }
        return (
          forwardHeld(one, () => targetOf(one, request.containerPort, portTarget(sandbox.endpoints.values()))) ?? []
        );
      }),
    );
  }

  #rules(sandbox: Sandbox, target: PortTarget): readonly (readonly [owner: string, rules: readonly Rule[]])[] {
    const own = sandbox.published.claims.flatMap((claim) => this.#ownRules(claim, target));
    const access = [hostAccessOwner(sandbox), rulesForHostAccess(sandbox)] as const;
    return [[portOwner(sandbox), own], access, ...this.#shares.rules(heldBy(sandbox))];
  }

  #tellAccess({ name, request }: Sandbox): void {
    const ports = (request.hostAccess ?? []).map(({ port, protocol }) => `${port}/${protocol}`);
    if (ports.length > 0)
      this.#context.log("info", `container ${name} may reach 127.0.0.1 of this host: ${ports.join(", ")}`);
  }

  #ownRules({ request, held }: ClaimedPort, target: PortTarget): readonly Rule[] {
    return held
      .filter((one) => !this.#shares.isShared(one))
      .flatMap((one) => rulesForHeld(one, { containerPort: request.containerPort, target }));
  }

  async unpublish(sandbox: Sandbox): Promise<void> {
    const { forwarders, published } = sandbox;
    const held = heldBy(sandbox);
    const shared = held.filter((one) => this.#shares.isShared(one));
    const owners = this.#shares.owners(shared);
    const closing = [...shared.map((one) => this.#shares.leave(sandbox, one)), ...forwarders.map((one) => one.close())];
    const left = new Map(this.#shares.rules(shared));
    sandbox.forwarders = [];
    sandbox.published = noPorts;
    await Promise.all([
      this.#context.firewall.setAll([
        [portOwner(sandbox), []],
        [hostAccessOwner(sandbox), []],
        ...owners.map((owner) => [owner, left.get(owner) ?? []] as const),
      ]),
      ...closing,
    ]);
    forgetFlows(published.bound);
  }

  #ownerOf(protocol: string, port: number): string | undefined {
    const holder = this.#all().find(({ published }) =>
      published.bound.some((bound) => bound.protocol === protocol && bound.hostPort === port),
    );
    return holder === undefined ? undefined : `container ${holder.name}`;
  }

  /** Somebody may have taken a port while no engine held it: then the rules are what is left of it. */
  adopt(sandbox: Sandbox, state: SandboxState): void {
    const target = portTarget(sandbox.endpoints.values());
    const holder = this.#holder(sandbox);
    const claims = requestsOf(state.ports).flatMap((request) => {
      try {
        return claimFor([request], target, holder).claims;
      } catch (error) {
        this.#context.log("warn", `container ${sandbox.name}: ${errorMessage(error)}`);
        return [];
      }
    });
    sandbox.published = { claims, bound: state.ports };
    this.#forward(sandbox);
    for (const [owner, rules] of this.#rules(sandbox, target)) this.#context.firewall.adopt(owner, rules);
  }

  /** The ports follow the default route to another network. */
  async retarget(sandbox: Sandbox): Promise<void> {
    await this.#context.firewall.setAll(this.#rules(sandbox, portTarget(sandbox.endpoints.values())));
  }

  /** It became healthy or unhealthy: others of its group take its clients, or give some back. */
  async reconsider(sandbox: Sandbox): Promise<void> {
    const shared = heldBy(sandbox).filter((one) => this.#shares.isShared(one));
    if (shared.length === 0) return;
    await this.#context.firewall.setAll(this.#shares.rules(shared));
    if (sandbox.healthy) return;
    for (const held of shared) this.#shares.forget(sandbox, held);
    forgetFlows(sandbox.published.bound);
  }

  async close(): Promise<void> {
    await this.#shares.close();
  }
}
