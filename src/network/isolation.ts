/** The subnets of all networks, where the programs on the containers' links see them (`port-filter.ts`). A program outlives the
 *  engine together with the sets it was made with: containers that were taken over keep those of their time, and the firewall. */
import { closeSync } from "node:fs";
import { isTscomposeError } from "../errors.ts";
import { addToSubnetSet, createSubnetSet, removeFromSubnetSet } from "../host/bpf.ts";
import { addressBytes } from "./cidr.ts";
import { bridgeOptions, subnetsOf, type NetworkRecord } from "./network-record.ts";

export class Isolation {
  #sets: { readonly 4: number; readonly 6: number } | undefined;
  #failed = false;

  /** Made at the first use; undefined where the kernel has no such thing. */
  get sets(): { readonly 4: number; readonly 6: number } | undefined {
    if (this.#sets !== undefined || this.#failed) return this.#sets;
    try {
      this.#sets = { 4: createSubnetSet(4), 6: createSubnetSet(16) };
    } catch (error) {
      if (!isTscomposeError(error, "host/syscall-failed")) throw error;
      this.#failed = true;
    }
    return this.#sets;
  }

  /** Members of routed networks are meant to be reached directly: those are left out. */
  add(record: NetworkRecord): void {
    const { sets } = this;
    const options = bridgeOptions(record);
    if (sets === undefined || record.driver !== "bridge") return;
    for (const subnet of subnetsOf(record)) {
      const mode = subnet.family === 4 ? options.gatewayMode4 : options.gatewayMode6;
      if (mode === "routed" || mode === "nat-unprotected") continue;
      const address = addressBytes({ family: subnet.family, value: subnet.base });
      addToSubnetSet(sets[subnet.family], address, subnet.prefixLength);
    }
  }

  remove(record: NetworkRecord): void {
    if (this.#sets === undefined || record.driver !== "bridge") return;
    for (const subnet of subnetsOf(record)) {
      const address = addressBytes({ family: subnet.family, value: subnet.base });
      removeFromSubnetSet(this.#sets[subnet.family], address, subnet.prefixLength);
    }
  }

  close(): void {
    if (this.#sets === undefined) return;
    closeSync(this.#sets[4]);
    closeSync(this.#sets[6]);
    this.#sets = undefined;
    this.#failed = true;
  }
}
