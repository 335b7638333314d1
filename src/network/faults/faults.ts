/** Network faults of one engine: recorded, put in force for the containers that are there and for those that come, taken back.
 *  Between networks and through published ports the firewall's CUT chain drops; inside a network, which the firewall may not see, the
 *  programs on the containers' links do. */
import { randomBytes } from "node:crypto";
import { errorMessage, TscomposeError } from "../../errors.ts";
import type { NetworkFault, NetworkFaultBody } from "../../engine/types.ts";
import { formatNanoseconds, realtimeNs } from "../../host/clock.ts";
import { filterPort, hostLinkOf } from "../attach.ts";
import { formatAddress, parseAddress, type Address } from "../cidr.ts";
import type { NetworkContext } from "../context.ts";
import type { Rule } from "../firewall/rules.ts";
import type { EngineTag } from "../names.ts";
import type { Sandbox } from "../sandbox.ts";
import { checkFault, faultName, isOnSide, type FaultRecord, type FaultStore } from "./fault-record.ts";

const ownerOf = (id: string): string => `fault:${id}`;
const nothing = JSON.stringify({ cut: false, blocked: [] });

export class Faults {
  readonly #context: NetworkContext;
  readonly #store: FaultStore;
  readonly #sandboxes: () => readonly Sandbox[];
  readonly #records = new Map<string, FaultRecord>();
  /** Host's end of a link -> what is in force on it, where that is not nothing. */
  readonly #inForce = new Map<string, string>();
  /** Owners that have rules. */
  readonly #owners = new Set<string>();

  constructor(context: NetworkContext, store: FaultStore, sandboxes: () => readonly Sandbox[]) {
    this.#context = context;
    this.#store = store;
    this.#sandboxes = sandboxes;
    for (const record of store.load((message) => context.log("warn", message))) this.#records.set(record.id, record);
  }

