/** The verbs for network faults: what networking does, told to whoever listens to events. */
import { TscomposeError } from "../../errors.ts";
import type { Networking } from "../../network/types.ts";
import type { FaultService } from "../engine.ts";
import type { PublishEvent } from "../events.ts";
import type { NetworkFault, NetworkFaultBody } from "../types.ts";

export class FaultVerbs implements FaultService {
  readonly #faults: Networking["faults"];
  readonly #publish: PublishEvent;

  constructor(networking: Networking, publish: PublishEvent) {
    this.#faults = networking.faults;
    this.#publish = publish;
  }

  async list(): Promise<readonly NetworkFault[]> {
    return Promise.resolve(this.#faults.list());
  }

  async create(body: NetworkFaultBody): Promise<NetworkFault> {
    const fault = await this.#faults.create(body);
    this.#tell(fault, fault.Kind);
    return fault;
  }

  /** @throws network/not-found */
  async remove(id: string): Promise<void> {
    if (!/^[0-9a-f]{12}$/.test(id)) throw new TscomposeError("network/not-found", `network fault ${id} not found`);
    this.#tell(await this.#faults.remove(id), "heal");
  }

  #tell(fault: NetworkFault, action: "partition" | "cut" | "heal"): void {
    const [a = "", b = ""] = fault.Sides.map(({ Name }) => Name);
    const attributes = { ...fault.Labels, name: fault.Id, a, ...(b === "" ? {} : { b }) };
    this.#publish({ type: "network", action, id: fault.Id, attributes });
  }
}
