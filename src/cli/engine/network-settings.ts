/** What the environment says about networks. Pure. */
import { TscomposeError } from "../../errors.ts";
import { parseAddress } from "../../network/cidr.ts";
import { readPoolsSetting } from "../../network/default-pools.ts";
import type { NetworkingOptions } from "../../network/types.ts";
import type { Environment } from "./roots.ts";

/** @throws network/invalid, compose/usage naming the variable */
export function readNetworkSettings(env: Environment): Pick<NetworkingOptions, "pools" | "publishAddresses"> {
  const pools = readPoolsSetting(env["TSCOMPOSE_ADDRESS_POOLS"] ?? "");
  const addresses = (env["TSCOMPOSE_PUBLISH_ADDRESS"] ?? "").split(/[\s,]+/).filter((text) => text !== "");
  const wrong = addresses.find((text) => parseAddress(text) === undefined);
  if (wrong !== undefined) {
    throw new TscomposeError("compose/usage", `TSCOMPOSE_PUBLISH_ADDRESS: ${JSON.stringify(wrong)} is no IP address`, {
      hint: "give addresses of this host, separated by commas, as in 127.0.0.1,::1",
    });
  }
  return { pools, publishAddresses: addresses.length === 0 ? undefined : addresses };
}
