/** Colours in Docker Compose's order, plain before bright. */
const palette = ["36", "33", "32", "35", "34", "96", "93", "92", "95", "94"] as const;

export interface LogPrefixes {
  /** Makes room for a name; those that come later may be wider. */
  add(name: string): void;
  /** `web-1  | text`. */
  line(name: string, text: string): string;
  /** `web-1 exited with code 0`, the name in its colour. */
  status(name: string, text: string): string;
}

export function createLogPrefixes({
  prefix,
  colour,
}: {
  readonly prefix: boolean;
  readonly colour: boolean;
}): LogPrefixes {
  const colours = new Map<string, string>();
  let widest = 0;
  const paint = (name: string, text: string): string =>
    colour ? `\u001b[${colours.get(name) ?? "0"}m${text}\u001b[0m` : text;
  const add = (name: string): void => {
    if (colours.has(name)) return;
    colours.set(name, palette[colours.size % palette.length] ?? "0");
    widest = Math.max(widest, name.length);
  };
  return {
    add,
    line: (name, text) => {
      if (!prefix) return text;
      add(name);
      return `${paint(name, `${name.padEnd(widest)}  | `)}${text}`;
    },
    status: (name, text) => {
      add(name);
      return `${paint(name, name)} ${text}`;
    },
  };
}
