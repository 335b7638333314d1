/** The names of one network: which members answer to a name, and which name an address has. */

export interface ZoneMember {
  readonly containerId: string;
  /** The container's name first, then aliases, host name, short id. */
  readonly names: readonly string[];
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly healthy: boolean;
}

export class Zone {
  readonly #members = new Map<string, ZoneMember>();
  readonly #byName = new Map<string, Set<string>>();
  readonly #byAddress = new Map<string, string>();
  /** Names that were here once: they are never asked of the outside. */
  readonly #known = new Set<string>();
  /** Who answers to a name, as asked since the last change. */
  readonly #eligible = new Map<string, readonly ZoneMember[]>();
  #turn = 0;

  /** Adds a member, or replaces the one of the same container. */
  set(member: ZoneMember): void {
    this.remove(member.containerId);
    this.#eligible.clear();
    this.#members.set(member.containerId, member);
    for (const name of member.names.map(fold)) {
      this.#known.add(name);
      const holders = this.#byName.get(name);
      if (holders === undefined) this.#byName.set(name, new Set([member.containerId]));
      else holders.add(member.containerId);
    }
    for (const address of [member.ipv4, member.ipv6]) {
      if (address !== undefined) this.#byAddress.set(address, member.containerId);
    }
  }

  remove(containerId: string): void {
    const member = this.#members.get(containerId);
    if (member === undefined) return;
    this.#eligible.clear();
    this.#members.delete(containerId);
    for (const name of member.names.map(fold)) {
      const holders = this.#byName.get(name);
      holders?.delete(containerId);
      if (holders?.size === 0) this.#byName.delete(name);
    }
    for (const address of [member.ipv4, member.ipv6]) {
      if (address !== undefined && this.#byAddress.get(address) === containerId) this.#byAddress.delete(address);
    }
  }

  get(containerId: string): ZoneMember | undefined {
    return this.#members.get(containerId);
  }

  /** Members of that name, healthy ones only while there is one; another one first each time. `name` in any case. */
  find(name: string): readonly ZoneMember[] {
    const eligible = this.#eligibleFor(fold(name));
    if (eligible.length < 2) return eligible;
    this.#turn = (this.#turn + 1) % 65536;
    const start = this.#turn % eligible.length;
    return [...eligible.slice(start), ...eligible.slice(0, start)];
  }

  #eligibleFor(name: string): readonly ZoneMember[] {
    const known = this.#eligible.get(name);
    if (known !== undefined) return known;
    const holders = this.#byName.get(name);
    if (holders === undefined) return [];
    const all = [...holders].flatMap((id) => this.#members.get(id) ?? []);
    const healthy = all.filter((member) => member.healthy);
    const eligible = healthy.length > 0 ? healthy : all;
    this.#eligible.set(name, eligible);
    return eligible;
  }

  findByAddress(address: string): ZoneMember | undefined {
    return this.#members.get(this.#byAddress.get(address) ?? "");
  }

  /** Whether it is or was a name here. */
  knows(name: string): boolean {
    return this.#known.has(fold(name));
  }
}

const fold = (name: string): string => name.toLowerCase();
