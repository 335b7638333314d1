/** The name of a tar entry -> components below the root, as bytes. Pure. */
import { TscomposeError } from "../../../errors.ts";

/** PATH_MAX: no longer path could be used by anybody. */
const maxPathBytes = 4096;

/** Without empty and `.` components; `a/../b` is `b`. An empty list is the root itself.
 *  @throws image/invalid for a name that leads above the root, is too long or holds a NUL */
export function entryComponents(name: Buffer): Buffer[] {
  if (name.length > maxPathBytes) throw refuse(name, "is longer than 4096 bytes");
  if (name.includes(0)) throw refuse(name, "holds a NUL");
  const parts: Buffer[] = [];
  let start = 0;
  while (start <= name.length) {
    const slash = name.indexOf(0x2f, start);
    const end = slash < 0 ? name.length : slash;
    const length = end - start;
    if (length === 2 && name[start] === 0x2e && name[start + 1] === 0x2e) {
      if (parts.pop() === undefined) throw refuse(name, "leads out of the root");
    } else if (length > 0 && !(length === 1 && name[start] === 0x2e)) {
      parts.push(name.subarray(start, end));
    }
    start = end + 1;
  }
  return parts;
}

function refuse(name: Buffer, why: string): TscomposeError {
  return new TscomposeError("image/invalid", `layer entry ${JSON.stringify(name.toString("utf8", 0, 200))} ${why}`);
}

/** As text, for names that are only compared. */
export function joinedPath(parts: readonly Buffer[]): string {
  return parts.map((part) => part.toString("utf8")).join("/");
}
