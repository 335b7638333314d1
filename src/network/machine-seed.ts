/** Random bytes that stay the same for a data root: from them come its unique local IPv6 addresses (RFC 4193). */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeAtomic } from "../host/atomic-file.ts";

export function readMachineSeed(dataDir: string): Buffer {
  const path = join(dataDir, "ula-seed");
  if (existsSync(path)) {
    const seed = Buffer.from(readFileSync(path, "utf8").trim(), "hex");
    if (seed.length === 8) return seed;
  }
  const seed = randomBytes(8);
  writeAtomic(path, `${seed.toString("hex")}\n`);
  return seed;
}
