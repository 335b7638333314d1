/** A failure of a build as BuildKit's clients read it: its words, and the lines of the Dockerfile in the details.
 *  Source: BuildKit solver/errdefs (type url and JSON of `Source`), frontend/dockerfile/instructions (texts). */
import { errorMessage, isTscomposeError } from "../../errors.ts";
import { GrpcError, grpcCode, toGrpcError } from "./grpc/status.ts";

export interface SourceText {
  readonly name: string;
  readonly text: string;
}

const sourceType = "github.com/moby/buildkit/errdefs.Source+json";
/** A Dockerfile beyond this is not sent along. */
const maxTextBytes = 256 * 1024;

/** Of a process that ended with another code than 0. */
function messageOf(error: unknown): string {
  const message = errorMessage(error);
  if (!isTscomposeError(error)) return message;
  const [, command, code] = /^The command '([^]*)' returned a non-zero code: (\d+)$/.exec(message) ?? [];
  if (command !== undefined)
    return `process ${JSON.stringify(command)} did not complete successfully: exit code: ${code}`;
  return error.hint === undefined ? message : `${message} (${error.hint})`;
}

export function buildFailure(error: unknown, source: SourceText | undefined): GrpcError {
  if (error instanceof GrpcError) return error;
  if (!isTscomposeError(error) || error.code === "aborted") return toGrpcError(error);
  const text = messageOf(error);
  const { line, endLine } = error.details;
  if (source === undefined || typeof line !== "number" || line < 1 || source.text.length > maxTextBytes)
    return new GrpcError(grpcCode.unknown, text);
  const end = typeof endLine === "number" && endLine >= line ? endLine : line;
  const value = {
    info: { filename: source.name, data: Buffer.from(source.text).toString("base64"), language: "Dockerfile" },
    ranges: [{ start: { line }, end: { line: end } }],
  };
  return new GrpcError(grpcCode.unknown, text, [{ typeUrl: sourceType, value: Buffer.from(JSON.stringify(value)) }]);
}
