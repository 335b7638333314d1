/** An image by reference or id. */
import type { Readable } from "node:stream";
import type { DistributionInspect, ImageDeleteItem, ImageHistoryItem, ImageInspect } from "../api/wire.ts";
import { Handle } from "./handle.ts";
import type { Modem } from "./modem.ts";
import type { Abortable, Call, CallWith, DistributionQuery, ImageRemoveQuery, PushQuery, TagQuery } from "./options.ts";

export class Image extends Handle {
  readonly name: string;
  constructor(modem: Modem, name: string) {
    super(modem, { name });
    this.name = name;
  }

  readonly inspect: Call<Abortable, ImageInspect> = this.call("imageInspect");
  readonly history: Call<Abortable, readonly ImageHistoryItem[]> = this.call("imageHistory");
  /** A tar as of `docker save`. */
  readonly get: Call<Abortable, Readable> = this.call("imageSave");
  readonly push: Call<PushQuery, Readable> = this.call("imagePush");
  readonly tag: CallWith<TagQuery, void> = this.call("imageTag");
  readonly remove: Call<ImageRemoveQuery, readonly ImageDeleteItem[]> = this.call("imageRemove");
  readonly distribution: Call<DistributionQuery, DistributionInspect> = this.call("imageDistribution");
}
