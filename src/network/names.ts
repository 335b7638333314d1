/** Names of links and chains: fixed formats that carry the engine's tag, so that several engines live side by side and each finds
 *  its own after a crash. Pure. Limits: 15 bytes an interface (IFNAMSIZ), 28 a chain. */
import { createHash } from "node:crypto";

/** Five characters of base 36. */
export type EngineTag = string;

export function toEngineTag(tag: string): EngineTag {
  return /^[a-z0-9]{5}$/.test(tag) ? tag : base36(tag).slice(0, 5);
}
/** All bridges of one engine start with it. */
export const bridgePrefix = (tag: EngineTag): string => `tsb${tag}`;
/** Bridges of every engine of ours. */
export const anyBridgePrefix = "tsb";
/** The host's ends of veth pairs. */
export const vethPrefix = (tag: EngineTag): string => `tsv${tag}`;

export const bridgeNameFor = (tag: EngineTag, networkId: string): string =>
  `${bridgePrefix(tag)}${base36(networkId).slice(0, 7)}`;
export const vethNameFor = (tag: EngineTag, endpointId: string): string =>
  `${vethPrefix(tag)}${base36(endpointId).slice(0, 7)}`;

function base36(text: string): string {
  const digest = createHash("sha256").update(text).digest("hex").slice(0, 24);
  return BigInt(`0x${digest}`).toString(36).padStart(19, "0").slice(-12);
}

/** Locally administered and the same for the same address, so that neighbours' caches stay right when an address is reused. */
export function macForAddress(address: Buffer): Buffer {
  const digest = createHash("sha256").update(address).digest();
  return address.length === 4
    ? Buffer.concat([Buffer.of(0x02, 0x42), address])
    : Buffer.concat([Buffer.of(0x02, 0x46), digest.subarray(0, 4)]);
}
export const formatMac = (mac: Buffer): string => [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");

/** Six bytes; undefined for what is no unicast MAC address. */
export function parseMac(text: string): Buffer | undefined {
  if (!/^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text.replaceAll(/[:-]/g, ""), "hex");
  return ((bytes[0] ?? 0) & 1) === 0 && !bytes.equals(Buffer.alloc(6)) ? bytes : undefined;
}
