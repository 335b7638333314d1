/** A volume by name. */
import type { VolumeInspect } from "../api/wire.ts";
import { Handle } from "./handle.ts";
import type { Modem } from "./modem.ts";
import type { Abortable, Call, VolumeRemoveQuery } from "./options.ts";

export class Volume extends Handle {
  readonly name: string;
  constructor(modem: Modem, name: string) {
    super(modem, { name });
    this.name = name;
  }

  readonly inspect: Call<Abortable, VolumeInspect> = this.call("volumeInspect");
  readonly remove: Call<VolumeRemoveQuery, void> = this.call("volumeRemove");
}
