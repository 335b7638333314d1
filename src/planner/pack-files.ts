import { pack } from "tar-stream";

import type { InjectedFile } from "./create-body/injected-files.ts";

/** A tar of the files, for unpacking at `/`. */
export async function packFiles(files: readonly InjectedFile[]): Promise<Buffer> {
  const tar = pack();
  for (const { path, content, mode, uid, gid } of files) {
    tar.entry({ name: path.replace(/^\/+/, ""), mode, uid, gid, mtime: new Date() }, content);
  }
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
