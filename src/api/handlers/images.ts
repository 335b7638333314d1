/** Images: lists, pulls, pushes, archives. */
import { TscomposeError, errorMessage, isTscomposeError } from "../../errors.ts";
import { readCredentials } from "../body.ts";
import { empty, ok, parameter } from "../call.ts";
import type { Call, Handler, Reply } from "../call.ts";
import { readBoolean, readFilters, readPlatform, readText } from "../query.ts";
import type { ProgressMessage } from "../wire.ts";

const name = (call: Call): string => parameter(call, "name");

export const list: Handler = async (call, engine) =>
  ok(
    await engine.images.list({
      all: readBoolean(call.query, "all"),
      filters: readFilters(call.query, ["before", "dangling", "label", "reference", "since", "until"]),
      manifests: readBoolean(call.query, "manifests"),
    }),
  );
export const inspect: Handler = async (call, engine) =>
  ok(
    await engine.images.inspect(name(call), {
      platform: readPlatform(call.query),
      manifests: readBoolean(call.query, "manifests"),
    }),
  );
export const history: Handler = async (call, engine) =>
  ok(await engine.images.history(name(call), { platform: readPlatform(call.query) }));
export const tag: Handler = async (call, engine) => {
  const repo = readText(call.query, "repo");
  if (repo === undefined) throw new TscomposeError("request/invalid", "invalid reference format: repo is empty");
  await engine.images.tag(name(call), repo, readText(call.query, "tag"));
  return empty(201);
};
export const remove: Handler = async (call, engine) =>
  ok(
    await engine.images.remove(name(call), {
      force: readBoolean(call.query, "force"),
      noPrune: readBoolean(call.query, "noprune"),
    }),
  );
export const prune: Handler = async (call, engine) =>
  ok(await engine.images.prune(readFilters(call.query, ["dangling", "label", "label!", "until"])));

/** `fromImage` pulls, `fromSrc=-` imports the body. */
export const create: Handler = async (call, engine) => {
  const image = readText(call.query, "fromImage");
  const platform = readText(call.query, "platform");
  if (image !== undefined) {
    const reference = joinReference(image, readText(call.query, "tag"));
    const credentials = readCredentials(call.headers);
    return progress(await engine.images.pull({ reference, platform, credentials, signal: call.signal }));
  }
  const source = readText(call.query, "fromSrc");
  if (source === undefined) throw new TscomposeError("request/invalid", "one of fromImage and fromSrc must be given");
  if (source !== "-") {
    throw new TscomposeError("request/unsupported", "importing from a URL is not supported by this engine", {
      hint: "fetch the archive and import it from standard input",
    });
  }
  const repo = readText(call.query, "repo");
  const reference = repo === undefined ? undefined : joinReference(repo, readText(call.query, "tag"));
  const message = readText(call.query, "message") ?? "";
  const options = { reference, message, changes: call.query.getAll("changes"), platform };
  return progress(engine.images.importTar(call.bytes(), options));
};

/** A tag parameter may be a digest. Without one the name stays as it is. */
export function joinReference(image: string, tagOrDigest: string | undefined): string {
  if (tagOrDigest === undefined) return image;
  return `${image}${tagOrDigest.includes(":") ? "@" : ":"}${tagOrDigest}`;
}

export const push: Handler = async (call, engine) =>
  progress(
    await engine.images.push({
      reference: name(call),
      tag: readText(call.query, "tag"),
      platform: readPlatform(call.query),
      credentials: readCredentials(call.headers),
      signal: call.signal,
    }),
  );
export const load: Handler = (call, engine) =>
  Promise.resolve(progress(engine.images.load(call.bytes(), { platform: readPlatform(call.query) })));

function progress(messages: AsyncIterable<ProgressMessage>): Reply {
  return { kind: "stream", contentType: "application/json", chunks: progressLines(messages) };
}
/** A failure after the headers is the last line. */
async function* progressLines(messages: AsyncIterable<ProgressMessage>): AsyncGenerator<Buffer, void, void> {
  const line = (message: ProgressMessage): Buffer => Buffer.from(`${JSON.stringify(message)}\r\n`);
  try {
    for await (const message of messages) yield line(message);
  } catch (error) {
    const message = errorMessage(error);
    const hint = isTscomposeError(error) && error.hint !== undefined ? { hint: error.hint } : {};
    yield line({ errorDetail: { message, ...hint }, error: message });
  }
}

const tar = (chunks: AsyncIterable<Buffer>): Reply => ({ kind: "stream", contentType: "application/x-tar", chunks });
export const save: Handler = async (call, engine) =>
  tar(await engine.images.save([name(call)], undefined, { platform: readPlatform(call.query) }));
export const saveMany: Handler = async (call, engine) => {
  const names = call.query.getAll("names").filter((item) => item !== "");
  if (names.length === 0) throw new TscomposeError("request/invalid", "no image named");
  return tar(await engine.images.save(names, undefined, { platform: readPlatform(call.query) }));
};
