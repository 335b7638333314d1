import type { ChainLink, Diagnostic } from "./diagnostic.ts";

/** `file:line:column: error[code]: message`, the source line with a caret, what was expected, a suggestion, and the way that
 *  led there. Several lines, no colour, no final line break. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { place, severity, code, message, expected, suggestion, chain } = diagnostic;
  const where = place === undefined ? "" : `${place.file}:${String(place.line)}:${String(place.column)}: `;
  const lines = [`${where}${severity}[${code}]: ${message}`];
  if (place !== undefined && place.excerpt.trim() !== "") {
    const number = String(place.line);
    const gutter = " ".repeat(number.length);
    // Tabs keep their width under the caret.
    const indent = place.excerpt.slice(0, place.column - 1).replace(/[^\t]/g, " ");
    const length = Math.max(1, Math.min(place.length, place.excerpt.length - place.column + 1));
    lines.push(`${number} | ${place.excerpt}`, `${gutter} | ${indent}${"^".repeat(length)}`);
  }
  if (expected !== undefined) lines.push(`  expected: ${expected}`);
  if (suggestion !== undefined) lines.push(`  help: ${suggestion}`);
  for (const link of chain) lines.push(`  ${formatLink(link)}`);
  return lines.map(withoutControls).join("\n");
}

function formatLink(link: ChainLink): string {
  const subject = link.subject === undefined ? "" : ` ${link.subject},`;
  return `${link.relation}${subject} ${link.file}:${String(link.line)}:${String(link.column)}`;
}

/** A file must not be able to drive the terminal. */
function withoutControls(text: string): string {
  // eslint-disable-next-line no-control-regex -- looking for them is the point
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, "\ufffd");
}
