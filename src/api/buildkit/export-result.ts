/** Gives the result of a build out to where the client wants it. */
import { TscomposeError } from "../../errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Build, BuildResult } from "./build.ts";
import type { Exporter } from "./exporters.ts";

/** @returns what clients write into metadata files */
export async function exportResult(
  engine: Engine,
  build: Build,
  result: BuildResult,
): Promise<ReadonlyMap<string, string>> {
  const response = new Map<string, string>();
  for (const exporter of build.exporters)
    for (const [key, value] of await exportOne(engine, build, { exporter, imageId: result.imageId }))
      response.set(key, value);
  return response;
}

async function exportOne(
  engine: Engine,
  build: Build,
  { exporter, imageId }: { readonly exporter: Exporter; readonly imageId: string },
): Promise<ReadonlyMap<string, string>> {
  if (exporter.kind !== "image")
    throw new TscomposeError("request/unsupported", `the output type ${exporter.kind} is not supported by this engine`);
  return await build.progress.exporting(exporter.title, async (tell) => {
    tell(`writing image ${imageId}`);
    for (const name of exporter.names) tell(`naming to ${name}`);
    const names = exporter.names.join(",");
    void engine;
    return new Map([
      ["containerimage.config.digest", imageId],
      ["containerimage.digest", imageId],
      ...(names === "" ? [] : ([["image.name", names]] as const)),
    ]);
  });
}
