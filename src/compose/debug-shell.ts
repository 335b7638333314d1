import type { ComposeContext } from "./context.ts";
import type { ProcessSession } from "./exec.ts";

/** A shell in a new container of an image that is only there for it; both are removed when it ends. */
export async function debugShell(
  { docker }: ComposeContext,
  image: string,
  { tty, attach }: { readonly tty: boolean; readonly attach: (session: ProcessSession) => Promise<number> },
): Promise<void> {
  const container = await docker.createContainer({
    Image: image,
    Cmd: ["/bin/sh"],
    Tty: tty,
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Labels: { "tscompose.debug-shell": "true" },
  });
  try {
    const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true });
    const ended = container.wait({ condition: "next-exit" });
    ended.catch(() => undefined);
    await container.start();
    await attach({
      stream,
      tty,
      resize: (h, w) => container.resize({ h, w }),
      exitCode: async () => (await ended).StatusCode,
    });
  } finally {
    await container.remove({ force: true, v: true });
    await docker.getImage(image).remove({ force: true });
  }
}
