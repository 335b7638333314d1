/** Commands in containers of a real engine, and tar archives by hand, for the tests beside it. */
import { buffer } from "node:stream/consumers";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { splitFrames, type EngineProcess } from "../../support/engine-process.ts";

export async function execIn(
  engine: EngineProcess,
  id: string,
  ...command: string[]
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const exec = await engine.docker.getContainer(id).exec({ Cmd: command, AttachStdout: true, AttachStderr: true });
  const stream = await exec.start();
  stream.end();
  const output = splitFrames(await buffer(stream));
  return { code: (await exec.inspect()).ExitCode, ...output };
}

/** Path -> content; `-> target` makes a symlink. */
export function tarOf(files: Readonly<Record<string, string>>): Buffer {
  const dir = mkdtempSync(join(tmpdir(), "tar-"));
  try {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      if (content.startsWith("-> ")) symlinkSync(content.slice(3), join(dir, path));
      else writeFileSync(join(dir, path), content);
    }
    return execFileSync("tar", ["-C", dir, "-cf", "-", ...Object.keys(files)]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Names in a tar archive, as tar prints them. */
export function namesIn(archive: Buffer): string[] {
  return execFileSync("tar", ["-tf", "-"], { input: archive }).toString().trim().split("\n");
}

/** Content of one file of a tar archive. */
export function fileIn(archive: Buffer, name: string): string {
  return execFileSync("tar", ["-xOf", "-", name], { input: archive }).toString();
}
