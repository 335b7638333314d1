/** The third part of `source:target:mode`. Pure. Source: docker run --volume. */

export type Propagation = "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared";
export interface BindMode {
  readonly readOnly: boolean;
  readonly noCopy: boolean;
  readonly propagation: Propagation | undefined;
}

const kinds: Readonly<Record<string, string>> = {
  ro: "access",
  rw: "access",
  z: "label",
  Z: "label",
  nocopy: "copy",
  consistent: "consistency",
  cached: "consistency",
  delegated: "consistency",
  default: "consistency",
  private: "propagation",
  rprivate: "propagation",
  slave: "propagation",
  rslave: "propagation",
  shared: "propagation",
  rshared: "propagation",
};

/** Undefined for a word that is no mode, or two of one kind. Empty: read-write. SELinux labels and consistency are accepted and
 *  mean nothing on a host without SELinux and without a virtual machine between. */
export function parseBindMode(text: string): BindMode | undefined {
  const words = text === "" ? [] : text.split(",");
  const found = new Map<string, string>();
  for (const word of words) {
    const kind = Object.hasOwn(kinds, word) ? kinds[word] : undefined;
    if (kind === undefined || found.has(kind)) return undefined;
    found.set(kind, word);
  }
  return {
    readOnly: found.get("access") === "ro",
    noCopy: found.has("copy"),
    propagation: found.get("propagation") as Propagation | undefined,
  };
}
