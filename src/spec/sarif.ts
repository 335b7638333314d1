import type { Diagnostic } from "./diagnostic.ts";

/** Diagnostics as SARIF 2.1.0, which code hosts and editors show beside the line. */
export function toSarif(diagnostics: readonly Diagnostic[], toolVersion: string): object {
  const rules = [...new Set(diagnostics.map((one) => one.code))].sort();
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "tscompose", version: toolVersion, rules: rules.map((id) => ({ id })) } },
        results: diagnostics.map(toResult),
      },
    ],
  };
}

function toResult(diagnostic: Diagnostic): object {
  const { severity, code, message, suggestion, place, chain } = diagnostic;
  const text = suggestion === undefined ? message : `${message} (${suggestion})`;
  return {
    ruleId: code,
    level: severity,
    message: { text },
    locations: place === undefined ? [] : [location(place.file, place.line, place.column, place.length)],
    ...(chain.length === 0
      ? {}
      : {
          relatedLocations: chain.map((link) => ({
            ...location(link.file, link.line, link.column),
            message: { text: link.relation },
          })),
        }),
  };
}

function location(file: string, line: number, column: number, length?: number): object {
  const end = length === undefined ? {} : { endColumn: column + length };
  return {
    physicalLocation: {
      artifactLocation: { uri: file.startsWith("/") ? `file://${encodeURI(file)}` : file },
      region: { startLine: line, startColumn: column, ...end },
    },
  };
}
