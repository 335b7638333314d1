/** Intel's Intelligent Storage Acceleration Library: optional (Debian: libisal2). Source: isa-l, include/igzip_lib.h. */
import { koffi } from "./libc.ts";

export type IsalLibrary = ReturnType<typeof bind>;
let loaded: IsalLibrary | undefined | "unknown" = "unknown";

/** Undefined where it is not installed. */
export function isalLibrary(): IsalLibrary | undefined {
  if (loaded === "unknown") {
    try {
      loaded = bind();
    } catch {
      loaded = undefined;
    }
  }
  return loaded;
}

function bind() {
  const isal = koffi.load("libisal.so.2");
  return {
    initInflate: isal.func("isal_inflate_init", "void", ["void *"]),
    inflate: isal.func("isal_inflate", "int", ["void *"]),
    initDeflate: isal.func("isal_deflate_stateless_init", "void", ["void *"]),
    deflate: isal.func("isal_deflate_stateless", "int", ["void *"]),
  };
}

type Step = IsalLibrary["inflate"];

/** One call on another thread. @returns its code */
export function onThread(step: Step, state: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    step.async(state, (error: Error | null | undefined, code: number) =>
      error === null || error === undefined ? resolve(code) : reject(error),
    );
  });
}
