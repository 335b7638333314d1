import { z } from "zod";

import { extensible, open, pairs, text, textOrInteger, textOrNumber, texts, uniqueTexts } from "./kit.ts";

const updateConfig = extensible({
  parallelism: textOrInteger.optional(),
  delay: text.optional(),
  failure_action: text.optional(),
  monitor: text.optional(),
  max_failure_ratio: textOrNumber.optional(),
  order: z.enum(["start-first", "stop-first"]).optional(),
});

const genericResources = z
  .array(
    extensible({
      discrete_resource_spec: extensible({ kind: text.optional(), value: textOrNumber.optional() }).optional(),
    }),
  )
  .meta({ id: "generic_resources" });

const device = {
  count: textOrInteger.optional(),
  device_ids: uniqueTexts.optional(),
  driver: text.optional(),
  options: pairs.optional(),
};

const devices = z.array(extensible({ capabilities: uniqueTexts, ...device })).meta({ id: "devices" });

export const gpus = z
  .union([z.enum(["all"]), z.array(open({ capabilities: uniqueTexts.optional(), ...device }))])
  .meta({ id: "gpus" });

export const deploy = extensible({
  mode: text.optional(),
  endpoint_mode: text.optional(),
  replicas: textOrInteger.optional(),
  labels: pairs.optional(),
  rollback_config: updateConfig.optional(),
  update_config: updateConfig.optional(),
  resources: extensible({
    limits: extensible({
      cpus: textOrNumber.optional(),
      memory: text.optional(),
      pids: textOrInteger.optional(),
    }).optional(),
    reservations: extensible({
      cpus: textOrNumber.optional(),
      memory: text.optional(),
      generic_resources: genericResources.optional(),
      devices: devices.optional(),
    }).optional(),
  }).optional(),
  restart_policy: extensible({
    condition: text.optional(),
    delay: text.optional(),
    max_attempts: textOrInteger.optional(),
    window: text.optional(),
  }).optional(),
  placement: extensible({
    constraints: texts.optional(),
    preferences: z.array(extensible({ spread: text.optional() })).optional(),
    max_replicas_per_node: textOrInteger.optional(),
  }).optional(),
})
  .nullable()
  .meta({ id: "deployment" });
