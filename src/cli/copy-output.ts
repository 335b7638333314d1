import type { Readable } from "node:stream";

import { demux } from "../client/docker.ts";

export interface OutputTargets {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** One raw stream, of which all goes to stdout. */
  readonly tty: boolean;
}

/** Copies what a process writes, at the pace of the reader, until it ends. */
export async function copyOutput(source: Readable, { stdout, stderr, tty }: OutputTargets): Promise<void> {
  if (tty) {
    for await (const chunk of source) await write(stdout, chunk as Buffer);
    return;
  }
  for await (const { stream, data } of demux(source)) await write(stream === "stdout" ? stdout : stderr, data);
}

async function write(target: NodeJS.WriteStream, data: Buffer): Promise<void> {
  if (!target.write(data)) await new Promise<void>((resolve) => target.once("drain", () => resolve()));
}
