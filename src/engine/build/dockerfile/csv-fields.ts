/** The fields of one line of CSV, as in `--mount=type=cache,"target=/a,b"`. */
import { problem } from "./problem.ts";

/** @throws build/invalid for a quotation mark out of place, and for an empty line. */
export function csvFields(text: string): readonly string[] {
  const line = text.replace(/\r?\n$/, "");
  if (line === "") throw problem("EOF");
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    const field = line.charAt(at) === '"' ? quotedField(line, at) : bareField(line, at);
    fields.push(field.text);
    if (field.end >= line.length) return fields;
    at = field.end + 1;
    if (at === line.length) return [...fields, ""];
  }
}

interface Field {
  readonly text: string;
  /** The place of the comma after it, or the length of the line. */
  readonly end: number;
}

function bareField(line: string, start: number): Field {
  const comma = line.indexOf(",", start);
  const end = comma < 0 ? line.length : comma;
  const text = line.slice(start, end);
  const quote = text.indexOf('"');
  if (quote >= 0) throw csvProblem(line, start + quote, 'bare " in non-quoted-field');
  return { text, end };
}

function quotedField(line: string, start: number): Field {
  let text = "";
  let at = start + 1;
  for (;;) {
    const quote = line.indexOf('"', at);
    if (quote < 0) throw csvProblem(line, at, 'extraneous or missing " in quoted-field');
    text += line.slice(at, quote);
    at = quote + 1;
    if (at === line.length || line.charAt(at) === ",") return { text, end: at };
    if (line.charAt(at) !== '"') throw csvProblem(line, quote, 'extraneous or missing " in quoted-field');
    text += '"';
    at += 1;
  }
}

function csvProblem(line: string, place: number, message: string): unknown {
  const column = Buffer.byteLength(line.slice(0, place)) + 1;
  return problem(`parse error on line 1, column ${column}: ${message}`);
}
