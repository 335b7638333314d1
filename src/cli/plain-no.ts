import { Option } from "commander";

/** A flag that is spelled `--no-x` and stands for itself: commander would take it for the opposite of `--x`. Its value is found
 *  under `noX`. */
export function plainNo(flags: string, description: string): Option {
  return new PlainNoOption(flags, description);
}

class PlainNoOption extends Option {
  constructor(flags: string, description: string) {
    super(flags, description);
    this.negate = false;
  }

  override name(): string {
    return (this.long ?? "").replace(/^--/, "");
  }

  override attributeName(): string {
    return this.name().replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  }
}
