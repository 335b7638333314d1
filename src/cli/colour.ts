import type { App } from "./app.ts";

/** Whether a stream is to get colours: `--ansi`, else a terminal it is. */
export function useColour(app: Pick<App, "globals">, stream: NodeJS.WriteStream): boolean {
  if (app.globals.ansi !== "auto") return app.globals.ansi === "always";
  return stream.isTTY === true;
}
