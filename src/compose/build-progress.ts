/** Lines of `POST /build` to what they tell. Our own engine tells of steps, Docker's writes the text of its classic builder. Pure. */
import type { ProgressMessage } from "../api/wire.ts";

export type BuildProgress =
  /** All steps that the target needs, in the order of the Dockerfile. */
  | { readonly kind: "plan"; readonly steps: readonly { readonly id: number; readonly title: string }[] }
  | { readonly kind: "started"; readonly step: number }
  | { readonly kind: "output"; readonly step: number; readonly text: string }
  | { readonly kind: "finished"; readonly step: number; readonly cached: boolean; readonly ms: number }
  | { readonly kind: "failed"; readonly step: number; readonly ms: number }
  /** A finding of the build checks, with its lines. */
  | { readonly kind: "warning"; readonly text: string }
  /** The state before the step that failed, as an image, where it was asked for. */
  | { readonly kind: "debug"; readonly imageId: string; readonly command: readonly string[] }
  | { readonly kind: "image"; readonly imageId: string }
  /** Text of Docker's classic builder. */
  | { readonly kind: "text"; readonly text: string }
  /** A base image is being pulled. */
  | { readonly kind: "pull"; readonly text: string };

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** Nothing for what says nothing. */
export function buildProgress(message: ProgressMessage): readonly BuildProgress[] {
  const { aux, stream, status, id } = message;
  if (isObject(aux)) {
    if (typeof aux["ID"] === "string") return [{ kind: "image", imageId: aux["ID"] }];
    if (typeof aux["warning"] === "string") return [{ kind: "warning", text: aux["warning"] }];
    // Of our own engine: it sends what is declared above.
    if (isObject(aux["build"])) return [aux["build"] as unknown as BuildProgress];
  }
  if (stream !== undefined) return [{ kind: "text", text: stream }];
  if (status === undefined) return [];
  return [{ kind: "pull", text: id === undefined || id === "" ? status : `${id}: ${status}` }];
}
