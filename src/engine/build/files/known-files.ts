/** What is known of the files of a build context without looking at them. Types only. */

export interface KnownFile {
  /** Of the content: SHA-256, hex. */
  readonly digest: string;
  /** Undefined: no more than the content is known. */
  readonly plain: PlainFile | undefined;
}

/** A regular file of root's, under this name only, without extended attributes. */
export interface PlainFile {
  /** As lstat(2) gives it. */
  readonly mode: number;
  /** Modification time, whole seconds since the epoch. */
  readonly seconds: number;
  /** The state of the context (see `EarlierLayers`) from which on it has been there, as it is now. */
  readonly since: number;
}

/** Path (see `Tree`) -> what is known. */
export type KnownFiles = ReadonlyMap<string, KnownFile>;

/** Layers that earlier copies of the same context gave. States of a context are counted from its first copy on. */
export interface EarlierLayers {
  /** `copy` stands for everything but the files that a copy depends on. @returns the state it copied, and the layer */
  find(copy: string): { readonly state: number; readonly diffId: string } | undefined;
  /** Notes that a copy of the present state gave a layer. */
  note(copy: string, diffId: string): void;
}
