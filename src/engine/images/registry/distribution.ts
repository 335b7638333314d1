/** `GET /distribution/{name}/json`: what a name stands for in its registry, without pulling it. */
import { isTscomposeError, TscomposeError } from "../../../errors.ts";
import type { DistributionInspect, DistributionRequest } from "../../engine.ts";
import { parseConfig } from "../manifest.ts";
import type { Platform } from "../platform.ts";
import { mirrorCredentials, openRepository, type RegistryAccess } from "../pull.ts";
import { parseReference, withDefaultTag } from "../reference.ts";
import { endpointsFor } from "./endpoint.ts";
import { fetchDocument, fetchManifest, type FetchedManifest, type Repository } from "./fetch.ts";

/** Mirrors come first, as with a pull.
 *  @throws request/invalid, image/not-found, image/pull-denied (status 403), registry/unreachable, registry/failed */
export async function inspectDistribution(
  access: RegistryAccess,
  request: DistributionRequest,
): Promise<DistributionInspect> {
  const reference = withDefaultTag(parseReference(request.reference));
  for (const endpoint of endpointsFor(reference.domain, access.config)) {
    const credentials = endpoint.mirror ? await mirrorCredentials(access, endpoint) : request.credentials;
    const repository = openRepository(access, { endpoint, reference, credentials, signal: request.signal });
    try {
      const fetched = await fetchManifest(repository, reference.digest ?? reference.tag ?? "latest");
      const { mediaType, digest, size } = fetched.descriptor;
      const platforms = await platformsOf(repository, fetched);
      return { Descriptor: { mediaType, digest, size }, Platforms: platforms.map(render) };
    } catch (error) {
      if (endpoint.mirror && !isTscomposeError(error, "aborted")) continue;
      throw isTscomposeError(error, "image/pull-denied") ? forbidden(error) : error;
    }
  }
  throw new TscomposeError("registry/failed", `no registry for ${request.reference}`);
}

async function platformsOf(repository: Repository, { content }: FetchedManifest): Promise<readonly Platform[]> {
  if (content.kind === "index") return content.entries.flatMap(({ platform }) => platform ?? []);
  const bytes = await fetchDocument(repository, content.config);
  try {
    const { os, architecture, variant } = parseConfig(bytes, `configuration of ${repository.name}`);
    return [{ os, architecture, variant }];
  } catch (error) {
    if (isTscomposeError(error, "image/invalid")) return []; // an artifact that is no image has a digest, too
    throw error;
  }
}

function render({ os, architecture, variant }: Platform): DistributionInspect["Platforms"][number] {
  return { architecture, os, ...(variant === undefined ? {} : { variant }) };
}

/** A pull says 404, lest it tells which repositories there are; here Docker passes the refusal on. */
function forbidden(error: TscomposeError): TscomposeError {
  return new TscomposeError("image/pull-denied", error.message, {
    cause: error,
    details: { httpStatus: 403 },
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
