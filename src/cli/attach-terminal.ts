import type { ProcessSession } from "../compose/exec.ts";
import { TscomposeError } from "../errors.ts";

import type { App } from "./app.ts";
import type { Terminal } from "./terminal.ts";

export interface TtyFlags {
  readonly tty: boolean | undefined;
  readonly noTty: boolean | undefined;
  readonly interactive: boolean;
}

/** A terminal where output and input are one, unless `-T`. @throws compose/usage when one is asked for and there is none. */
export function wantsTty(
  { stdin, stdout }: Pick<Terminal, "stdin" | "stdout">,
  { tty, noTty, interactive }: TtyFlags,
): boolean {
  if (noTty === true) return false;
  const possible = stdout.isTTY === true && (!interactive || stdin.isTTY === true);
  if (tty === true && interactive && stdin.isTTY !== true) {
    throw new TscomposeError("compose/usage", "the input device is not a TTY", { hint: "leave out -t, or add -T" });
  }
  return tty ?? possible;
}

/** Connects the terminal to a process until that ends. Returns its exit code. */
export async function attachTerminal(
  app: App,
  session: ProcessSession,
  { interactive }: { readonly interactive: boolean },
): Promise<number> {
  const { stdin, stdout, stderr } = app.terminal;
  const { stream, tty } = session;
  const raw = tty && stdin.isTTY === true;
  const resize = (): void => {
    session.resize(stdout.rows ?? 24, stdout.columns ?? 80).catch(() => undefined);
  };
  const { copyOutput } = await import("./copy-output.ts");
  if (raw) {
    stdin.setRawMode(true);
    stdout.on("resize", resize);
    resize();
  }
  const forward = (chunk: Buffer): void => {
    if (!stream.write(chunk)) {
      stdin.pause();
      stream.once("drain", () => stdin.resume());
    }
  };
  const finish = (): void => void stream.end();
  if (interactive) {
    stdin.on("data", forward);
    stdin.once("end", finish);
  } else stream.end();
  try {
    await copyOutput(stream, { stdout, stderr, tty });
    return await session.exitCode();
  } finally {
    stdin.off("data", forward);
    stdin.off("end", finish);
    stdin.pause();
    if (raw) {
      stdin.setRawMode(false);
      stdout.off("resize", resize);
    }
    stream.destroy();
  }
}
