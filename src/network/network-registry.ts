/** The networks of one engine: made, found, removed; in the records, in the kernel and in the firewall. */
import { randomBytes } from "node:crypto";
import { errorMessage, TscomposeError } from "../errors.ts";
import type { NetworkCreateBody, NetworkInspect } from "../engine/types.ts";
import { formatNanoseconds, realtimeNs } from "../host/clock.ts";
import { findLink } from "../host/rtnetlink-list.ts";
import { ensureBridge, isWhole } from "./bridge-device.ts";
import { formatAddress, formatSubnet, overlaps, parseSubnet, sizeOf, type Family, type Subnet } from "./cidr.ts";
import type { NetworkContext } from "./context.ts";
import { chooseSubnet, type TakenSubnet } from "./default-pools.ts";
import { deleteLinks } from "./endpoint-links.ts";
import { networkRules } from "./firewall/rules.ts";
import { readHostSubnets } from "./host-subnets.ts";
import { modeOf } from "./child-link.ts";
import { createAddressPool } from "./ipam.ts";
import { ensureParent, parentNameOf } from "./parent-device.ts";
import { LiveNetwork } from "./live-network.ts";
import { bridgeNameFor } from "./names.ts";
import { predefinedNames, type NetworkRecord, type PoolRecord } from "./network-record.ts";
import type { NetworkStore } from "./network-store.ts";
import { invalidNetwork, validateNetwork, type NetworkPlan } from "./validate-network.ts";

const ownerOf = (network: LiveNetwork): string => `net:${network.id}`;

export class NetworkRegistry {
  readonly #context: NetworkContext;
  readonly #store: NetworkStore;
  readonly #networks = new Map<string, LiveNetwork>();
  /** Names promised to a create that is under way. */
  readonly #reserved = new Set<string>();
  /** Bridges that are in the kernel with their rules in force: network id -> index of the bridge. */
  readonly #bridges = new Map<string, Promise<number>>();

  constructor(context: NetworkContext, store: NetworkStore) {
    this.#context = context;
    this.#store = store;
    for (const record of store.load((message) => context.log("warn", message))) {
      this.#networks.set(record.id, new LiveNetwork(record));
    }
    for (const name of predefinedNames) this.#ensurePredefined(name);
  }

