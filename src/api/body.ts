/** Reads request bodies: JSON under the rules of Docker's decoder, the registry credentials of a header, byte streams. */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { TscomposeError } from "../errors.ts";
import { registryCredentials } from "./bodies.ts";
import { readShape } from "./shape.ts";
import type { Shape } from "./shape.ts";
import type { RegistryCredentials } from "./wire.ts";

/** Of a body that is not a stream. */
export const bodyCap = 4 * 1024 * 1024;

/** All bytes of a body. @throws request/invalid (413) beyond the cap; what follows is not read. */
export async function readCapped(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += (chunk as Buffer).length;
    if (size > bodyCap) {
      throw new TscomposeError("request/invalid", "the request body is larger than 4 MiB", {
        details: { httpStatus: 413 },
      });
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** The body of a request as chunks; leaving early does not cut the connection, so an answer can still be given. */
export function bodyChunks(request: IncomingMessage): AsyncIterable<Buffer> {
  return (request as Readable).iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
}

/** The body checked against `shape`; undefined when it is empty.
 *  @throws request/invalid for another content type, JSON that does not parse, text after it, a wrong type. */
export function parseJsonBody<T>(bytes: Buffer, headers: IncomingHttpHeaders, shape: Shape): T | undefined {
  const contentType = headers["content-type"] ?? "";
  if (bytes.length === 0 && contentType === "") return undefined;
  if (contentType.split(";")[0]?.trim().toLowerCase() !== "application/json") {
    throw new TscomposeError(
      "request/invalid",
      `unsupported Content-Type header (${contentType}): must be 'application/json'`,
    );
  }
  if (bytes.length === 0) return undefined;
  return readShape(shape, parse(bytes.toString("utf8"))) as T;
}

function parse(text: string): unknown {
  if (text.trim() === "")
    throw new TscomposeError("request/invalid", "invalid JSON: got EOF while reading request body");
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : "";
    const message = /after JSON/.test(reason) ? "unexpected content after JSON" : `invalid JSON: ${reason}`;
    throw new TscomposeError("request/invalid", message, { cause: error });
  }
}

/** What X-Registry-Auth holds; undefined when absent or unreadable, as Docker does. */
export function readCredentials(headers: IncomingHttpHeaders): RegistryCredentials | undefined {
  const header = headers["x-registry-auth"];
  if (typeof header !== "string" || header === "") return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(header, "base64url").toString("utf8"));
    return readShape(registryCredentials, value) as RegistryCredentials;
  } catch {
    return undefined;
  }
}
