/** A network by id or name. */
import type { NetworkInspect } from "../api/wire.ts";
import { Handle } from "./handle.ts";
import type { Modem } from "./modem.ts";
import type {
  Abortable,
  Call,
  CallWith,
  NetworkConnectOptions,
  NetworkDisconnectOptions,
  NetworkInspectQuery,
} from "./options.ts";

export class Network extends Handle {
  readonly id: string;
  constructor(modem: Modem, id: string) {
    super(modem, { id });
    this.id = id;
  }

  readonly inspect: Call<NetworkInspectQuery, NetworkInspect> = this.call("networkInspect");
  readonly remove: Call<Abortable, void> = this.call("networkRemove");
  readonly connect: CallWith<NetworkConnectOptions, void> = this.call("networkConnect");
  readonly disconnect: CallWith<NetworkDisconnectOptions, void> = this.call("networkDisconnect");
}
