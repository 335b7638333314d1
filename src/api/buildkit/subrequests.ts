/** What buildx asks about a Dockerfile instead of building it: `--check`, `--call outline`, `--call targets`. Pure.
 *  Source: BuildKit frontend/subrequests: lint, outline, targets (names, JSON, text). */
import { TscomposeError } from "../../errors.ts";
import type { Facts } from "./build-progress.ts";
import type { SourceText } from "./failure.ts";

export type Subrequest = "lint" | "outline" | "targets" | "describe";

const names: Readonly<Record<string, Subrequest>> = {
  "frontend.lint": "lint",
  "frontend.outline": "outline",
  "frontend.targets": "targets",
  "frontend.subrequests.describe": "describe",
};

/** Undefined: a build. @throws request/unsupported */
export function subrequestOf(attributes: ReadonlyMap<string, string>): Subrequest | undefined {
  const id = attributes.get("requestid") ?? "";
  if (id === "") return undefined;
  const known = names[id];
  if (known !== undefined) return known;
  throw new TscomposeError("request/unsupported", `the request ${id} is not supported by this engine`, {
    hint: "use check, outline or targets",
  });
}

function location({ start, end }: { readonly start: number; readonly end: number }): object {
  return { ranges: [{ start: { line: start }, end: { line: end } }] };
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0))) ?? [];
  return rows.map((row) => `${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("   ")}\n`).join("");
}

function answer(json: object, text: string, more: Readonly<Record<string, string>> = {}): ReadonlyMap<string, Buffer> {
  const values = { "result.json": JSON.stringify(json, undefined, 2), "result.txt": text, version: "1.0.0", ...more };
  return new Map(Object.entries(values).map(([key, value]) => [key, Buffer.from(value)]));
}

export function answerOf(asked: Subrequest, facts: Facts, { name, text }: SourceText): ReadonlyMap<string, Buffer> {
  const data = Buffer.from(text).toString("base64");
  switch (asked) {
    case "describe": {
      const all = Object.entries(names).map(([id]) => ({ name: id, version: "1.0.0", type: "rpc" }));
      return answer(all, columns([["NAME", "VERSION"], ...all.map((one) => [one.name, one.version])]));
    }
    case "lint": {
      const warnings = facts.findings.map(({ rule, message, place }) => ({
        ruleName: rule.name,
        description: rule.description,
        url: rule.url,
        detail: message,
        location: location(place),
      }));
      const lines = facts.findings.map(
        ({ rule, message, place }) => `${name}:${place.start}: ${rule.name}: ${message}\n`,
      );
      const json = { warnings, sources: [{ filename: name, data, language: "Dockerfile" }] };
      return answer(json, lines.join(""), { "result.statuscode": warnings.length === 0 ? "0" : "1" });
    }
    case "targets": {
      const targets = facts.targets.map((one) => ({
        name: one.name,
        description: one.description,
        default: one.isDefault,
        base: one.base,
        platform: one.platform,
        location: location(one.place),
      }));
      const rows = targets.map((one) => [`${one.name}${one.default ? " (default)" : ""}`.trim(), one.description]);
      return answer({ targets, sources: [data] }, columns([["TARGET", "DESCRIPTION"], ...rows]));
    }
    case "outline":
      return answerOutline(facts.outline, data);
  }
}

function answerOutline(outline: Facts["outline"], data: string): ReadonlyMap<string, Buffer> {
  const { args = [], secrets = [], ssh = [] } = outline ?? {};
  const mounts = (all: typeof secrets): readonly object[] =>
    all.map(({ name, required, place }) => ({ name, required, location: location(place) }));
  const json = {
    name: outline?.name ?? "",
    description: outline?.description ?? "",
    args: args.map(({ name, description, value, place }) => ({ name, description, value, location: location(place) })),
    secrets: mounts(secrets),
    ssh: mounts(ssh),
    sources: [data],
  };
  const argRows = args.map(({ name, description, value = "" }) => [name, value, description]);
  const mountRows = (all: typeof secrets): readonly (readonly string[])[] =>
    all.map(({ name, required }) => [name, required ? "true" : ""]);
  const text = [
    ...(argRows.length === 0 ? [] : [columns([["BUILD ARG", "VALUE", "DESCRIPTION"], ...argRows])]),
    ...(secrets.length === 0 ? [] : [columns([["SECRET", "REQUIRED"], ...mountRows(secrets)])]),
    ...(ssh.length === 0 ? [] : [columns([["SSH", "REQUIRED"], ...mountRows(ssh)])]),
  ];
  return answer(json, text.join("\n"));
}
