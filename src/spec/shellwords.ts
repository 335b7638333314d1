/** Splits a command written as one text the way Docker Compose does (mattn/go-shellwords): quotes and backslashes as in a
 *  shell, nothing expanded. It stops, without a word, at an unquoted `;`, `&`, `|`, `<` or `>`. Undefined where quotes do not
 *  close or a bracket stands outside quotes. */
export function splitCommand(line: string): string[] | undefined {
  const words: string[] = [];
  let word = "";
  let got: "no" | "plain" | "quoted" = "no";
  let escaped = false;
  let double = false;
  let single = false;
  let back = false;
  let dollar = false;
  const flush = (): void => {
    if (got === "quoted" || (got === "plain" && word !== "")) words.push(word);
    word = "";
    got = "no";
  };
  scan: for (const character of line) {
    if (escaped) {
      escaped = false;
      if (back || dollar) word += `\\${character}`;
      else word += character === "t" ? "\t" : character === "n" ? "\n" : character;
      got = "plain";
      continue;
    }
    if (character === "\\") {
      if (single) word += "\\";
      else escaped = true;
      continue;
    }
    if (character === " " || character === "\t" || character === "\r" || character === "\n") {
      if (single || double || back || dollar) word += character;
      else flush();
      continue;
    }
    switch (character) {
      case "`":
        if (!single && !double && !dollar) back = !back;
        break;
      case ")":
        if (!single && !double && !back) {
          if (!dollar) return undefined;
          dollar = false;
        }
        break;
      case "(":
        if (!single && !double && !back) {
          if (dollar || !word.endsWith("$") || word.endsWith("\\$")) return undefined;
          dollar = true;
          word += "(";
          continue;
        }
        break;
      case '"':
        if (!single && !dollar && !back) {
          if (double) got = "quoted";
          double = !double;
          continue;
        }
        break;
      case "'":
        if (!double && !dollar && !back) {
          if (single) got = "quoted";
          single = !single;
          continue;
        }
        break;
      case ";":
      case "&":
      case "|":
      case "<":
      case ">":
        if (!single && !double && !back && !dollar) {
          // `2>` redirects: the number is not a word.
          if (character === ">" && /^[0-9]+$/.test(word)) got = "no";
          break scan;
        }
        break;
      default:
        break;
    }
    got = "plain";
    word += character;
  }
  flush();
  return escaped || single || double || back || dollar ? undefined : words;
}
