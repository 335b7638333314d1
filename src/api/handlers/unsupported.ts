/** Pure: what answers for pages this engine does not have. Swarm, plugins and checkpoints get the answers of a Docker Engine
 *  that does not use them, so that clients which probe go on. */
import { TscomposeError } from "../../errors.ts";
import type { ErrorCode } from "../../errors.ts";

const notManager =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

interface Refusal {
  readonly code: ErrorCode;
  readonly status: number;
  readonly message: string;
}
const unavailable = (message: string): Refusal => ({ code: "request/unsupported", status: 503, message });
const notImplemented = (message: string): Refusal => ({ code: "request/unsupported", status: 501, message });

const refusals: readonly (readonly [path: RegExp, refusal: Refusal])[] = [
  [/^POST \/swarm\/(init|join)$/, notImplemented("swarm mode is not supported by this engine")],
  [/^POST \/swarm\/leave$/, unavailable("This node is not part of a swarm")],
  [/^\w+ \/(swarm|services|nodes|tasks|secrets|configs)(\/.*)?$/, unavailable(notManager)],
  [/^PUT \/volumes\/[^/]+$/, unavailable(notManager)],
  [/^\w+ \/containers\/[^/]+\/checkpoints(\/.*)?$/, notImplemented("checkpoints are not supported by this engine")],
  [/^GET \/containers\/[^/]+\/attach\/ws$/, notImplemented("attach over a web socket is not supported by this engine")],
  [/^\w+ \/plugins\/.+$/, { code: "request/not-found", status: 404, message: "plugin not found" }],
];

/** The error for a method and path (without version) that no route matches. */
export function answerUnsupported(method: string, path: string): TscomposeError {
  const target = `${method} ${path}`;
  for (const [pattern, { code, status, message }] of refusals) {
    if (pattern.test(target)) return new TscomposeError(code, message, { details: { httpStatus: status } });
  }
  return new TscomposeError("request/not-found", "page not found");
}
