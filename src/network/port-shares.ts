/** Host ports that several containers of one group publish: one socket holds the port, the firewall and the forwarder deal new clients
 *  out in turn. Containers that are unhealthy get none while there is a healthy one. */
import { createHash } from "node:crypto";
import type { Rule } from "./firewall/rules.ts";
import type { Address } from "./cidr.ts";
import { formatAddress } from "./cidr.ts";
import { forwardHeld, portTarget, rulesForHeld, targetOf } from "./published-ports.ts";
import type { Forwarder, Target } from "./ports/forwarder.ts";
import { holdPort, releasePort, type HeldPort, type HoldResult } from "./ports/held-port.ts";
import type { Sandbox } from "./sandbox.ts";
import type { PortRequest } from "./types.ts";

interface Share {
  readonly key: string;
  readonly group: string;
  readonly held: HeldPort;
  /** Sandbox id -> port of the container; those that hold it, members or not yet. */
  readonly users: Map<string, { readonly sandbox: Sandbox; readonly containerPort: number }>;
  readonly members: Set<string>;
  forwarder: Forwarder | undefined;
  turn: number;
}

/** Of one engine. */
export class PortShares {
  readonly #shares = new Map<string, Share>();
  readonly #byHeld = new Map<HeldPort, Share>();

  /** The port for this sandbox, with others of its group; "taken" when somebody else has it, or the sandbox itself.
   */
  hold(sandbox: Sandbox, request: PortRequest, at: { readonly address: Address; readonly group: string }): HoldResult {
    const { address, group } = at;
    const key = `${request.protocol} ${formatAddress(address)} ${request.hostPort}`;
    const user = { sandbox, containerPort: request.containerPort };
    const found = this.#shares.get(key);
    if (found !== undefined) {
      if (found.group !== group || found.users.has(sandbox.id)) return "taken";
      found.users.set(sandbox.id, user);
      return found.held;
    }
    const held = holdPort(request.protocol, address, request.hostPort);
    if (typeof held === "string") return held;
    const users = new Map([[sandbox.id, user]]);
    const share: Share = { key, group, held, users, members: new Set(), forwarder: undefined, turn: 0 };
    this.#shares.set(key, share);
    this.#byHeld.set(held, share);
    return held;
  }

  isShared(held: HeldPort): boolean {
    return this.#byHeld.has(held);
  }
  /** Whether others have it too. */
  hasOthers(held: HeldPort): boolean {
    return (this.#byHeld.get(held)?.users.size ?? 0) > 1;
  }

  /** Clients come from now on, once `rules` of it are in force. */
  join(sandbox: Sandbox, held: HeldPort): void {
    const share = this.#byHeld.get(held);
    if (share === undefined) return;
    share.members.add(sandbox.id);
    share.forwarder ??= forwardHeld(held, () => next(share));
  }

  /** @returns what is to be awaited until the port is free, where nobody has it any more */
  async leave(sandbox: Sandbox, held: HeldPort): Promise<void> {
    const share = this.#byHeld.get(held);
    if (share === undefined || !share.users.delete(sandbox.id)) return;
    share.members.delete(sandbox.id);
    this.forget(sandbox, held);
    if (share.users.size > 0) return;
    this.#shares.delete(share.key);
    this.#byHeld.delete(held);
    if (share.forwarder === undefined) releasePort(held);
    else await share.forwarder.close();
  }

  /** UDP clients that were sent to this sandbox go elsewhere. */
  forget(sandbox: Sandbox, held: HeldPort): void {
    const forwarder = this.#byHeld.get(held)?.forwarder;
    const target = portTarget(sandbox.endpoints.values());
    for (const address of [target.ipv4?.state.ipv4?.address, target.ipv6?.state.ipv6?.address]) {
      if (address !== undefined) forwarder?.forget(address);
    }
  }

  /** For the firewall: each share is an owner of rules. */
  rules(held: readonly HeldPort[]): readonly (readonly [owner: string, rules: readonly Rule[]])[] {
    return held.flatMap((one) => {
      const share = this.#byHeld.get(one);
      return share === undefined ? [] : [[ownerOf(share.key), rulesOf(share)] as const];
    });
  }

  /** Owners of the rules of these ports, also when the last user has gone. */
  owners(held: readonly HeldPort[]): readonly string[] {
    return held.flatMap((one) => {
      const share = this.#byHeld.get(one);
      return share === undefined ? [] : [ownerOf(share.key)];
    });
  }

  async close(): Promise<void> {
    const shares = [...this.#shares.values()];
    this.#shares.clear();
    this.#byHeld.clear();
    for (const { forwarder, held } of shares) {
      if (forwarder === undefined) releasePort(held);
      else await forwarder.close();
    }
  }
}

const ownerOf = (key: string): string => `share:${key}`;

/** In an order that does not depend on who came first. */
function eligible(share: Share): readonly { readonly sandbox: Sandbox; readonly containerPort: number }[] {
  const all = [...share.users.values()]
    .filter(({ sandbox }) => share.members.has(sandbox.id))
    .toSorted((a, b) => (a.sandbox.id < b.sandbox.id ? -1 : 1));
  const healthy = all.filter(({ sandbox }) => sandbox.healthy);
  return healthy.length > 0 ? healthy : all;
}

function next(share: Share): Target | undefined {
  const targets = eligible(share).flatMap(
    ({ sandbox, containerPort }) => targetOf(share.held, containerPort, portTarget(sandbox.endpoints.values())) ?? [],
  );
  share.turn += 1;
  return targets[share.turn % targets.length];
}

function rulesOf(share: Share): readonly Rule[] {
  const targets = eligible(share)
    .map(({ sandbox, containerPort }) => ({ containerPort, target: portTarget(sandbox.endpoints.values()) }))
    .filter(({ containerPort, target }) => rulesForHeld(share.held, { containerPort, target }).length > 0);
  if (targets.length === 0) return [];
  const plain = targets.map((one) => rulesForHeld(share.held, one));
  if (plain.length === 1) return plain[0] ?? [];
  const mark = `t${createHash("sha256").update(JSON.stringify(plain)).digest("hex").slice(0, 12)}`;
  const rules = targets.flatMap((one, index) =>
    rulesForHeld(share.held, { ...one, turn: { every: targets.length - index, mark } }),
  );
  return [...new Map(rules.map((rule) => [`${rule.table} ${rule.chain} ${rule.spec}`, rule])).values()];
}
