/** The configuration of the image that a build makes. Pure. */
import type { OciHistory, OciImageConfig } from "../../types.ts";
import type { ImageDraft } from "../plan/image-draft.ts";
import type { BuildPlan } from "../plan/plan-build.ts";
import type { Result } from "./build-context.ts";

export function imageConfig({ image, epochSeconds }: BuildPlan, { diffIds, madeMs }: Result): OciImageConfig {
  const times = madeMs.map((ms) => new Date(epochSeconds === undefined ? ms : epochSeconds * 1000).toISOString());
  const start = epochSeconds === undefined ? undefined : new Date(epochSeconds * 1000).toISOString();
  const history = datedHistory(image, times, start);
  return {
    created: history.at(-1)?.created ?? new Date().toISOString(),
    ...image,
    history,
    rootfs: { type: "layers", diff_ids: diffIds },
  };
}

/** Entries of the base have their time, layers that of their making, however long ago, so that the same build gives the same image.
 *  What makes no layer goes with the one before; before the first new layer, with that.
 *  @param times of the highest layers, lowest first */
function datedHistory(
  { history }: ImageDraft,
  times: readonly string[],
  start: string | undefined,
): readonly OciHistory[] {
  const layerCount = history.filter((entry) => entry.empty_layer !== true).length;
  let layer = times.length - layerCount;
  const lastOfBase = history.findLast((entry) => entry.created !== undefined)?.created;
  let time = start ?? times[0] ?? lastOfBase ?? new Date().toISOString();
  return history.map((entry) => {
    if (entry.empty_layer !== true) {
      time = (entry.created === undefined ? times[layer] : undefined) ?? time;
      layer += 1;
    }
    return entry.created === undefined ? { created: time, ...entry } : entry;
  });
}
