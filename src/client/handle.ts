/** What the client and its handles share: methods made from routes. */
import type { RouteName } from "../api/routes.ts";
import { withCallback } from "./callback.ts";
import type { Modem } from "./modem.ts";
import type { Callback } from "./options.ts";

type Arguments<Result> = readonly [options?: object | Callback<Result>, callback?: Callback<Result>];
interface Method<Result> {
  (options?: object): Promise<Result>;
  (callback: Callback<Result>): void;
  (options: object | undefined, callback: Callback<Result>): void;
}

export class Handle {
  readonly modem: Modem;
  readonly #parameters: Readonly<Record<string, string>>;

  /** `parameters` fill the placeholders of route paths. */
  constructor(modem: Modem, parameters: Readonly<Record<string, string>>) {
    this.modem = modem;
    this.#parameters = parameters;
  }

  /** A method for a route: options that the route's query names go there, the others into the body. */
  protected call<Wire, Result = Wire>(route: RouteName, convert?: (wire: Wire) => Result): Method<Result> {
    const send = async (options: object | undefined): Promise<Result> => {
      const wire = await this.modem.request<Wire>(route, {
        parameters: this.#parameters,
        ...(options === undefined ? {} : { options }),
      });
      return convert === undefined ? (wire as unknown as Result) : convert(wire);
    };
    const method = (...[first, second]: Arguments<Result>): Promise<Result> | void => {
      if (typeof first !== "function") return withCallback(send(first), second);
      return withCallback(send(undefined), first as Callback<Result>);
    };
    return method as Method<Result>;
  }

  /** The parameters of this handle, for routes that need more than options. */
  protected get parameters(): Readonly<Record<string, string>> {
    return this.#parameters;
  }
}
