/** The live containers of one engine, by id and by name. Holds no files and starts nothing. */
import { TscomposeError } from "../../errors.ts";
import type { Container } from "./container.ts";

export class ContainerRegistry {
  readonly #byId = new Map<string, Container>();
  /** Names, also those promised to a create or rename that is under way. */
  readonly #idByName = new Map<string, string>();

  /** Takes a name, for a container that may not exist yet. @throws container/name-in-use */
  reserveName(name: string, id: string): void {
    const holder = this.#idByName.get(name);
    if (holder !== undefined && holder !== id) {
      throw new TscomposeError(
        "container/name-in-use",
        `Conflict. The container name "/${name}" is already in use by container "${holder}". You have to remove (or rename) that container to be able to reuse that name.`,
        { details: { name, id: holder }, hint: `choose another name, or remove container ${name}` },
      );
    }
    this.#idByName.set(name, id);
  }

  releaseName(name: string, id: string): void {
    if (this.#idByName.get(name) === id) this.#idByName.delete(name);
  }

  hasName(name: string): boolean {
    return this.#idByName.has(name);
  }

  /** Its name must be reserved for it or free. @throws container/name-in-use */
  add(container: Container): void {
    this.reserveName(container.name, container.id);
    this.#byId.set(container.id, container);
  }

  delete(container: Container): void {
    this.#byId.delete(container.id);
    this.releaseName(container.name, container.id);
  }

  get(id: string): Container | undefined {
    return this.#byId.get(id);
  }

  /** Newest first. */
  all(): readonly Container[] {
    return [...this.#byId.values()].toSorted((a, b) => (a.record.created < b.record.created ? 1 : -1));
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Full id, then name (with or without the leading slash), then unique id prefix, as Docker resolves.
   *  @throws container/not-found, container/ambiguous */
  resolve(ref: string): Container {
    const exact = this.#byId.get(ref);
    if (exact !== undefined) return exact;
    const named = this.#byId.get(this.#idByName.get(ref.replace(/^\//, "")) ?? "");
    if (named !== undefined) return named;
    const matches = ref === "" ? [] : [...this.#byId.values()].filter(({ id }) => id.startsWith(ref));
    const [only] = matches;
    if (only === undefined) {
      throw new TscomposeError("container/not-found", `No such container: ${ref}`, { details: { ref } });
    }
    if (matches.length > 1) {
      throw new TscomposeError("container/ambiguous", `multiple IDs found with provided prefix: ${ref}`, {
        details: { ref },
        hint: "give more characters of the id",
      });
    }
    return only;
  }
}
