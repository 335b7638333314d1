import { omitEmptyDns, toCanonical } from "./canonical.ts";
import type { ChainLink } from "./diagnostic.ts";
import { lookupIn } from "./env-context.ts";
import type { VariableScope } from "./env-context.ts";
import { interpolate } from "./interpolate.ts";
import { linkTo } from "./layer.ts";
import type { LoadContext } from "./layer.ts";
import { mergeTrees } from "./merge.ts";
import { nearestName } from "./near-miss.ts";
import { absolutePath, directoryOf, relativePath } from "./paths.ts";
import { readDocuments } from "./read-documents.ts";
import { isRemote, reportRemote } from "./remote.ts";
import { applyResets, gatherResets } from "./resets.ts";
import { resolvePaths } from "./resolve-paths.ts";
import { child, isNull, map, mapChildren, stringAt, withoutKey } from "./tree.ts";
import type { MapNode, Node, TreePath } from "./tree.ts";
import { enforceUnicity } from "./unique.ts";

/** What the services of one document may extend, and from where. */
export interface ExtendsScope {
  readonly context: LoadContext;
  /** Absolute. Files are looked for from here, and paths of what they hold are made relative to it. */
  readonly directory: string;
  readonly scope: VariableScope;
  readonly resets: readonly TreePath[];
}

interface Reference {
  readonly file: string;
  readonly service: string;
}

/** Replaces every `extends` of the document by what it stands for. Only this document (and what it included) is looked at:
 *  a service of an override file cannot extend one of the base file. */
export function applyExtends(document: Node, scope: ExtendsScope): Node {
  return mapChildren(document, (services, section) => {
    if (section !== "services" || services.kind !== "map") return services;
    const resolved = new Map<string, Node>();
    return mapChildren(services, (service, name) => {
      return extendService(name, { services, resolved, resets: scope.resets }, [], scope) ?? service;
    });
  });
}

/** The services a name is looked up in: those of the document, or of the file that is extended. */
interface Pool {
  readonly services: MapNode;
  readonly resolved: Map<string, Node>;
  readonly resets: readonly TreePath[];
}

function extendService(name: string, pool: Pool, trail: readonly Reference[], scope: ExtendsScope): Node | undefined {
  const done = pool.resolved.get(name);
  if (done !== undefined) return done;
  const service = child(pool.services, name);
  const extension = child(service, "extends");
  if (service?.kind !== "map" || extension === undefined || isNull(extension)) return service;
  const target = extension.kind === "map" ? stringAt(extension, "service") : extension;
  const reference = typeof target === "string" ? target : textOf(target);
  if (reference === undefined) return service;
  const file = stringAt(extension, "file");
  const here: Reference = { file: file ?? service.file.path, service: name };
  const cycle = trail.findIndex((link) => link.file === here.file && link.service === here.service);
  if (cycle !== -1) {
    reportCycle([...trail.slice(cycle), here], extension, scope);
    return withoutKey(service, "extends");
  }
  const basePool = file === undefined ? pool : readBasePool(file, name, extension, scope);
  if (basePool === undefined) return withoutKey(service, "extends");
  if (!basePool.services.entries.has(reference)) {
    reportMissing(name, reference, file, extension, basePool, scope);
    return withoutKey(service, "extends");
  }
  const base = extendService(reference, basePool, [...trail, here], scope);
  if (base === undefined || isNull(base)) return service;
  const reset = applyResets(base, pool.resets, ["services", name]);
  const merged = mergeTrees(reset, withoutKey(service, "extends"), ["services", name], {
    report: scope.context.report,
  });
  const result = merged.kind === "map" ? withoutKey(merged, "extends") : merged;
  pool.resolved.set(name, result);
  return result;
}

function textOf(node: Node | undefined): string | undefined {
  return node?.kind === "scalar" && typeof node.value === "string" ? node.value : undefined;
}

function reportCycle(trail: readonly Reference[], at: Node, scope: ExtendsScope): void {
  const names = trail.map((link) => link.service).join(" -> ");
  scope.context.report.error({
    code: "cycle",
    message: `services extend each other in a circle: ${names}`,
    path: ["services", trail.at(-1)?.service ?? "", "extends"],
    at,
  });
}

function reportMissing(
  name: string,
  reference: string,
  file: string | undefined,
  at: Node,
  pool: Pool,
  scope: ExtendsScope,
): void {
  const near = nearestName(reference, [...pool.services.entries.keys()]);
  scope.context.report.error({
    code: "extends",
    message: `service "${name}" extends "${reference}", which ${file ?? "this file"} does not have`,
    path: ["services", name, "extends"],
    at,
    suggestion: near === undefined ? undefined : `did you mean "${near}"?`,
  });
}

function readBasePool(file: string, name: string, at: Node, scope: ExtendsScope): Pool | undefined {
  const { context, directory } = scope;
  if (isRemote(file)) {
    reportRemote(file, ["services", name, "extends", "file"], at, context.report);
    return undefined;
  }
  const path = absolutePath(file, directory);
  const chain: readonly ChainLink[] = [linkTo(at, "extended by", `service "${name}"`), ...at.file.chain];
  const before = context.report.errors;
  const documents = readDocuments(path, "extends", chain, context);
  context.scopes.set(path, scope.scope);
  if (documents === undefined) return undefined;
  let merged: Node = map(new Map(), at);
  const resets: TreePath[] = [];
  for (const document of documents) {
    const gathered = gatherResets(document);
    resets.push(...gathered.paths);
    if (gathered.tree !== undefined) merged = mergeDocument(merged, gathered.tree, gathered.paths, scope);
  }
  const services = child(merged, "services");
  if (context.report.errors > before) return undefined;
  if (services?.kind !== "map") {
    const message = `service "${name}" extends a service of ${file}, which has no services`;
    context.report.error({ code: "extends", message, path: ["services", name, "extends"], at });
    return undefined;
  }
  const base = relativePath(directory, directoryOf(path)) ?? directoryOf(path);
  const { files, report, home } = context;
  const resolved = child(resolvePaths(merged, { base, home, files, report }), "services");
  return { services: resolved?.kind === "map" ? resolved : services, resolved: new Map(), resets };
}

/** The extended file is merged and made canonical, and neither validated nor given defaults: only the result counts. */
function mergeDocument(merged: Node, document: Node, resets: readonly TreePath[], scope: ExtendsScope): Node {
  const { context } = scope;
  const { report } = context;
  const uninterpolated = context.without.has("interpolation");
  const interpolated = uninterpolated ? document : interpolate(document, lookupIn(scope.scope), report);
  const joined = mergeTrees(applyResets(merged, resets), interpolated, [], { report });
  const canonical = omitEmptyDns(toCanonical(enforceUnicity(joined, report), { report, uninterpolated }));
  return enforceUnicity(canonical, report);
}
