/** Damage from outside, noticed and repaired: rules that were flushed, bridges and links that were deleted, addresses that were taken
 *  away. While rules are missing our bridges forward nothing, so what is kept apart stays apart. */
import { errorMessage } from "../errors.ts";
import { countChainUses } from "../host/nft-chains.ts";
import { watchKernel, type KernelNotice } from "../host/netlink-watch.ts";
import { Poller } from "../host/poller.ts";
import { writeSysctlIfPresent } from "../host/sysctl.ts";
import type { NetworkContext } from "./context.ts";
import { chainName, type Chain, type Table } from "./firewall/rules.ts";
import type { LiveNetwork } from "./live-network.ts";
import { bridgePrefix, vethPrefix } from "./names.ts";
import type { NetworkRegistry } from "./network-registry.ts";
import type { Sandboxes } from "./sandboxes.ts";

/** Two looks at all the rules are at least this far apart, however often others change theirs. */
const checkIntervalMs = 500;
/** For the iptables backend that gives no notice. */
const pollIntervalMs = 1000;
const linkDelayMs = 20;
const watched: readonly { readonly table: Table; readonly chain: Chain; readonly jumps: number }[] = [
  { table: "raw", chain: "RAW", jumps: 1 },
  { table: "filter", chain: "FWD", jumps: 1 },
  { table: "filter", chain: "IN", jumps: 1 },
  { table: "nat", chain: "DNAT", jumps: 2 },
];

export class Guard {
  readonly #context: NetworkContext;
  readonly #registry: NetworkRegistry;
  readonly #sandboxes: Sandboxes;
  readonly #givenPoller: Poller | undefined;
  #ownPoller: Poller | undefined;
  #stop: (() => void) | undefined;
  #checkTimer: NodeJS.Timeout | undefined;
  #linkTimer: NodeJS.Timeout | undefined;
  #pollTimer: NodeJS.Timeout | undefined;
  #lastCheck = Number.NEGATIVE_INFINITY;
  #closed = false;
  /** Bridges forward nothing until the rules are whole. */
  #shut = false;

  constructor(
    context: NetworkContext,
    parts: { readonly registry: NetworkRegistry; readonly sandboxes: Sandboxes; readonly poller: Poller | undefined },
  ) {
    this.#context = context;
    this.#registry = parts.registry;
    this.#sandboxes = parts.sandboxes;
    this.#givenPoller = parts.poller;
    context.firewall.onActive((active) => (active ? this.#start() : this.#halt()));
  }

  #start(): void {
    if (this.#stop !== undefined || this.#closed) return;
    const poller = this.#givenPoller ?? (this.#ownPoller ??= new Poller());
    this.#stop = watchKernel(poller, (notice) => this.#notice(notice));
    if (this.#uses(4)[1] === undefined && this.#uses(6)[1] === undefined) {
      this.#pollTimer = setInterval(() => this.#checkSoon(), pollIntervalMs).unref();
    }
  }

  /** Nothing of ours is in the kernel: there is nothing to guard. */
  #halt(): void {
    this.#stop?.();
    this.#stop = undefined;
    clearTimeout(this.#checkTimer);
    clearTimeout(this.#linkTimer);
    clearInterval(this.#pollTimer);
    this.#checkTimer = undefined;
    this.#linkTimer = undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#halt();
    await this.#ownPoller?.close();
  }

  #notice(notice: KernelNotice): void {
    switch (notice.kind) {
      case "rules-changed":
        return this.#rulesChanged(notice.program);
      case "overrun":
        this.#checkSoon();
        return this.#repairLinksSoon();
      case "link-gone":
        if (this.#isOurs(notice.link.name)) this.#repairLinksSoon();
        return;
      case "link-changed":
        if (this.#isBridge(notice.link.name) && !notice.link.up) this.#repairLinksSoon();
        return;
      case "address-gone":
        return this.#repairLinksSoon();
    }
  }

  #isBridge(name: string): boolean {
    return name !== "" && this.#registry.all().some(({ record }) => record.bridgeName === name);
  }
  #isOurs(name: string): boolean {
    const { tag } = this.#context;
    return name.startsWith(bridgePrefix(tag)) || name.startsWith(vethPrefix(tag)) || this.#isBridge(name);
  }

  /** Takes some 0.3 ms, so that bridges are closed before the next packets rather than after a program has run. */
  #rulesChanged(program: string): void {
    const { firewall } = this.#context;
    if (firewall.busy) return;
    const damaged = ([4, 6] as const).some((family) => {
      const wanted = firewall.chainSizes(family, watched);
      const found = this.#uses(family);
      // A chain is jumped to once, except for nat, which local and foreign packets enter by two ways; each jump is one use.
      return wanted?.some((rules, index) => found[index] !== rules + (watched[index]?.jumps ?? 1)) === true;
    });
    if (damaged) {
      this.#setForwarding("0");
      this.#shut = true;
      this.#lastCheck = Number.NEGATIVE_INFINITY;
    } else if (/^ip6?tables-re/.test(program)) {
      return; // most likely this engine's own change, which is told of a moment after it was made
    }
    this.#checkSoon();
  }

  #uses(family: 4 | 6): readonly (number | undefined)[] {
    const { tag } = this.#context;
    const chains = watched.map(({ table, chain }) => ({ table, chain: chainName(tag, chain) }));
    return countChainUses(family === 4 ? "ip" : "ip6", chains);
  }

  #setForwarding(value: "0" | "1"): void {
    for (const network of this.#ready()) {
      writeSysctlIfPresent(`net/ipv4/conf/${network.record.bridgeName}/forwarding`, value);
      if (network.record.enableIpv6) {
        writeSysctlIfPresent(`net/ipv6/conf/${network.record.bridgeName}/forwarding`, value);
      }
    }
  }

  #ready(): readonly LiveNetwork[] {
    return this.#registry.all().filter((network) => this.#registry.isReady(network));
  }

  #checkSoon(): void {
    if (this.#checkTimer !== undefined) {
      if (Number.isFinite(this.#lastCheck)) return;
      clearTimeout(this.#checkTimer);
    }
    const wait = Math.max(0, this.#lastCheck + checkIntervalMs - performance.now());
    this.#checkTimer = setTimeout(() => void this.#check(), wait).unref();
  }

  async #check(): Promise<void> {
    this.#checkTimer = undefined;
    this.#lastCheck = performance.now();
    try {
      const repaired = await this.#context.firewall.check();
      if (repaired) this.#context.log("warn", "firewall rules were changed by somebody else and have been repaired");
    } catch (error) {
      this.#context.log("error", `firewall rules could not be repaired: ${errorMessage(error)}`);
      return;
    }
    if (this.#shut) this.#setForwarding("1");
    this.#shut = false;
  }

  #repairLinksSoon(): void {
    this.#linkTimer ??= setTimeout(() => this.#repairLinks(), linkDelayMs).unref();
  }

  #repairLinks(): void {
    this.#linkTimer = undefined;
    try {
      for (const network of this.#ready()) {
        if (this.#registry.isDamaged(network)) {
          this.#registry.repairBridge(network);
          this.#context.log("warn", `the bridge of network ${network.name} was damaged and has been made again`);
        }
      }
      this.#sandboxes.repairLinks();
    } catch (error) {
      this.#context.log("error", `networks could not be repaired: ${errorMessage(error)}`);
      this.#repairLinksLater();
    }
  }

  #repairLinksLater(): void {
    this.#linkTimer ??= setTimeout(() => this.#repairLinks(), pollIntervalMs).unref();
  }
}
