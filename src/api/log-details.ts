/** Pure: `docker logs --details`: what the log options `labels` and `env` choose, in front of each line, after its time.
 *  Source: Docker log options "labels" and "env"; moby daemon/logger. */
import type { OutputChunk } from "../engine/engine.ts";
import type { ContainerInspect } from "./wire.ts";

/** `k=v,k2=v2 `, keys and values percent-encoded, sorted; one space where nothing is chosen. */
export function logDetails({ Config, HostConfig }: Pick<ContainerInspect, "Config" | "HostConfig">): string {
  const options = HostConfig.LogConfig?.Config ?? {};
  const chosen = (key: string): readonly string[] => (options[key] ?? "").split(",").filter((name) => name !== "");
  const environment = new Map((Config.Env ?? []).map((entry) => splitOnce(entry)));
  const labels = new Map(Object.entries(Config.Labels ?? {}));
  const pick = (names: readonly string[], values: ReadonlyMap<string, string>): readonly string[] =>
    names.filter((name) => values.has(name)).map((name) => `${encode(name)}=${encode(values.get(name) ?? "")}`);
  return `${[...pick(chosen("labels"), labels), ...pick(chosen("env"), environment)].toSorted().join(",")} `;
}

function splitOnce(entry: string): readonly [string, string] {
  const at = entry.indexOf("=");
  return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
}

const encode = (text: string): string => encodeURIComponent(text).replaceAll("%20", "+");

/** Puts `details` into the first chunk of each line; lines of the two streams may interleave. */
export async function* withDetails(
  chunks: AsyncIterable<OutputChunk>,
  details: string,
  timestamps: boolean,
): AsyncGenerator<OutputChunk, void, void> {
  const inLine = new Set<OutputChunk["stream"]>();
  for await (const { stream, data } of chunks) {
    const first = !inLine.has(stream);
    if (data.at(-1) === 10) inLine.delete(stream);
    else inLine.add(stream);
    if (!first) yield { stream, data };
    else {
      const start = timestamps ? data.indexOf(" ") + 1 : 0;
      yield { stream, data: Buffer.concat([data.subarray(0, start), Buffer.from(details), data.subarray(start)]) };
    }
  }
}
