/** What a step is by its recipe: the key of `content-key.ts` with, in place of the files of other steps, the recipes of those. It is known
 *  before anything has run, so a step that an imported cache has is found without the stages that it copies from. The engine's own cache
 *  knows no recipes: the same recipe may have given other files another time. */
import { digestSources } from "../files/digest-tree.ts";
import { toBytes } from "../files/tree.ts";
import type { CopyAction, Source, Step } from "../plan/steps.ts";
import type { BuildScope } from "./build-context.ts";
import { contentKey, type KeyFacts, type SourceUse } from "./content-key.ts";
import { digestAction, type OpenSource } from "./copy-step.ts";

export interface RecipeOptions {
  readonly scope: BuildScope;
  readonly steps: readonly Step[];
  readonly facts: Omit<KeyFacts, "sourceKey">;
  /** Of contexts only. */
  readonly open: OpenSource;
  /** Chain id of a context that a stage builds on. */
  readonly contextChain: (name: string) => Promise<string>;
  /** Adds the step to failures. */
  readonly placing: <T>(step: Step, work: () => Promise<T>) => Promise<T>;
}

export class Recipes {
  readonly #options: RecipeOptions;
  readonly #keys = new Map<number, Promise<string>>();

  constructor(options: RecipeOptions) {
    this.#options = options;
  }

  /** Hex. @throws build/failed for files that are not there */
  of(step: Step): Promise<string> {
    const known = this.#keys.get(step.id);
    if (known !== undefined) return known;
    const key = this.#key(step);
    key.catch(() => undefined); // whoever waits for it hears of it
    this.#keys.set(step.id, key);
    return key;
  }

  async #key(step: Step): Promise<string> {
    const { facts, placing } = this.#options;
    const others = await this.#others(step);
    const files = await placing(step, () => this.#files(step));
    const sourceKey = (source: Source, use: SourceUse): string => {
      const read = use.kind === "copy" ? files.get(use.action) : use.kind === "mount" ? files.get(use.path) : undefined;
      if (read !== undefined && (source.kind === "context" || source.kind === "scratch")) return read;
      return others.get(source) ?? "";
    };
    return contentKey(step, { ...facts, sourceKey });
  }

  /** What stands for whole file trees. */
  async #others(step: Step): Promise<ReadonlyMap<Source, string>> {
    const sources = new Set<Source>([step.parent]);
    if (step.kind === "run") for (const mount of step.mounts) sources.add(mount.source);
    if (step.kind === "copy")
      for (const { origin } of step.actions) if (origin.kind === "files") sources.add(origin.source);
    const named = [...sources].map(
      async (source) => [source, await this.#other(source, source === step.parent)] as const,
    );
    return new Map(await Promise.all(named));
  }

  async #other(source: Source, isParent: boolean): Promise<string> {
    const { steps, scope, contextChain } = this.#options;
    switch (source.kind) {
      case "scratch":
        return "";
      case "context":
        return isParent ? await contextChain(source.name) : "";
      case "image":
        return scope.engine.images.resolve(source.image.id).chainId ?? "";
      case "step": {
        const step = steps[source.step];
        if (step === undefined) throw new Error(`no step ${source.step}`);
        return `recipe ${await this.of(step)}`;
      }
    }
  }

  /** Digests of what is read of contexts and of other machines. */
  async #files(step: Step): Promise<ReadonlyMap<unknown, string>> {
    const { scope, open } = this.#options;
    const digests = new Map<unknown, string>();
    if (step.kind === "copy")
      for (const action of step.actions)
        if (isReadHere(action)) digests.set(action, await digestAction(scope, action, open));
    if (step.kind === "run")
      for (const { source, sourcePath } of step.mounts) {
        if (source.kind !== "context") continue;
        const { tree, known } = open(source);
        const path = toBytes(sourcePath.replace(/^\/+/, ""));
        digests.set(sourcePath, await digestSources(tree, [path], { include: [], exclude: [], known }));
      }
    return digests;
  }
}

function isReadHere({ origin }: CopyAction): boolean {
  return origin.kind !== "files" || origin.source.kind === "context";
}
