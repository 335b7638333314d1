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

/** Puts `details` into each line. A chunk may hold several lines, and pieces of lines; those of the two streams interleave. */
export async function* withDetails(
  chunks: AsyncIterable<OutputChunk>,
  details: string,
  timestamps: boolean,
): AsyncGenerator<OutputChunk, void, void> {
  const inLine = new Set<OutputChunk["stream"]>();
  for await (const { stream, data } of chunks) {
    const pieces: Buffer[] = [];
    for (let start = 0; start < data.length;) {
      const newline = data.indexOf(10, start);
      const end = newline < 0 ? data.length : newline + 1;
      const textStart = timestamps ? data.indexOf(" ", start) + 1 : start;
      if (inLine.has(stream)) pieces.push(data.subarray(start, end));
      else pieces.push(data.subarray(start, textStart), Buffer.from(details), data.subarray(textStart, end));
      if (newline < 0) inLine.add(stream);
      else inLine.delete(stream);
      start = end;
    }
    yield { stream, data: Buffer.concat(pieces) };
  }
}
