/** Reads answers that are one value. */
import { Duplex } from "node:stream";
import { codeOf } from "../api/problem.ts";
import { TscomposeError } from "../errors.ts";
import type { HttpResponse } from "./http/exchange.ts";

/** By events: the first async iterator of a process takes Node some milliseconds. */
function readAll(response: HttpResponse): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    response
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .on("end", () => resolve(Buffer.concat(chunks)))
      .on("error", reject)
      .on("close", () => reject(new Error("the answer was given up")));
  });
}

/** The JSON value; text for other types; undefined for an empty body; the stat header of an archive HEAD. */
export async function readAnswer(response: HttpResponse): Promise<unknown> {
  const stat = response.headers["x-docker-container-path-stat"];
  const bytes = await readAll(response);
  if (typeof stat === "string") return JSON.parse(Buffer.from(stat, "base64").toString("utf8"));
  if (bytes.length === 0) return undefined;
  const text = bytes.toString("utf8");
  if (!/^application\/json\b/.test(response.headers["content-type"] ?? "")) return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TscomposeError("engine/api", `the engine sent an answer that is not JSON: ${text.slice(0, 200)}`, {
      cause: error,
    });
  }
}

/** Text of a `Warning: 299 - "text"` header. */
export function readWarning(response: HttpResponse): string | undefined {
  const quoted = /^299 \S+ (".*")$/.exec(response.headers["warning"] ?? "")?.[1];
  if (quoted === undefined) return undefined;
  try {
    return String(JSON.parse(quoted));
  } catch {
    return undefined; // of something between us and the engine
  }
}

/** The error an answer outside 200..299 stands for. `details`: statusCode, request. */
export async function readProblem(response: HttpResponse, request: string): Promise<TscomposeError> {
  const status = response.statusCode;
  const body = parseProblem((await readAll(response)).toString("utf8"));
  const message = body.message.trim() || emptyMessage(status);
  return new TscomposeError(codeOf(status, { ...body, message }), message, {
    details: { statusCode: status, request },
    ...(typeof body.hint === "string" ? { hint: body.hint } : {}),
  });
}

function parseProblem(text: string): { readonly message: string; readonly code?: unknown; readonly hint?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && "message" in value && typeof value.message === "string") {
      return value as { message: string };
    }
  } catch {
    return { message: text }; // errors of attach are plain text
  }
  return { message: text };
}

function emptyMessage(status: number): string {
  return status === 304 ? "nothing to do: the container has that state already" : `the engine answered ${status}`;
}

/** A connection that has ended: what a detached exec gives. */
export function emptyDuplex(): Duplex {
  return new Duplex({
    read() {
      this.push(null);
    },
    write(_chunk, _encoding, done) {
      done();
    },
  });
}
