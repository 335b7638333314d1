/** A command in a running container. */
import type { Duplex } from "node:stream";
import type { ExecInspect } from "../api/wire.ts";
import { withCallback } from "./callback.ts";
import { Handle } from "./handle.ts";
import type { Modem } from "./modem.ts";
import type { Abortable, Call, CallWith, Callback, ExecStartOptions, ResizeQuery } from "./options.ts";

export class Exec extends Handle {
  readonly id: string;
  constructor(modem: Modem, id: string) {
    super(modem, { id });
    this.id = id;
  }

  readonly inspect: Call<Abortable, ExecInspect> = this.call("execInspect");
  readonly resize: CallWith<ResizeQuery, void> = this.call("execResize");

  /** Runs it. Its stdio as of `container.attach`; with `Detach` an ended stream once it was started. */
  start(options?: ExecStartOptions): Promise<Duplex>;
  start(options: ExecStartOptions, callback: Callback<Duplex>): void;
  start(options: ExecStartOptions = {}, callback?: Callback<Duplex>): Promise<Duplex> | void {
    const { abortSignal, Detach = false, Tty = false, ConsoleSize } = options;
    const body = {
      Detach,
      Tty,
      ...(ConsoleSize === undefined ? {} : { ConsoleSize }),
      ...(abortSignal === undefined ? {} : { abortSignal }),
    };
    const request = this.modem.request<Duplex>("execStart", {
      parameters: this.parameters,
      options: body,
      ...(Detach ? { upgrade: false } : {}),
    });
    return withCallback(request, callback);
  }
}
