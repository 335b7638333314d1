import { z } from "zod";

import {
  command,
  extensible,
  extraHosts,
  fileReferences,
  pairs,
  text,
  textOrBoolean,
  textOrInteger,
  textOrTexts,
  texts,
  ulimits,
} from "./kit.ts";

export const build = z.union([
  text,
  extensible({
    context: text.optional(),
    dockerfile: text.optional(),
    dockerfile_inline: text.optional(),
    entitlements: texts.optional(),
    args: pairs.optional(),
    ssh: pairs.optional(),
    labels: pairs.optional(),
    cache_from: texts.optional(),
    cache_to: texts.optional(),
    no_cache: textOrBoolean.optional(),
    no_cache_filter: textOrTexts.optional(),
    additional_contexts: pairs.optional(),
    network: text.optional(),
    provenance: textOrBoolean.optional(),
    sbom: textOrBoolean.optional(),
    pull: textOrBoolean.optional(),
    target: text.optional(),
    shm_size: textOrInteger.optional(),
    extra_hosts: extraHosts.optional(),
    isolation: text.optional(),
    privileged: textOrBoolean.optional(),
    secrets: fileReferences.optional(),
    tags: texts.optional(),
    ulimits: ulimits.optional(),
    platforms: texts.optional(),
  }),
]);

export const hook = extensible({
  command,
  user: text.optional(),
  privileged: textOrBoolean.optional(),
  working_dir: text.optional(),
  environment: pairs.optional(),
}).meta({ id: "service_hook" });

export const preStartHook = extensible({
  command: command.optional(),
  image: text.optional(),
  user: text.optional(),
  privileged: textOrBoolean.optional(),
  working_dir: text.optional(),
  environment: pairs.optional(),
  per_replica: textOrBoolean.optional(),
}).meta({ id: "pre_start_hook" });

export const develop = extensible({
  watch: z
    .array(
      extensible({
        ignore: textOrTexts.optional(),
        include: textOrTexts.optional(),
        path: text,
        action: z.enum(["rebuild", "sync", "restart", "sync+restart", "sync+exec"]),
        target: text.optional(),
        exec: hook.optional(),
        initial_sync: z.boolean().optional(),
      }),
    )
    .optional(),
})
  .nullable()
  .meta({ id: "development" });
