/** What a starting engine tells the command that waits for it, through the pipe at descriptor 3: one JSON object. */
import { closeSync, writeSync } from "node:fs";
import { TscomposeError, errorMessage, isTscomposeError } from "../../errors.ts";
import type { ErrorCode } from "../../errors.ts";
import { announceFd } from "../../host/detached-process.ts";

/** In the environment of an engine that somebody waits for. */
export const announceVariable = "TSCOMPOSE_ENGINE_ANNOUNCE";

/** Says once how the start went, when somebody waits, and closes the pipe. */
export function createAnnouncer(env: Readonly<Record<string, string | undefined>>): (failure?: unknown) => void {
  let open = env[announceVariable] === "1";
  return (failure) => {
    if (!open) return;
    open = false;
    try {
      writeSync(announceFd, JSON.stringify(failure === undefined ? { ready: true } : { error: toWire(failure) }));
    } catch {
      return; // nobody waits any more
    } finally {
      closeSync(announceFd);
    }
  };
}

interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
}
function toWire(error: unknown): WireError {
  if (!isTscomposeError(error)) return { code: "engine/failed", message: errorMessage(error) };
  const { code, message, hint } = error;
  return hint === undefined ? { code, message } : { code, message, hint };
}

/** True: the engine is ready. Undefined: it said nothing, which means that it died. @throws the error it announced. */
export function readAnnouncement(text: string): true | undefined {
  if (text === "") return undefined;
  const said = JSON.parse(text) as { readonly ready?: boolean; readonly error?: WireError };
  if (said.error === undefined) return true;
  const { code, message, hint } = said.error;
  throw new TscomposeError(code, message, hint === undefined ? {} : { hint });
}
