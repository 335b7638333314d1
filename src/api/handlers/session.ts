/** `POST /session`: the connection on which BuildKit asks a client for credentials and files. Clients of `POST /build?version=2` open it
 *  beside the build and wait for questions; there are none here: the context is the body, credentials are in a header. */
import { TscomposeError } from "../../errors.ts";
import type { OutputChunk } from "../../engine/engine.ts";
import { rawStream } from "../call.ts";
import type { Handler } from "../call.ts";

/** The first bytes of an HTTP/2 server: empty settings (RFC 9113, 3.4 and 6.5). */
const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

export const session: Handler = (call) => {
  if (call.headers.upgrade?.toLowerCase() !== "h2c")
    return Promise.reject(new TscomposeError("request/not-found", "page not found"));
  let close: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => {
    close = resolve;
  });
  async function* output(): AsyncGenerator<OutputChunk, void, void> {
    yield { stream: "stdout", data: settings };
    await closed;
  }
  return Promise.resolve({
    kind: "hijack",
    multiplexed: false,
    stdin: true,
    contentType: rawStream,
    protocol: "h2c",
    session: {
      tty: false,
      output: output(),
      writeStdin: () => Promise.resolve(true),
      endStdin: close,
      detach: close,
    },
  });
};
