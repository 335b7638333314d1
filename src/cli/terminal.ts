/** Where output goes and input comes from. */
export interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** Opening a stream costs a millisecond or more, and few commands need all three: each is opened when it is first asked for.
 *  `onOutput` gets the two that are written to. */
export function processTerminal(onOutput: (stream: NodeJS.WriteStream) => void): Terminal {
  const opened = new Set<NodeJS.WriteStream>();
  const open = (stream: NodeJS.WriteStream): NodeJS.WriteStream => {
    if (!opened.has(stream)) onOutput(stream);
    opened.add(stream);
    return stream;
  };
  return {
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      return open(process.stdout);
    },
    get stderr() {
      return open(process.stderr);
    },
    environment: process.env,
    cwd: process.cwd(),
  };
}

/** Writes a text that ends in a line end; an empty one writes nothing. */
export function printLines(stream: NodeJS.WriteStream, lines: readonly string[]): void {
  if (lines.length > 0) stream.write(`${lines.join("\n")}\n`);
}
