/** The key sequence that leaves an attached terminal while the process goes on. Pure but for the state of one matcher.
 *  Source: docker attach --detach-keys; engine-api.md 3.3. */
import { TscomposeError } from "../../errors.ts";

const defaultKeys = "ctrl-p,ctrl-q";

/** Bytes of `ctrl-p,ctrl-q` or `a,ctrl-]`; undefined or empty text: the default. @throws request/invalid */
export function parseDetachKeys(text: string | undefined): readonly number[] {
  return (text === undefined || text === "" ? defaultKeys : text).split(",").map((key) => {
    const control = /^ctrl-([a-zA-Z@[\\\]^_])$/.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 64;
    if (key.length === 1 && key.charCodeAt(0) < 128) return key.charCodeAt(0);
    throw new TscomposeError("request/invalid", `Invalid detach keys (${text}) provided`, {
      hint: 'write keys like "ctrl-p,ctrl-q" or "a,ctrl-]"',
    });
  });
}

/** Finds the sequence in a byte stream, also across writes. Bytes that may begin it are held back until it is clear. */
export class DetachMatcher {
  readonly #keys: readonly number[];
  #held = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** `forward`: what the process may have. After `detached` the rest of the input is dropped. */
  feed(data: Buffer): { readonly forward: Buffer; readonly detached: boolean } {
    const forward: number[] = [];
    for (const byte of data) {
      if (byte !== this.#keys[this.#held]) {
        forward.push(...this.#keys.slice(0, this.#held));
        this.#held = 0;
      }
      if (byte !== this.#keys[this.#held]) forward.push(byte);
      else if (++this.#held === this.#keys.length) return { forward: Buffer.from(forward), detached: true };
    }
    return { forward: Buffer.from(forward), detached: false };
  }
}
