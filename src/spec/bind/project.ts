import type { FileObject, Json, Model, Network, Service, Volume } from "../model.ts";
import type { Report } from "../report.ts";
import { secretContentKey } from "../resolve-environment.ts";
import { child, toPlain } from "../tree.ts";
import type { MapNode, Node } from "../tree.ts";
import { boolean, dict, field, integer, list, makeDict, string, struct } from "./decode.ts";
import type { BindContext, Decoder } from "./decode.ts";
import { labels, options, plainOptions, strings } from "./forms.ts";
import { service } from "./service.ts";

const emptyStruct = { always: () => ({}) };

const pool = struct([
  field("subnet", string),
  field("gateway", string),
  field("ip_range", string),
  field("aux_addresses", labels),
]);

const network = struct<Network>([
  field("name", string),
  field("driver", string),
  field("driver_opts", options),
  field("ipam", struct([field("driver", string), field("config", list(pool)), field("options", options)]), emptyStruct),
  field("external", boolean),
  field("internal", boolean),
  field("attachable", boolean),
  field("labels", labels),
  field("enable_ipv4", boolean, "given"),
  field("enable_ipv6", boolean, "given"),
]);

const volume = struct<Volume>([
  field("name", string),
  field("driver", string),
  field("driver_opts", options),
  field("external", boolean),
  field("labels", labels),
]);

const fileObjectFields = [
  field("name", string),
  field("file", string),
  field("environment", string),
  field("content", string),
  field("external", boolean),
  field("labels", labels),
  field("driver", string),
  field("driver_opts", plainOptions),
  field("template_driver", string),
];

const fileObject = struct<FileObject>(fileObjectFields);

/** The content that came from the environment is the secret's, and no extension. */
const secret: Decoder<FileObject> = (node, context) => {
  const bound = fileObject(node, context) as Record<string, unknown> | undefined;
  if (bound === undefined) return undefined;
  const content = bound[secretContentKey];
  delete bound[secretContentKey];
  return (typeof content === "string" && content !== "" ? { ...bound, content } : bound) as unknown as FileObject;
};

const model = struct<Model>([
  field("name", string),
  field("model", string),
  field("context_size", integer),
  field("runtime_flags", strings),
]);

export interface BoundModel {
  readonly services: Record<string, Service>;
  readonly networks: Record<string, Network>;
  readonly volumes: Record<string, Volume>;
  readonly secrets: Record<string, FileObject>;
  readonly configs: Record<string, FileObject>;
  readonly models: Record<string, Model>;
  readonly extensions: Record<string, Json>;
}

/** The canonical tree as a typed model. */
export function bind(root: MapNode, report: Report): BoundModel {
  const context: BindContext = { report, path: [] };
  return {
    services: section(root, "services", service, context),
    networks: section(root, "networks", network, context, { ipam: {} }),
    volumes: section(root, "volumes", volume, context, {}),
    secrets: section(root, "secrets", secret, context),
    configs: section(root, "configs", fileObject, context),
    models: section(root, "models", model, context),
    extensions: makeDict(
      [...root.entries]
        .filter(([key]) => key.startsWith("x-"))
        .map(([key, entry]): [string, Json] => [key, jsonOf(entry.value)]),
    ),
  };
}

function section<T>(
  root: MapNode,
  key: string,
  decode: Decoder<T>,
  context: BindContext,
  whenNothing?: T,
): Record<string, T> {
  const node = child(root, key);
  if (node === undefined) return makeDict([]);
  context.path.push(key);
  const bound = dict(decode, whenNothing)(node, context);
  context.path.pop();
  return bound ?? makeDict([]);
}

function jsonOf(node: Node): Json {
  return toPlain(node) as Json;
}
