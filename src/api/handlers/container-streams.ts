/** Containers: attach, logs, stats and archives. */
import type { OutputChunk } from "../../engine/engine.ts";
import { TscomposeError, errorMessage } from "../../errors.ts";
import { empty, parameter, stdioContentType } from "../call.ts";
import type { Call, Handler } from "../call.ts";
import { logDetails, withDetails } from "../log-details.ts";
import { readBoolean, readMoment, readText } from "../query.ts";
import { encodeFrame } from "../stdcopy.ts";
import type { ArchiveStat } from "../wire.ts";

const id = (call: Call): string => parameter(call, "id");

export const attach: Handler = async (call, engine) => {
  const stdin = readBoolean(call.query, "stdin");
  const session = await engine.containers.attach(id(call), {
    stdin,
    stdout: readBoolean(call.query, "stdout"),
    stderr: readBoolean(call.query, "stderr"),
    logs: readBoolean(call.query, "logs"),
    stream: readBoolean(call.query, "stream"),
    detachKeys: readText(call.query, "detachKeys"),
  });
  const multiplexed = !session.tty;
  return { kind: "hijack", session, multiplexed, stdin, contentType: stdioContentType(multiplexed, call.minor) };
};

/** "all", a negative number and what is no number mean all. */
function readTail(call: Call): number | undefined {
  const text = call.query.get("tail") ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

export const logs: Handler = async (call, engine) => {
  const [stdout, stderr] = [readBoolean(call.query, "stdout"), readBoolean(call.query, "stderr")];
  if (!stdout && !stderr) {
    throw new TscomposeError("request/invalid", "Bad parameters: you must choose at least one stream");
  }
  const { tty, chunks } = await engine.containers.logs(
    id(call),
    {
      stdout,
      stderr,
      follow: readBoolean(call.query, "follow"),
      timestamps: readBoolean(call.query, "timestamps"),
      sinceNs: readMoment(call.query, "since"),
      untilNs: readMoment(call.query, "until"),
      tail: readTail(call),
    },
    call.signal,
  );
  const contentType = stdioContentType(!tty, call.minor);
  if (!readBoolean(call.query, "details")) return { kind: "stream", contentType, chunks: logBytes(chunks, tty) };
  const details = logDetails(await engine.containers.inspect(id(call), { size: false }));
  const detailed = withDetails(chunks, details, readBoolean(call.query, "timestamps"));
  return { kind: "stream", contentType, chunks: logBytes(detailed, tty) };
};

async function* logBytes(chunks: AsyncIterable<OutputChunk>, tty: boolean): AsyncGenerator<Buffer, void, void> {
  try {
    for await (const { stream, data } of chunks) {
      yield tty ? data : encodeFrame(stream === "stderr" ? "stderr" : "stdout", data);
    }
  } catch (error) {
    const text = Buffer.from(`Error grabbing logs: ${errorMessage(error)}\n`);
    yield tty ? text : encodeFrame("error", text);
  }
}

export const stats: Handler = async (call, engine) => {
  const options = { stream: readBoolean(call.query, "stream", true), oneShot: readBoolean(call.query, "one-shot") };
  const samples = await engine.containers.stats(id(call), options, call.signal);
  return { kind: "stream", contentType: "application/json", chunks: jsonLines(samples) };
};

async function* jsonLines(values: AsyncIterable<object>): AsyncGenerator<Buffer, void, void> {
  for await (const value of values) yield Buffer.from(`${JSON.stringify(value)}\n`);
}

function readPath(call: Call): string {
  const path = readText(call.query, "path");
  if (path === undefined) throw new TscomposeError("request/invalid", "bad parameter: path cannot be empty");
  return path;
}
function statHeader(stat: ArchiveStat): Readonly<Record<string, string>> {
  return { "X-Docker-Container-Path-Stat": Buffer.from(JSON.stringify(stat)).toString("base64") };
}

export const archiveStat: Handler = async (call, engine) => ({
  kind: "empty",
  status: 200,
  headers: statHeader(await engine.containers.statPath(id(call), readPath(call))),
});
export const archiveGet: Handler = async (call, engine) => {
  const { stat, tar } = await engine.containers.getArchive(id(call), readPath(call));
  return { kind: "stream", contentType: "application/x-tar", chunks: tar, headers: statHeader(stat) };
};
export const archivePut: Handler = async (call, engine) => {
  await engine.containers.putArchive(id(call), readPath(call), call.bytes(), {
    noOverwriteDirNonDir: readBoolean(call.query, "noOverwriteDirNonDir"),
    copyUidGid: readBoolean(call.query, "copyUIDGID"),
  });
  return empty(200);
};
export const exportTar: Handler = async (call, engine) => ({
  kind: "stream",
  contentType: "application/octet-stream",
  chunks: await engine.containers.export(id(call)),
});
