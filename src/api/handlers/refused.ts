/** Routes that clients know and this engine has no service for: refused by name, so nobody waits for an effect. */
import { TscomposeError } from "../../errors.ts";
import type { Handler } from "../call.ts";

/** 501 with what to do instead. */
export function refuse(what: string, hint: string): Handler {
  return () =>
    Promise.reject(new TscomposeError("request/unsupported", `${what} is not supported by this engine`, { hint }));
}
