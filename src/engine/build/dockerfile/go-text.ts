/** Text rules of Go's standard library that Dockerfile semantics depend on: what counts as a space, and how a word is
 *  quoted in a message. JavaScript's `trim` and `\s` differ (BOM, vertical tab, U+0085). */

/** Unicode White_Space, as Go's `unicode.IsSpace`. */
const space = "\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const isSpacePattern = new RegExp(`^[${space}]$`);
const leadingSpace = new RegExp(`^[${space}]+`);

export function isSpace(character: string): boolean {
  return isSpacePattern.test(character);
}

export function trimLeftSpace(text: string): string {
  return text.replace(leadingSpace, "");
}

/** Both ends. The end is found by hand: a pattern anchored at the end alone is quadratic on long runs of blanks. */
export function trimSpace(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text.charAt(end - 1))) end -= 1;
  return trimLeftSpace(text.slice(0, end));
}

/** What `strings.Cut` gives: before and after the first `separator`; `after` is undefined where there is none. */
export function cut(text: string, separator: string): { readonly before: string; readonly after: string | undefined } {
  const at = text.indexOf(separator);
  if (at < 0) return { before: text, after: undefined };
  return { before: text.slice(0, at), after: text.slice(at + separator.length) };
}

const shortEscapes: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** A double-quoted Go string literal, as `%q` prints it. */
export function goQuote(text: string): string {
  let out = '"';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const short = shortEscapes[character];
    if (short !== undefined) out += short;
    else if (printable.test(character)) out += character;
    else if (code < 0x80) out += `\\x${code.toString(16).padStart(2, "0")}`;
    else if (code < 0x10000) out += `\\u${code.toString(16).padStart(4, "0")}`;
    else out += `\\U${code.toString(16).padStart(8, "0")}`;
  }
  return `${out}"`;
}

/** The UTF-8 bytes of `text`, one character each (0 to 255). Two places of the Dockerfile grammar go byte by byte. */
export function toByteString(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

export function fromByteString(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/** True where `toByteString` would change nothing. */
export function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- the whole ASCII range is what is meant
  return /^[\x00-\x7f]*$/.test(text);
}
