import { setFlagsFromString } from "node:v8";

import { createFileSource } from "../compose/file-source.ts";
import type { FileSource } from "../spec/file-source.ts";

/** From this size on the compiler would be busy. */
const largeBytes = 16 * 1024;

/** The disk, for a command that is over before optimised code pays: compiling it took more than half of the CPU time of a
 *  `config` of 500 services. Not set for small projects: with the option set, Node takes no more modules of its own from its
 *  cache of compiled code. */
export function createCommandFileSource(): FileSource {
  const files = createFileSource();
  return {
    ...files,
    read(path, maxBytes) {
      const bytes = files.read(path, maxBytes);
      if (bytes !== undefined && bytes.length > largeBytes) setFlagsFromString("--interrupt-budget=2000000");
      return bytes;
    },
  };
}
