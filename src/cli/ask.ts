/** Questions on a terminal, and secrets from standard input. */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";

import { TscomposeError } from "../errors.ts";

import type { Terminal } from "./terminal.ts";

/** @param hidden what is typed is not shown */
export async function askLine(
  { stdin, stderr }: Terminal,
  question: string,
  { hidden }: { readonly hidden: boolean },
): Promise<string> {
  let muted = false;
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (!muted) stderr.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input: stdin, output, terminal: true });
  try {
    const answer = lines.question(question);
    muted = hidden;
    return (await answer).trim();
  } finally {
    lines.close();
    if (hidden) stderr.write("\n");
  }
}

const maxSecretBytes = 64 * 1024;

/** All of standard input, without the line end. @throws compose/usage for nothing, or more than 64 KiB */
export async function readSecret(stdin: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk as Buffer);
    size += bytes.length;
    if (size > maxSecretBytes) throw new TscomposeError("compose/usage", "the password is longer than 64 KiB");
    chunks.push(bytes);
  }
  const secret = Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
  if (secret === "") throw new TscomposeError("compose/usage", "the password on standard input is empty");
  return secret;
}
