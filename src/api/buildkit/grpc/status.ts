/** How a call of gRPC ends: code, message and details. Source: gRPC over HTTP/2, "Responses"; google/rpc/status.proto. */
import { errorMessage, isTscomposeError } from "../../../errors.ts";
import { bytes, integer, many, message, text } from "../protobuf.ts";

export const grpcCode = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

const any = message({ typeUrl: text(1), value: bytes(2) });
export const rpcStatus = message({ code: integer(1), message: text(2), details: many(3, any) });

export interface StatusDetail {
  readonly typeUrl: string;
  readonly value: Buffer;
}

/** The end of a call that did not succeed. */
export class GrpcError extends Error {
  readonly code: number;
  readonly details: readonly StatusDetail[];

  constructor(code: number, text: string, details: readonly StatusDetail[] = []) {
    super(text);
    this.code = code;
    this.details = details;
  }
}

export function toGrpcError(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  const code = isTscomposeError(error, "aborted")
    ? grpcCode.cancelled
    : isTscomposeError(error, "request/unsupported")
      ? grpcCode.unimplemented
      : isTscomposeError(error, "request/invalid")
        ? grpcCode.invalidArgument
        : grpcCode.unknown;
  const hint = isTscomposeError(error) && error.hint !== undefined ? ` (${error.hint})` : "";
  return new GrpcError(code, `${errorMessage(error)}${hint}`);
}

/** Header blocks have a limit: details beyond it are left out. */
const maxDetails = 512 * 1024;

export function trailersOf(error: GrpcError | undefined): Record<string, string> {
  if (error === undefined) return { "grpc-status": "0" };
  const short = error.message.slice(0, 64 * 1024);
  const details = rpcStatus.encode({ code: error.code, message: short, details: error.details });
  return {
    "grpc-status": String(error.code),
    "grpc-message": encodeMessage(short),
    ...(error.details.length === 0 || details.length > maxDetails
      ? {}
      : { "grpc-status-details-bin": details.toString("base64").replace(/=+$/, "") }),
  };
}

/** Percent-encoded but for printable ASCII. */
function encodeMessage(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    )
    .join("");
}

export function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
