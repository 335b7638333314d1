/** Chain ids -> layers. Chains of images are computed; those that were committed without an image yet (steps of a build) are
 *  recorded, and keep their layers until `unpin`. */
import { assertDigest, chainIds, hexOf, nextChainId } from "./digest.ts";
import { RecordFiles } from "./record-files.ts";
import { TscomposeError } from "../../errors.ts";

interface ChainRecord {
  readonly version: 1;
  readonly diffIds: readonly string[];
}

export class ChainRecords {
  readonly #files: RecordFiles<ChainRecord>;
  readonly #pinned = new Map<string, readonly string[]>();
  /** Chain id -> the layer on top and the chain below. */
  readonly #links = new Map<string, { readonly diffId: string; readonly parent: string | undefined }>();

  /** @param isComplete whether all these layers are in the store */
  constructor(options: {
    readonly dir: string;
    readonly corruptDir: string;
    readonly warn: (message: string) => void;
    readonly isComplete: (diffIds: readonly string[]) => boolean;
  }) {
    this.#files = new RecordFiles(options.dir, options.corruptDir, options.warn);
    const records = this.#files.load((value): ChainRecord => {
      const diffIds = Array.isArray(value["diffIds"]) ? value["diffIds"] : [];
      const checked = diffIds.map((id: unknown) => assertDigest(id, "chain record"));
      if (!options.isComplete(checked)) throw new Error("a layer of the chain is missing");
      return { version: 1, diffIds: checked };
    });
    for (const [, { diffIds }] of records) {
      this.learn(diffIds);
      this.#pinned.set(chainIds(diffIds).at(-1) ?? "", diffIds);
    }
  }

  /** Makes the chains of an image known. */
  learn(diffIds: readonly string[]): void {
    let parent: string | undefined;
    for (const diffId of diffIds) {
      const chainId = nextChainId(parent, diffId);
      this.#links.set(chainId, { diffId, parent });
      parent = chainId;
    }
  }

  /** Lowest first.
   *  @throws image/not-found */
  diffIds(chainId: string): readonly string[] {
    const ids: string[] = [];
    for (let at: string | undefined = chainId; at !== undefined;) {
      const link = this.#links.get(at);
      if (link === undefined) throw new TscomposeError("image/not-found", `No such layer chain: ${chainId}`);
      ids.push(link.diffId);
      at = link.parent;
    }
    return ids.toReversed();
  }

  topOf(diffIds: readonly string[]): string | undefined {
    return chainIds(diffIds).at(-1);
  }

  /** Keeps the layers of a chain; over a power cut once the file system is synced, as the layers themselves. */
  pin(diffIds: readonly string[]): void {
    const chainId = chainIds(diffIds).at(-1);
    if (chainId === undefined || this.#pinned.has(chainId)) return;
    this.learn(diffIds);
    this.#files.writeSoon(hexOf(chainId), { version: 1, diffIds });
    this.#pinned.set(chainId, diffIds);
  }

  unpin(chainId: string): void {
    if (this.#pinned.delete(chainId)) this.#files.delete(hexOf(chainId));
  }

  pinned(): ReadonlySet<string> {
    return new Set(this.#pinned.keys());
  }

  pinnedDiffIds(): ReadonlySet<string> {
    return new Set([...this.#pinned.values()].flat());
  }
}
