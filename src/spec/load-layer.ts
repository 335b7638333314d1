import { omitEmptyDns, toCanonical } from "./canonical.ts";
import { checkTree } from "./check-tree.ts";
import { setDefaults } from "./defaults.ts";
import { lookupIn } from "./env-context.ts";
import { applyExtends } from "./extends.ts";
import { applyInclude } from "./include.ts";
import { interpolate } from "./interpolate.ts";
import { stopLoading, stopOnErrors } from "./layer.ts";
import type { Layer, LoadContext } from "./layer.ts";
import { mergeTrees } from "./merge.ts";
import { readDocuments } from "./read-documents.ts";
import { applyResets, gatherResets } from "./resets.ts";
import { resolveEnvironment } from "./resolve-environment.ts";
import { resolvePaths } from "./resolve-paths.ts";
import { validateTree } from "./schema/validate.ts";
import { child, keySpan, map, withoutKey } from "./tree.ts";
import type { MapNode, Node, TreePath } from "./tree.ts";
import { enforceUnicity } from "./unique.ts";

/** A document on its way into the tree of its layer. */
interface DocumentState {
  readonly layer: Layer;
  readonly context: LoadContext;
  readonly document: MapNode;
  readonly resets: readonly TreePath[];
  /** Everything merged before this document; after the `merge` phase, this document included. */
  readonly merged: MapNode;
}

interface DocumentPhase {
  readonly name: string;
  run(state: DocumentState): Partial<DocumentState>;
  /** Later phases would trip over what this one reported. */
  readonly stops: boolean;
}

/** What happens to each document, in this order. The order is part of the language: interpolation goes before merging, so each
 *  file is interpolated alone; includes go before extends, so an included service can be extended; the schema is held against
 *  what has been merged so far. */
export const documentPhases: readonly DocumentPhase[] = [
  {
    name: "gather !reset and !override",
    stops: false,
    run: ({ document }) => {
      const { tree, paths } = gatherResets(document);
      return { document: tree?.kind === "map" ? tree : map(new Map(), document), resets: paths };
    },
  },
  {
    name: "interpolate",
    stops: true,
    run: ({ document, layer, context }) =>
      context.without.has("interpolation")
        ? {}
        : { document: asMap(interpolate(document, lookupIn(layer.scope), context.report), document) },
  },
  {
    name: "include",
    stops: true,
    run: ({ document, layer, resets, context }) => ({
      document: applyInclude(document, layer, resets, context, loadLayer),
    }),
  },
  {
    name: "reset what came before",
    stops: false,
    run: ({ merged, resets }) => ({ merged: asMap(applyResets(merged, resets), merged) }),
  },
  {
    name: "extend",
    stops: true,
    run: ({ document, layer, resets, context }) => ({
      document: asMap(
        applyExtends(document, { context, directory: layer.directory, scope: layer.scope, resets }),
        document,
      ),
    }),
  },
  {
    name: "merge",
    stops: true,
    run: ({ merged, document, context }) => ({
      merged: asMap(mergeTrees(merged, document, [], { report: context.report }), merged),
    }),
  },
  { name: "make unique", stops: false, run: unique },
  {
    name: "validate",
    stops: true,
    run: ({ merged, context }) => {
      if (context.without.has("validation")) return {};
      validateTree(merged, context.report);
      warnVersion(merged, context);
      return { merged: withoutKey(merged, "version") };
    },
  },
  {
    name: "make canonical",
    stops: true,
    run: ({ merged, context }) => {
      const uninterpolated = context.without.has("interpolation");
      return { merged: asMap(omitEmptyDns(toCanonical(merged, { report: context.report, uninterpolated })), merged) };
    },
  },
  { name: "make unique again", stops: true, run: unique },
];

function unique({ merged, context }: DocumentState): Partial<DocumentState> {
  return { merged: asMap(enforceUnicity(merged, context.report), merged) };
}

function asMap(node: Node, fallback: MapNode): MapNode {
  return node.kind === "map" ? node : fallback;
}

/** Reads and merges the files of a layer; defaults, checks and paths included.
 *  @throws stopLoading after reported errors that the next phase could not live with. */
export function loadLayer(layer: Layer, context: LoadContext): MapNode {
  const read = layer.paths.map((path, index) => {
    context.scopes.set(path, layer.scope);
    const role = layer.role === "file" && index > 0 ? "override" : layer.role;
    return { path, documents: readDocuments(path, role, layer.chain, context) };
  });
  stopOnErrors(context.report);
  let merged: MapNode | undefined;
  let open = layer.open;
  for (const { path, documents } of read) {
    open = [...open, path];
    for (const document of documents ?? []) {
      if (document.kind !== "map") continue;
      merged = runPhases({
        layer: { ...layer, open },
        context,
        document,
        resets: [],
        merged: merged ?? emptyLike(document),
      });
    }
  }
  if (merged === undefined) return emptyMap(layer);
  return finishLayer(merged, layer, context);
}

function emptyLike(document: MapNode): MapNode {
  return { ...map(new Map(), document), end: document.start };
}

function emptyMap(layer: Layer): MapNode {
  const file = { path: layer.paths[0] ?? "", text: "", role: layer.role, chain: layer.chain, lineStarts: undefined };
  return map(new Map(), { file, start: 0, end: 0 });
}

function runPhases(start: DocumentState): MapNode {
  let state = start;
  for (const phase of documentPhases) {
    state = { ...state, ...phase.run(state) };
    if (phase.stops) stopOnErrors(state.context.report);
  }
  return state.merged;
}

function finishLayer(merged: MapNode, layer: Layer, context: LoadContext): MapNode {
  const { files, report, home } = context;
  let tree = setDefaults(merged);
  if (!context.without.has("validation")) checkTree(tree, report);
  if (!context.without.has("path-resolution") || layer.role === "include") {
    tree = resolvePaths(tree, { base: layer.base, home, files, report });
  }
  tree = resolveEnvironment(tree, lookupIn(layer.scope));
  if (report.errors > 0) throw stopLoading;
  return asMap(tree, merged);
}

function warnVersion(merged: MapNode, context: LoadContext): void {
  const entry = merged.entries.get("version");
  if (entry === undefined || child(merged, "version") === undefined) return;
  context.report.warning({
    code: "deprecated",
    message: "`version` is obsolete and has no effect",
    path: ["version"],
    at: keySpan(entry),
    suggestion: "take it out",
  });
}
