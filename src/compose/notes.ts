/** Collects what the engine remarks about containers: said once, with the names of all it holds for. */
export class Notes {
  readonly #names = new Map<string, string[]>();

  readonly add = (container: string, note: string): void => {
    const names = this.#names.get(note);
    if (names === undefined) this.#names.set(note, [container]);
    else if (!names.includes(container)) names.push(container);
  };

  tell(onWarning: (message: string) => void): void {
    for (const [note, names] of this.#names) onWarning(`${names.toSorted().join(", ")}: ${note}`);
    this.#names.clear();
  }
}
