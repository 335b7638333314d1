/** Commands in running containers. */
import { execStartBody } from "../bodies.ts";
import type { ExecStartBody } from "../bodies.ts";
import { empty, ok, parameter, stdioContentType } from "../call.ts";
import type { Call, Handler } from "../call.ts";
import { readSize } from "./containers.ts";

const id = (call: Call): string => parameter(call, "id");

export const start: Handler = async (call, engine) => {
  const {
    Detach: detach = false,
    Tty: tty = false,
    ConsoleSize,
  } = (await call.json<ExecStartBody>(execStartBody)) ?? {};
  const [height = 0, width = 0] = ConsoleSize ?? [];
  const consoleSize = height > 0 && width > 0 ? ([height, width] as const) : undefined;
  const session = await engine.exec.start(id(call), { detach, tty, consoleSize });
  if (session === undefined) return empty(200);
  return { kind: "hijack", session, multiplexed: !tty, stdin: true, contentType: stdioContentType(!tty, call.minor) };
};
export const resize: Handler = async (call, engine) => {
  await engine.exec.resize(id(call), ...readSize(call));
  return empty(200);
};
export const inspect: Handler = async (call, engine) => ok(await engine.exec.inspect(id(call)));
