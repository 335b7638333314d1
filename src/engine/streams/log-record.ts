/** The header of one line of conmon's log. Pure. A line is `<RFC 3339 with ns> <stream> <F|P> <text>`; P has no end of line of its
 *  own and is continued by the next one of its stream. Source: conmon, ctr_logging.c; Kubernetes CRI log format. */

const space = 0x20;

/** `line`: one whole line with its end. Out: where the parts of the record are; undefined when it is none. */
export function parseHeader(line: Buffer):
  | {
      readonly timeEnd: number;
      readonly stream: "stdout" | "stderr";
      /** The line ends here. */
      readonly complete: boolean;
      readonly text: number;
    }
  | undefined {
  const timeEnd = line.indexOf(space);
  // "stdout" and "stderr" have six letters: <time> SP <six> SP <tag> SP
  const tag = timeEnd + 8;
  if (timeEnd < 20 || tag + 1 >= line.length || line[tag - 1] !== space || line[tag + 1] !== space) return undefined;
  const name = line.toString("latin1", timeEnd + 1, tag - 1);
  if (name !== "stdout" && name !== "stderr") return undefined;
  if (line[tag] !== 0x46 && line[tag] !== 0x50) return undefined;
  return { timeEnd, stream: name, complete: line[tag] === 0x46, text: tag + 2 };
}
