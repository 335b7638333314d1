/** The log of a container, as the API asks for it. */
import { TscomposeError } from "../../errors.ts";
import type { Inotify } from "../../host/inotify.ts";
import type { Container } from "../containers/container.ts";
import type { LogOptions, OutputChunk } from "../engine.ts";
import { planLog } from "./log-config.ts";
import { readLog } from "./log-reader.ts";

/** Following ends when the container does. @throws request/unsupported for a container whose output is not kept */
export function containerLogs(
  container: Container,
  options: LogOptions,
  context: { readonly inotify: Inotify; readonly signal: AbortSignal },
): { readonly tty: boolean; readonly chunks: AsyncIterable<OutputChunk> } {
  const { config, hostConfig } = container.record;
  if (!planLog(hostConfig.LogConfig).readable) {
    throw new TscomposeError("request/unsupported", "configured logging driver does not support reading");
  }
  const tty = config.Tty === true;
  const onEnd = (callback: () => void): (() => void) => {
    if (!container.alive) callback();
    return container.onUpdate(() => {
      if (!container.alive) callback();
    });
  };
  return { tty, chunks: readLog({ path: container.paths.log, tty, onEnd }, options, context) };
}
