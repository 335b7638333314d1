/** File modes as `--chmod` takes them: octal, or symbolic as chmod(1) of BSD does (`u=rwX,go=rX`, `go=u-w`). The umask is 0. */
import { TscomposeError } from "../../../errors.ts";

export type ModeChange =
  | { readonly kind: "octal"; readonly mode: number }
  | { readonly kind: "symbolic"; readonly commands: readonly Command[]; readonly text: string };

type Command =
  /** `execute`: set where anybody may execute already, and for directories. */
  | { readonly kind: "set" | "clear" | "execute"; readonly bits: number }
  /** The three bits of one class to the classes whose read bit is in `to`. */
  | { readonly kind: "copy"; readonly from: "u" | "g" | "o"; readonly to: number; readonly operator: Operator };

type Operator = "+" | "-" | "=";

const whoBits: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o0007, a: 0o6777 };
const standardBits = 0o6777;
const stickyBit = 0o1000;

function invalid(text: string): TscomposeError {
  return new TscomposeError(
    "build/invalid",
    `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
    { hint: "write an octal mode such as 0644, or a symbolic one such as u=rwX,go=rX" },
  );
}

/** @throws build/invalid */
export function parseModeChange(text: string): ModeChange {
  if (/^[0-9]/.test(text)) {
    const mode = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
    if (Number.isNaN(mode) || mode > 0o7777) throw invalid(text);
    return { kind: "octal", mode };
  }
  const commands = text.split(",").flatMap((clause) => clauseCommands(clause, text));
  return { kind: "symbolic", commands, text };
}

function clauseCommands(clause: string, whole: string): readonly Command[] {
  const who = /^[ugoa]*/.exec(clause)?.[0] ?? "";
  const actions = clause.slice(who.length);
  if (!/^(?:[-+=][rwxXstugo]*)+$/.test(actions)) throw invalid(whole);
  const bits = who.split("").reduce((all, letter) => all | (whoBits[letter] ?? 0), 0);
  const state = { equalDone: false };
  return (actions.match(/[-+=][^-+=]*/g) ?? []).flatMap((action) => actionCommands(action, bits, state));
}

/** The commands of one operator with its letters. `=` clears once; what it clears does not come back with the next `=` of
 *  the same letters run (`=u` copies instead of clearing). */
function actionCommands(action: string, givenWho: number, state: { equalDone: boolean }): readonly Command[] {
  const operator: Operator = action.startsWith("+") ? "+" : action.startsWith("-") ? "-" : "=";
  if (operator === "=") state.equalDone = false;
  const commands: Command[] = [];
  const onlyOthers = givenWho !== 0 && (givenWho & ~0o7) === 0;
  let who = givenWho;
  let bits = 0;
  let execute = 0;
  const flush = (): void => {
    if (operator === "=") commands.push({ kind: "clear", bits: who === 0 ? standardBits : who });
    commands.push({ kind: operator === "-" ? "clear" : "set", bits: who === 0 ? bits : who & bits });
    bits = 0;
  };
  const flushExecute = (): void => {
    if (execute !== 0) commands.push({ kind: "execute", bits: who === 0 ? execute : who & execute });
    execute = 0;
  };
  for (const letter of action.slice(1)) {
    if (letter === "r") bits |= 0o444;
    else if (letter === "w") bits |= 0o222;
    else if (letter === "x" || (letter === "X" && operator === "-")) bits |= 0o111;
    else if (letter === "X") execute = 0o111;
    else if (letter === "s" && !onlyOthers) bits |= 0o6000;
    else if (letter === "t" && !onlyOthers) {
      who |= stickyBit;
      bits |= stickyBit;
    } else if (letter === "u" || letter === "g" || letter === "o") {
      if (bits !== 0) flush();
      if (operator === "=") state.equalDone = true;
      flushExecute();
      commands.push({ kind: "copy", from: letter, to: who === 0 ? 0o777 : who, operator });
    }
  }
  if (bits !== 0 || (operator === "=" && !state.equalDone)) {
    if (operator === "=") state.equalDone = true;
    flush();
  }
  flushExecute();
  return commands;
}

function copyBits(mode: number, { from, to, operator }: Extract<Command, { kind: "copy" }>): number {
  const value = (mode >> (from === "u" ? 6 : from === "g" ? 3 : 0)) & 0o7;
  let result = mode;
  for (const shift of [6, 3, 0]) {
    if ((to & (0o4 << shift)) === 0) continue;
    if (operator === "=") result &= ~(0o7 << shift);
    if (operator === "-") result &= ~(value << shift);
    else result |= value << shift;
  }
  return result;
}

/** The mode (low 12 bits) that a file of the mode `mode` gets. */
export function applyModeChange(change: ModeChange, mode: number, kind: "directory" | "other"): number {
  if (change.kind === "octal") return change.mode;
  let result = mode & 0o7777;
  for (const command of change.commands) {
    if (command.kind === "copy") result = copyBits(result, command);
    else if (command.kind === "clear") result &= ~command.bits;
    else if (command.kind === "set" || kind === "directory" || (mode & 0o111) !== 0) result |= command.bits;
  }
  return result;
}
