/** The network verbs of the engine API: networks as such, and who is in them. In: Docker-shaped requests. Out: Docker-shaped answers
 *  and events. Source: engine-api.md sections 1.4 and 4. */
import { TscomposeError } from "../../errors.ts";
import type { Networking } from "../../network/types.ts";
import { parseUntil } from "../containers/prune.ts";
import type { NetworkService } from "../engine.ts";
import { matchesLabel, type PublishEvent } from "../events.ts";
import type { EndpointSettings, Filters, NetworkCreateBody, NetworkInspect } from "../types.ts";
import { parseRfc3339 } from "../../host/clock.ts";

export interface NetworksOptions {
  readonly networking: Networking;
  readonly publish: PublishEvent;
  /** Containers, running or not, that are configured to be in the network. */
  readonly usersOf: (network: NetworkInspect) => readonly string[];
  /** @throws container/not-found */
  readonly join: (containerRef: string, network: string, settings: EndpointSettings) => Promise<void>;
  readonly leave: (containerRef: string, network: string, force: boolean) => Promise<void>;
}

const predefined: readonly string[] = ["bridge", "host", "none"];

export class Networks implements NetworkService {
  readonly #options: NetworksOptions;
  #pruning = false;

  constructor(options: NetworksOptions) {
    this.#options = options;
  }

  async create(body: NetworkCreateBody): Promise<{ readonly Id: string; readonly Warning: string }> {
    const created = await this.#options.networking.create(body);
    this.#publish("create", this.#options.networking.inspect(created.Id));
    return created;
  }

  /** Without their members, as Docker lists them. */
  list(filters: Filters): Promise<readonly NetworkInspect[]> {
    checkFilters(filters, ["dangling", "driver", "id", "label", "name", "scope", "type"]);
    const unused = (network: NetworkInspect): boolean => this.#options.usersOf(network).length === 0;
    const networks = this.#options.networking.list().filter((network) => matchesNetwork(network, filters, unused));
    return Promise.resolve(networks.map((network) => ({ ...network, Containers: {} })));
  }

  async inspect(ref: string): Promise<NetworkInspect> {
    return Promise.resolve(this.#options.networking.inspect(ref));
  }

  async remove(ref: string): Promise<void> {
    const network = this.#options.networking.inspect(ref);
    await this.#options.networking.remove(network.Id);
    this.#publish("destroy", network);
  }

  async connect(ref: string, containerRef: string, endpoint: EndpointSettings | undefined): Promise<void> {
    await this.#options.join(containerRef, ref, endpoint ?? {});
  }

  async disconnect(ref: string, containerRef: string, force: boolean): Promise<void> {
    await this.#options.leave(containerRef, ref, force);
  }

  /** Those that no container uses, running or not. */
  async prune(filters: Filters): Promise<{ readonly NetworksDeleted: readonly string[] }> {
    checkFilters(filters, ["label", "label!", "until"]);
    if (this.#pruning) throw new TscomposeError("request/conflict", "a prune operation is already running");
    this.#pruning = true;
    try {
      const untilNs = parseUntil(filters.get("until")?.[0]);
      const deleted: string[] = [];
      for (const network of this.#options.networking.list()) {
        if (predefined.includes(network.Name) || this.#options.usersOf(network).length > 0) continue;
        if (!matchesPrune(network, filters, untilNs)) continue;
        await this.remove(network.Id);
        deleted.push(network.Name);
      }
      this.#options.publish({ type: "network", action: "prune", id: "", attributes: { reclaimed: "0" } });
      return { NetworksDeleted: deleted };
    } finally {
      this.#pruning = false;
    }
  }

  #publish(action: "create" | "destroy", network: NetworkInspect): void {
    const attributes = { name: network.Name, type: network.Driver };
    this.#options.publish({ type: "network", action, id: network.Id, attributes });
  }
}

function checkFilters(filters: Filters, known: readonly string[]): void {
  for (const key of filters.keys()) {
    if (!known.includes(key)) throw new TscomposeError("request/invalid", `invalid filter '${key}'`);
  }
}

/** Keys are all required, of one key's values any one suffices, except labels, which must all match. */
function matchesNetwork(
  network: NetworkInspect,
  filters: Filters,
  unused: (network: NetworkInspect) => boolean,
): boolean {
  return [...filters].every(([key, values]) => {
    if (values.length === 0) return true;
    if (key === "label") return values.every((value) => matchesLabel(network.Labels, value));
    return values.some((value) => matchesOne(network, { key, value }, unused));
  });
}

function matchesOne(
  network: NetworkInspect,
  { key, value }: { readonly key: string; readonly value: string },
  unused: (network: NetworkInspect) => boolean,
): boolean {
  switch (key) {
    case "id":
      return network.Id.startsWith(value);
    case "name":
      return matchesName(network.Name, value);
    case "driver":
      return network.Driver === value;
    case "scope":
      return network.Scope === value;
    case "type":
      return (value === "builtin") === predefined.includes(network.Name);
    case "dangling": {
      const dangling = !predefined.includes(network.Name) && unused(network);
      return dangling === ["1", "true"].includes(value);
    }
    default:
      return true;
  }
}

function matchesName(name: string, pattern: string): boolean {
  try {
    return new RegExp(pattern).test(name);
  } catch {
    return name === pattern;
  }
}

function matchesPrune(network: NetworkInspect, filters: Filters, untilNs: bigint | undefined): boolean {
  if (!(filters.get("label") ?? []).every((label) => matchesLabel(network.Labels, label))) return false;
  if ((filters.get("label!") ?? []).some((label) => matchesLabel(network.Labels, label))) return false;
  return untilNs === undefined || (parseRfc3339(network.Created) ?? 0n) < untilNs;
}
