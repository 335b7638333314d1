/** Gives the result of a build out to where the client wants it. */
import { TscomposeError } from "../../errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { ResultFiles } from "../../engine/build/types.ts";
import type { Build } from "./build.ts";
import type { Exporter } from "./exporters.ts";
import { sendArchive, sendFolder } from "./file-send.ts";
import type { Destination } from "./file-send.ts";
import { sessionServices } from "./session-services.ts";

async function destinationOf(build: Build, index: number): Promise<Destination> {
  return { session: await build.session(), index, signal: build.signal };
}

/** Outputs that are files rather than an image. */
export async function exportFiles(build: Build, files: ResultFiles): Promise<void> {
  for (const [index, exporter] of build.exporters.entries()) {
    if (exporter.kind === "local")
      await build.progress.exporting("exporting to client directory", async (tell) => {
        await sendFolder(await destinationOf(build, index), files);
        tell("copying files");
      });
    else if (exporter.kind === "tar")
      await build.progress.exporting("exporting to client tarball", async (tell) => {
        await sendArchive(await destinationOf(build, index), files.tar());
        tell("sending tarball");
      });
  }
}

/** @returns what clients write into metadata files */
export async function exportImage(engine: Engine, build: Build, imageId: string): Promise<ReadonlyMap<string, string>> {
  const response = new Map<string, string>();
  for (const [index, exporter] of build.exporters.entries())
    for (const [key, value] of await exportOne(engine, build, { exporter, index, imageId })) response.set(key, value);
  return response;
}

async function exportOne(
  engine: Engine,
  build: Build,
  at: { readonly exporter: Exporter; readonly index: number; readonly imageId: string },
): Promise<ReadonlyMap<string, string>> {
  const { exporter, index, imageId } = at;
  switch (exporter.kind) {
    case "local":
    case "tar":
      return new Map();
    case "docker":
    case "oci":
      return await build.progress.exporting(`exporting to ${exporter.kind} image format`, async (tell) => {
        const archive = await engine.images.save([imageId], exporter.names);
        await sendArchive(await destinationOf(build, index), archive);
        tell("sending tarball");
        return described(imageId, exporter.names);
      });
    case "image":
      return await build.progress.exporting("exporting to image", async (tell) => {
        tell(`writing image ${imageId}`);
        for (const name of exporter.names) tell(`naming to ${name}`);
        if (exporter.push) await pushAll(engine, build, { names: exporter.names, tell });
        return described(imageId, exporter.names);
      });
  }
}

function described(imageId: string, names: readonly string[]): ReadonlyMap<string, string> {
  return new Map([
    ["containerimage.config.digest", imageId],
    ["containerimage.digest", imageId],
    ...(names.length === 0 ? [] : ([["image.name", names.join(",")]] as const)),
  ]);
}

async function pushAll(
  engine: Engine,
  build: Build,
  { names, tell }: { readonly names: readonly string[]; readonly tell: (line: string) => void },
): Promise<void> {
  if (names.length === 0)
    throw new TscomposeError("request/invalid", "an image without a name cannot be pushed", {
      hint: "name it with -t",
    });
  const services = sessionServices(await build.session(), build.signal);
  for (const name of names) {
    const registry = name.slice(0, name.indexOf("/"));
    const messages = await engine.images.push({
      reference: name,
      tag: undefined,
      platform: undefined,
      credentials: await services.credentials(registry),
      signal: build.signal,
    });
    for await (const message of messages)
      if (message.error !== undefined) throw new TscomposeError("registry/failed", message.error);
    tell(`pushing ${name}`);
  }
}
