/** Docker's oldest archive format: a folder a layer (`<id>/json`, `<id>/layer.tar`), each naming its parent, and `repositories`.
 *  Pure but for reading the members. Source: docker image-spec v1. */
import { TscomposeError } from "../../../errors.ts";
import type { ContainerConfig, OciImageConfig } from "../../types.ts";
import { isObject, parseObject, type JsonObject } from "../json.ts";
import { parseConfig } from "../manifest.ts";
import { canonicalName, parseReference } from "../reference.ts";
import type { ArchivedImage, ArchiveMembers } from "./members.ts";

const maxDepth = 500;

/** One image for each top layer that has a name.
 *  @throws image/invalid */
export function legacyImages(members: ArchiveMembers): readonly ArchivedImage[] {
  const repositories = parseObject(members.document("repositories"), "repositories");
  const tagsOfTop = new Map<string, string[]>();
  for (const [name, tags] of Object.entries(repositories)) {
    for (const [tag, id] of Object.entries(isObject(tags) ? tags : {})) {
      if (typeof id !== "string")
        throw new TscomposeError("image/invalid", "repositories names an image that is no id");
      const canonical = canonicalName(parseReference(`${name}:${tag}`));
      tagsOfTop.set(id, [...(tagsOfTop.get(id) ?? []), canonical]);
    }
  }
  return [...tagsOfTop].map(([id, tags]) => legacyImage(members, id, tags));
}

function legacyImage(members: ArchiveMembers, id: string, tags: readonly string[]): ArchivedImage {
  const chain: { readonly id: string; readonly json: JsonObject }[] = [];
  for (let at: unknown = id; typeof at === "string";) {
    if (!/^[a-f0-9]{64}$/.test(at) || chain.length >= maxDepth)
      throw new TscomposeError("image/invalid", `wrong layer id ${at}`);
    const json: JsonObject = parseObject(members.document(`${at}/json`), `${at}/json`);
    chain.unshift({ id: at, json });
    at = json["parent"];
  }
  const top = chain.at(-1)?.json ?? {};
  const layerMembers = chain.map((layer) => `${layer.id}/layer.tar`);
  const config: OciImageConfig = {
    architecture: text(top["architecture"]) ?? "amd64",
    os: text(top["os"]) ?? "linux",
    ...optional("created", text(top["created"])),
    ...optional("author", text(top["author"])),
    ...(isObject(top["config"]) ? { config: top["config"] as ContainerConfig } : {}),
    rootfs: { type: "layers", diff_ids: layerMembers.map((member) => members.digest(member)) },
    history: chain.map(({ json }) => ({
      ...optional("created", text(json["created"])),
      ...optional("created_by", createdBy(json)),
    })),
  };
  const configBytes = Buffer.from(JSON.stringify(config));
  return { configBytes, config: parseConfig(configBytes, `image ${id}`), tags, layerMembers, manifest: undefined };
}

function createdBy(json: JsonObject): string | undefined {
  const container = json["container_config"];
  const command = isObject(container) ? container["Cmd"] : undefined;
  return Array.isArray(command) ? command.join(" ") : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function optional<K extends string>(key: K, value: string | undefined): { readonly [P in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: string });
}
