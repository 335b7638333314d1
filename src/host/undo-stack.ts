/** Undo steps of a setup: pushed after each step that succeeded, run in reverse when a later one fails. */

type Undo = () => void | Promise<void>;

export class UndoStack {
  readonly #steps: { readonly name: string; readonly undo: Undo }[] = [];

  /** Call after the step has succeeded. */
  defer(name: string, undo: Undo): void {
    this.#steps.push({ name, undo });
  }

  /** Forgets the steps: the setup is complete. */
  commit(): void {
    this.#steps.length = 0;
  }

  /** Runs every step, last first; one that fails does not stop the others. @returns the errors. */
  async run(): Promise<readonly Error[]> {
    const errors: Error[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        errors.push(new Error(`undo of ${step.name} failed`, { cause: error }));
      }
    }
    return errors;
  }
}