  list(): readonly NetworkFault[] {
    return [...this.#records.values()]
      .toSorted((a, b) => (a.created < b.created ? -1 : 1))
      .map((record) => this.#describe(record));
  }

  /** @throws network/invalid; network/name-in-use when the same is in force already */
  async create(body: NetworkFaultBody): Promise<NetworkFault> {
    checkFault(body);
    const key = sidesKey(body);
    const same = [...this.#records.values()].find((one) => sidesKey(one) === key);
    if (same !== undefined) {
      throw new TscomposeError("network/name-in-use", `${faultName(body)} is ${participle(body)} already`, {
        details: { id: same.id },
        hint: "`tscompose net ls` shows it, `tscompose net heal` ends it",
      });
    }
    const record: FaultRecord = {
      version: 1,
      id: randomBytes(6).toString("hex"),
      created: formatNanoseconds(realtimeNs()),
      Kind: body.Kind,
      Sides: body.Sides.map(({ Name, Labels }) => ({ Name, Labels })),
      Labels: body.Labels ?? {},
    };
    this.#store.save(record);
    this.#records.set(record.id, record);
    try {
      await this.apply();
    } catch (error) {
      await this.remove(record.id).catch((second: unknown) => this.#context.log("error", errorMessage(second)));
      throw error;
    }
    const fault = this.#describe(record);
    this.#context.log(
      "info",
      `network fault ${record.id}: ${faultName(record)} ${participle(record)}: ${namesOf(fault)}`,
    );
    return fault;
  }

  /** @throws network/not-found */
  async remove(id: string): Promise<NetworkFault> {
    const record = this.#records.get(id);
    if (record === undefined) throw new TscomposeError("network/not-found", `network fault ${id} not found`);
    const fault = this.#describe(record);
    this.#records.delete(id);
    try {
      await this.apply();
    } catch (error) {
      this.#records.set(id, record);
      throw error;
    }
    this.#store.remove(id); // last: a fault that is in force has a record
    this.#context.log("info", `network fault ${id}: ${faultName(record)} healed`);
    return fault;
  }

  /** What a container suffers, for people: `cut off`, `partitioned from db`. */
  of(containerId: string): readonly string[] {
    if (this.#records.size === 0) return [];
    const sandbox = this.#sandboxes().find(({ id }) => id === containerId);
    if (sandbox === undefined) return [];
    return [...this.#records.values()].flatMap((record) => {
      const sides = sidesOf(record, sandbox);
      if (record.Kind === "cut") return sides.length > 0 ? ["cut off"] : [];
      return sides.map((side) => `partitioned from ${record.Sides[1 - side]?.Name ?? ""}`);
    });
  }

  /** After an engine restart, before rules are compared: what is in force is meant to be. */
  adopt(): void {
    for (const record of this.#records.values()) {
      this.#context.log("warn", `${faultName(record)}: ${participle(record)} on purpose since ${record.created}`);
      const rules = this.#rulesOf(record);
      if (rules.length > 0) this.#owners.add(ownerOf(record.id));
      this.#context.firewall.adopt(ownerOf(record.id), rules);
    }
  }

  /** Links were made again: nothing is in force on them. */
  relinked(): void {
    this.#inForce.clear();
  }

  /** Brings the kernel to what the records say for the containers that are there. Costs nothing without faults.
   *  @throws host/command-failed, host/syscall-failed */
  async apply(): Promise<void> {
    if (this.#records.size === 0 && this.#inForce.size === 0 && this.#owners.size === 0) return;
    const sandboxes = this.#sandboxes();
    const links = new Set(sandboxes.flatMap((one) => linksOf(this.#context.tag, one)));
    for (const link of this.#inForce.keys()) if (!links.has(link)) this.#inForce.delete(link);
    for (const sandbox of sandboxes) this.#applyToLinks(sandbox);
    const changes = new Map<string, readonly Rule[]>([...this.#owners].map((owner) => [owner, []]));
    for (const record of this.#records.values()) changes.set(ownerOf(record.id), this.#rulesOf(record));
    for (const [owner, rules] of changes) {
      if (rules.length === 0) this.#owners.delete(owner);
      else this.#owners.add(owner);
    }
    await this.#context.firewall.setAll([...changes]);
  }

  #applyToLinks(sandbox: Sandbox): void {
    const wanted = { cut: this.#isCut(sandbox), blocked: this.#blockedFor(sandbox).map(formatAddress) };
    const key = JSON.stringify(wanted);
    for (const endpoint of sandbox.endpoints.values()) {
      const link = hostLinkOf(this.#context.tag, endpoint);
      const before = link === undefined ? nothing : (this.#inForce.get(link) ?? nothing);
      if (link === undefined || before === key) continue;
      this.#inForce.set(link, key);
      filterPort(this.#context, endpoint, {
        link,
        cut: wanted.cut,
        blocked: wanted.blocked.flatMap((text) => parseAddress(text) ?? []),
      });
      if (key === nothing) this.#inForce.delete(link);
    }
  }

  #isCut(sandbox: Sandbox): boolean {
    return [...this.#records.values()].some((record) => record.Kind === "cut" && sidesOf(record, sandbox).length > 0);
  }

  /** Addresses of the other sides. A container that is on both sides keeps to itself. */
  #blockedFor(sandbox: Sandbox): readonly Address[] {
    const others = new Set<Sandbox>();
    for (const record of this.#records.values()) {
      if (record.Kind !== "partition") continue;
      for (const side of sidesOf(record, sandbox)) {
        for (const other of this.#sandboxes()) {
          if (other !== sandbox && sidesOf(record, other).includes(1 - side)) others.add(other);
        }
      }
    }
    return [...others].flatMap(addressesOf).toSorted((a, b) => (a.value < b.value ? -1 : 1));
  }

  #rulesOf(record: FaultRecord): readonly Rule[] {
    const [near = [], far = []] = record.Sides.map((_, side) =>
      this.#sandboxes().filter((one) => sidesOf(record, one).includes(side)),
    );
    if (record.Kind === "cut") {
      return near
        .flatMap(addressesOf)
        .flatMap((address) => [
          drop(address.family, `-s ${host(address)}`),
          drop(address.family, `-d ${host(address)}`),
        ]);
    }
    const pairs = near.flatMap((a) => far.filter((b) => b !== a).map((b) => [a, b] as const));
    const rules = pairs.flatMap(([a, b]) =>
      addressesOf(a).flatMap((from) =>
        addressesOf(b)
          .filter(({ family }) => family === from.family)
          .flatMap((to) => [
            drop(from.family, `-s ${host(from)} -d ${host(to)}`),
            drop(from.family, `-s ${host(to)} -d ${host(from)}`),
          ]),
      ),
    );
    return [...new Map(rules.map((rule) => [`${rule.family} ${rule.spec}`, rule])).values()];
  }

  #describe(record: FaultRecord): NetworkFault {
    const sides = record.Sides.map((_, side) => this.#sandboxes().filter((one) => sidesOf(record, one).includes(side)));
    const odd = sides
      .flat()
      .flatMap(({ name, endpoints }) =>
        [...endpoints.values()].flatMap(({ network }) =>
          network.record.driver === "bridge"
            ? []
            : [`container ${name} still has network ${network.name} (${network.record.driver})`],
        ),
      );
    return {
      Id: record.id,
      Created: record.created,
      Kind: record.Kind,
      Sides: record.Sides,
      Labels: record.Labels ?? {},
      Containers: sides.map((side) => side.map(({ name }) => name).toSorted()),
      Warnings: odd,
    };
  }
}

const drop = (family: 4 | 6, match: string): Rule => ({
  family,
  table: "filter",
  chain: "CUT",
  spec: `${match} -j DROP`,
});
const host = (address: Address): string => `${formatAddress(address)}/${address.family === 4 ? 32 : 128}`;
const participle = ({ Kind }: NetworkFaultBody): string => (Kind === "cut" ? "cut off" : "partitioned");
const namesOf = ({ Containers }: NetworkFault): string =>
  Containers.map((side) => side.join(", ") || "nobody yet").join(" | ");

/** The same whichever side comes first. */
function sidesKey({ Kind, Sides }: NetworkFaultBody): string {
  const sides = Sides.map(({ Labels }) => Object.entries(Labels).map(([key, value]) => JSON.stringify([key, value])));
  return JSON.stringify([Kind, sides.map((one) => one.toSorted().join()).toSorted()]);
}

function sidesOf(record: FaultRecord, { request }: Sandbox): readonly number[] {
  return record.Sides.flatMap((side, index) => (isOnSide(side, request.labels ?? {}) ? [index] : []));
}

function linksOf(tag: EngineTag, { endpoints }: Sandbox): readonly string[] {
  return [...endpoints.values()].flatMap((endpoint) => hostLinkOf(tag, endpoint) ?? []);
}

function addressesOf(sandbox: Sandbox): readonly Address[] {
  return [...sandbox.endpoints.values()]
    .filter(({ network }) => network.record.driver === "bridge")
    .flatMap(({ state }) => [state.ipv4?.address, state.ipv6?.address])
    .flatMap((text) => parseAddress(text ?? "") ?? []);
}
