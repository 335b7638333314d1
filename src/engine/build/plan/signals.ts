/** Names and numbers of signals that STOPSIGNAL takes. */
import { constants } from "node:os";

/** `SIGTERM`, `term`, `9`, `SIGRTMIN+3`. */
export function isSignal(text: string): boolean {
  if (/^[0-9]+$/.test(text)) return Number(text) > 0;
  const name = text.toUpperCase().replace(/^SIG/, "");
  const realTime = /^RT(MIN|MAX)(?:([+-])([0-9]+))?$/.exec(name);
  if (realTime !== null) {
    const offset = Number(realTime[3] ?? 0);
    if (offset === 0) return true;
    return offset <= (realTime[1] === "MIN" ? 15 : 14) && realTime[2] === (realTime[1] === "MIN" ? "+" : "-");
  }
  return Object.hasOwn(constants.signals, `SIG${name}`);
}
