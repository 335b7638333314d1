/** Signals by name and number. Pure. Source: signal(7), numbers of x86_64 and arm64. */
import { constants } from "node:os";
import { TscomposeError } from "../../../errors.ts";

const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3` -> number. @throws request/invalid with Docker's text */
export function signalNumber(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number >= 1 && number <= SIGRTMAX) return number;
    throw invalid(text);
  }
  const name = text.toUpperCase().replace(/^SIG/, "");
  const known = constants.signals[`SIG${name}` as NodeJS.Signals] as number | undefined;
  if (known !== undefined) return known;
  const realTime = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realTime !== null) {
    const offset = Number(realTime[3] ?? 0) * (realTime[2] === "-" ? -1 : 1);
    const number = (realTime[1] === "MIN" ? SIGRTMIN : SIGRTMAX) + offset;
    if (number >= SIGRTMIN && number <= SIGRTMAX) return number;
  }
  throw invalid(text);
}

/** `SIGTERM`; `signal 40` for those without a name. */
export function signalName(number: number): string {
  const [name] = Object.entries(constants.signals).find(([, value]) => value === number) ?? [];
  return name ?? `signal ${number}`;
}

function invalid(text: string): TscomposeError {
  return new TscomposeError("request/invalid", `invalid signal: ${text}`, { hint: "use a name such as SIGTERM" });
}
