/** Where the result of a build goes: what clients ask for by `-o`, `--load`, `--push`. Source: BuildKit exporter/*, `docs/reference/buildx_build.md`. */
import { TscomposeError } from "../../errors.ts";
import type { SolveRequest } from "./messages.ts";

export type Exporter =
  /** The engine's own store. */
  | { readonly kind: "image"; readonly names: readonly string[]; readonly push: boolean }
  /** An archive that the client takes. */
  | { readonly kind: "docker" | "oci"; readonly names: readonly string[] }
  /** The files: an archive, a folder of the client. */
  | { readonly kind: "tar" | "local" };
type Attributes = ReadonlyMap<string, string>;

function namesOf(attributes: Attributes): readonly string[] {
  return (attributes.get("name") ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "")
    .map(canonicalName);
}

/** With its registry and its tag. */
function canonicalName(name: string): string {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  const hasHost = first === "localhost" || /[.:]/.test(first);
  const full = hasHost ? name : `docker.io/${slash < 0 ? "library/" : ""}${name}`;
  return /[:@][^/]*$/.test(full.slice(full.indexOf("/"))) ? full : `${full}:latest`;
}

function exporterOf(type: string, attributes: Attributes): Exporter {
  switch (type) {
    case "moby":
    case "image":
    case "registry": {
      const push = type === "registry" || attributes.get("push") === "true";
      return { kind: "image", names: namesOf(attributes), push };
    }
    case "docker":
    case "oci":
      return { kind: type, names: namesOf(attributes) };
    case "tar":
    case "local":
      return { kind: type };
    default:
      throw new TscomposeError("request/unsupported", `the output type ${type} is not supported by this engine`, {
        hint: "use image, docker, oci, tar or local",
      });
  }
}

/** @throws request/unsupported */
export function exportersOf(request: SolveRequest): readonly Exporter[] {
  if (request.exporters.length > 0)
    return request.exporters.map(({ type = "", attributes = new Map() }) => exporterOf(type, attributes));
  return request.exporter === "" ? [] : [exporterOf(request.exporter, request.exporterAttributes)];
}

export function tagsOf(exporters: readonly Exporter[]): readonly string[] {
  return [...new Set(exporters.flatMap((exporter) => (exporter.kind === "image" ? exporter.names : [])))];
}