  all(): readonly LiveNetwork[] {
    return [...this.#networks.values()];
  }

  get(id: string): LiveNetwork | undefined {
    return this.#networks.get(id);
  }

  /** Id, then name, then unique id prefix. @throws network/not-found; request/invalid when ambiguous */
  resolve(ref: string): LiveNetwork {
    const exact = this.#networks.get(ref) ?? this.all().find(({ name }) => name === ref);
    if (exact !== undefined) return exact;
    const matches = ref === "" ? [] : this.all().filter(({ id }) => id.startsWith(ref));
    const [only] = matches;
    if (matches.length > 1) {
      throw new TscomposeError(
        "request/invalid",
        `network ${ref} is ambiguous (${matches.length} matches found on ID prefix)`,
      );
    }
    if (only !== undefined) return only;
    throw new TscomposeError("network/not-found", `network ${ref} not found`, {
      details: { ref },
      hint: "create it first, or check its name: networks of a project are called <project>_<network>",
    });
  }

  async create(body: NetworkCreateBody): Promise<{ readonly network: LiveNetwork; readonly warning: string }> {
    const plan = validateNetwork(body);
    if (this.#reserved.has(plan.name) || this.all().some(({ name }) => name === plan.name)) {
      throw new TscomposeError("network/name-in-use", `network with name ${plan.name} already exists`, {
        details: { name: plan.name },
      });
    }
    this.#reserved.add(plan.name);
    let network: LiveNetwork | undefined;
    try {
      const record = this.#toRecord(plan, newId());
      network = new LiveNetwork(record);
      this.#networks.set(record.id, network);
      this.#prepare(network);
      this.#store.save(record);
      return { network, warning: plan.warnings.join("\n") };
    } catch (error) {
      if (network !== undefined) await this.#discard(network);
      throw error;
    } finally {
      this.#reserved.delete(plan.name);
    }
  }

  /** Bridge at once, rules soon: nobody is in it before `ensureReady` has seen them in force, and says so if they are not. */
  #prepare(network: LiveNetwork): void {
    if (network.record.driver === "bridge") ensureBridge(this.#context.netlink, network.record);
    else ensureParent(this.#context.netlink, network.record);
    this.ensureReady(network).catch((error: unknown) => {
      this.#context.log("error", `network ${network.name} is not ready: ${errorMessage(error)}`);
    });
  }

  /** Bridge and rules, or the parent interface, in the kernel. @returns its index */
  async ensureReady(network: LiveNetwork): Promise<number> {
    const known = this.#bridges.get(network.id);
    if (known !== undefined) return await known;
    const making = this.#makeBridge(network);
    this.#bridges.set(network.id, making);
    try {
      return await making;
    } catch (error) {
      this.#bridges.delete(network.id);
      throw error;
    }
  }

  async #makeBridge(network: LiveNetwork): Promise<number> {
    const { firewall, poolSubnets } = this.#context;
    if (network.record.driver !== "bridge") return ensureParent(this.#context.netlink, network.record);
    if (network.name === "bridge") this.#refreshDefaultBridge(network);
    const index = ensureBridge(this.#context.netlink, network.record);
    this.#context.isolation.add(network.record);
    await firewall.set(ownerOf(network), networkRules(network.record, poolSubnets));
    return index;
  }

  /** Whether its bridge is missing, down or without its addresses. */
  isDamaged(network: LiveNetwork): boolean {
    return !isWhole(this.#context.netlink, network.record);
  }

  /** After damage from outside: makes what is missing again. @returns the index of the bridge */
  repairBridge(network: LiveNetwork): number {
    const index = ensureBridge(this.#context.netlink, network.record);
    this.#context.isolation.add(network.record);
    this.#bridges.set(network.id, Promise.resolve(index));
    return index;
  }

  /** Rules that are in force since an earlier engine; `reconcile` makes what lacks. */
  adopt(network: LiveNetwork): void {
    const { firewall, poolSubnets } = this.#context;
    firewall.adopt(ownerOf(network), networkRules(network.record, poolSubnets));
  }

  /** Whether its bridge is in the kernel. */
  isReady(network: LiveNetwork): boolean {
    return network.record.driver === "bridge" && this.#bridges.has(network.id);
  }

  /** @throws network/in-use, network/invalid for predefined ones */
  async remove(network: LiveNetwork): Promise<void> {
    if (predefinedNames.includes(network.name)) {
      throw invalidNetwork(`${network.name} is a pre-defined network and cannot be removed`, undefined, 403);
    }
    if (network.members.size + network.joining > 0) throw inUse(network);
    await this.#discard(network);
  }

  async #discard(network: LiveNetwork): Promise<void> {
    this.#networks.delete(network.id);
    this.#store.remove(network.id);
    await this.retire(network);
  }

  /** Takes the bridge and its rules out of the kernel; the record stays. */
  async retire(network: LiveNetwork): Promise<void> {
    await this.#bridges.get(network.id)?.catch(() => undefined);
    this.#bridges.delete(network.id);
    const { record } = network;
    this.#context.isolation.remove(record);
    const rules = this.#context.firewall.remove(ownerOf(network));
    // A bridge that was there before us stays; the one of our own naming is ours.
    const links = record.ownsBridge && record.bridgeName !== "" ? deleteLinks([record.bridgeName]) : Promise.resolve();
    const results = await Promise.allSettled([rules, links]);
    const errors = results.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, `network ${record.name} could not be removed entirely`);
  }

  #toRecord(plan: NetworkPlan, id: string): NetworkRecord {
    const taken = this.#takenSubnets();
    for (const pool of plan.pools) this.#refuseOverlap(pool);
    const allocated = plan.allocate.map((family) => this.#allocate(family, taken));
    const pools = [...plan.pools, ...allocated].map(withGateway);
    const { bridgeName, ownsBridge } = this.#device(plan, id);
    return {
      version: 1,
      id,
      name: plan.name,
      created: formatNanoseconds(realtimeNs()),
      driver: plan.driver,
      internal: plan.internal,
      attachable: plan.attachable,
      enableIpv4: plan.enableIpv4,
      enableIpv6: plan.enableIpv6,
      pools,
      ipamOptions: plan.ipamOptions,
      options: plan.options,
      labels: plan.labels,
      bridgeName,
      ownsBridge,
    };
  }

  /** The bridge, or the parent interface, and whether it is made for this network. */
  #device(plan: NetworkPlan, id: string): Pick<NetworkRecord, "bridgeName" | "ownsBridge"> {
    const own = bridgeNameFor(this.#context.tag, id);
    const isBridge = plan.driver === "bridge";
    const asked = isBridge ? (plan.options["com.docker.network.bridge.name"] ?? own) : parentNameOf(plan.options, own);
    if (isBridge && this.all().some(({ record }) => record.bridgeName === asked)) {
      throw invalidNetwork(`bridge name ${asked} is used by another network`, "choose another name", 403);
    }
    if (!isBridge) modeOf(plan);
    const existed = asked !== own && findLink(this.#context.netlink, asked) !== undefined;
    return { bridgeName: asked, ownsBridge: !existed };
  }

  /** Of networks first: the routes of their bridges are theirs too. */
  #takenSubnets(): readonly TakenSubnet[] {
    const networks = this.all().flatMap(({ name, subnets }) =>
      subnets.map((subnet) => ({ subnet, owner: `network ${name}` })),
    );
    return [
      ...networks,
      ...this.#hostSubnets().map((subnet) => ({ subnet, owner: "the host's routes and addresses" })),
    ];
  }

  /** Without those of our own bridges. */
  #hostSubnets(): readonly Subnet[] {
    const known = new Set(this.all().flatMap(({ subnets }) => subnets.map(subnetKey)));
    return readHostSubnets(this.#context.netlink).filter((subnet) => !known.has(subnetKey(subnet)));
  }

  /** All networks, each with what the host has put on its addresses since it was made. */
  list(): readonly NetworkInspect[] {
    const host = this.#hostSubnets();
    return this.all().map((network) => {
      const found = host.filter((one) => network.subnets.some((subnet) => overlaps(subnet, one))).map(formatSubnet);
      return found.length === 0 ? network.inspect() : { ...network.inspect(), Overlaps: [...new Set(found)] };
    });
  }

  #allocate(family: Family, taken: readonly TakenSubnet[]): PoolRecord {
    const subnet = chooseSubnet(this.#context.pools, family, taken);
    return { subnet: formatSubnet(subnet), range: undefined, gateway: undefined, auxiliary: {}, configured: false };
  }

  #refuseOverlap(pool: PoolRecord): void {
    const subnet = parseSubnet(pool.subnet);
    if (subnet === undefined) return;
    const other = this.all().find(({ subnets }) => subnets.some((one) => overlaps(one, subnet)));
    if (other === undefined) return;
    throw new TscomposeError(
      "network/subnet-overlap",
      `invalid pool request: Pool overlaps with other one on this address space: ${pool.subnet} overlaps network ${other.name}`,
      {
        details: { subnet: pool.subnet, network: other.name },
        hint: `choose another ipam.config.subnet, or remove network ${other.name}`,
      },
    );
  }

  #ensurePredefined(name: string): void {
    if (this.all().some((network) => network.name === name)) return;
    const id = newId();
    const bridge = name === "bridge";
    const pools = bridge ? [withGateway(this.#defaultBridgePool())] : [];
    const record: NetworkRecord = {
      version: 1,
      id,
      name,
      created: formatNanoseconds(realtimeNs()),
      driver: bridge ? "bridge" : name === "host" ? "host" : "null",
      internal: false,
      attachable: false,
      enableIpv4: true,
      enableIpv6: false,
      pools,
      ipamOptions: {},
      options: bridge ? { "com.docker.network.bridge.default_bridge": "true" } : {},
      labels: {},
      bridgeName: bridge ? bridgeNameFor(this.#context.tag, id) : "",
      ownsBridge: true,
    };
    this.#store.save(record);
    this.#networks.set(id, new LiveNetwork(record));
  }

  #defaultBridgePool(): PoolRecord {
    const usual = parseSubnet("172.17.0.0/16");
    const taken = this.#takenSubnets();
    const free = usual !== undefined && !taken.some(({ subnet }) => overlaps(subnet, usual));
    if (!free) return this.#allocate(4, taken);
    return { subnet: formatSubnet(usual), range: undefined, gateway: undefined, auxiliary: {}, configured: false };
  }

  /** It has no bridge until the first container needs it; by then somebody else may have taken its addresses. */
  #refreshDefaultBridge(network: LiveNetwork): void {
    const { record } = network;
    if (findLink(this.#context.netlink, record.bridgeName) !== undefined) return;
    const host = readHostSubnets(this.#context.netlink);
    if (!network.subnets.some((subnet) => host.some((one) => overlaps(one, subnet)))) return;
    const pools = [withGateway(this.#defaultBridgePool())];
    const fresh = { ...record, pools };
    network.replaceRecord(fresh);
    this.#store.save(fresh);
  }
}

const subnetKey = ({ family, base, prefixLength }: Subnet): string => `${family} ${base}/${prefixLength}`;
const newId = (): string => randomBytes(32).toString("hex");

/** With the gateway that members will have, so that `inspect` shows it. */
function withGateway(pool: PoolRecord): PoolRecord {
  const subnet = parseSubnet(pool.subnet);
  if (pool.gateway !== undefined || subnet === undefined || sizeOf(subnet) < 4n) return pool;
  const range = pool.range === undefined ? undefined : parseSubnet(pool.range);
  const auxiliary = Object.entries(pool.auxiliary).map(
    ([name, text]) => [name, parseSubnet(`${text}/${subnet.family === 4 ? 32 : 128}`)?.base ?? 0n] as const,
  );
  const { gateway } = createAddressPool({ subnet, range, auxiliary: Object.fromEntries(auxiliary) });
  return gateway === undefined ? pool : { ...pool, gateway: formatAddress({ family: subnet.family, value: gateway }) };
}

function inUse(network: LiveNetwork): TscomposeError {
  const names = [...network.members.values()].map(({ containerName }) => containerName).join(", ");
  return new TscomposeError(
    "network/in-use",
    `error while removing network: network ${network.name} id ${network.id} has active endpoints (name: ${names})`,
    { details: { network: network.name, containers: names }, hint: "stop or disconnect these containers first" },
  );
}
