/** What a `.wh.` name in a layer says about the layers below. Pure. Source: OCI image-spec layer.md, "Whiteouts"; the
 *  `.wh..wh.` names other than opaque are bookkeeping of aufs and mean nothing. */

const prefix = Buffer.from(".wh.");
const metaPrefix = Buffer.from(".wh..wh.");
const opaqueName = Buffer.from(".wh..wh..opq");

export type Whiteout =
  | { readonly kind: "opaque" }
  | { readonly kind: "ignore" }
  | { readonly kind: "invalid" }
  /** Hides `name` of the lower layers. */
  | { readonly kind: "remove"; readonly name: Buffer };

/** @param base last component of an entry's name
 *  @returns undefined for an ordinary name */
export function parseWhiteout(base: Buffer): Whiteout | undefined {
  if (!startsWith(base, prefix)) return undefined;
  if (base.equals(opaqueName)) return { kind: "opaque" };
  if (startsWith(base, metaPrefix)) return { kind: "ignore" };
  const name = base.subarray(prefix.length);
  const special = name.length === 0 || name.equals(Buffer.from(".")) || name.equals(Buffer.from(".."));
  return special ? { kind: "invalid" } : { kind: "remove", name };
}

/** The entry name that hides `name`. */
export function whiteoutName(name: Buffer): Buffer {
  return Buffer.concat([prefix, name]);
}
export const opaqueMarker: Buffer = opaqueName;

function startsWith(bytes: Buffer, start: Buffer): boolean {
  return bytes.length >= start.length && bytes.compare(start, 0, start.length, 0, start.length) === 0;
}
