import { z } from "zod";

import {
  closed,
  driverOptions,
  extensible,
  integer,
  keyed,
  open,
  pairs,
  resourceKey,
  text,
  textOrBoolean,
  textOrTexts,
  texts,
} from "./kit.ts";
import { service } from "./service.ts";

const named = extensible({ name: text.optional() });
const external = z.union([textOrBoolean, named]);
/** Secrets and configs let anything stand beside the name. */
const looseExternal = z.union([textOrBoolean, open({ name: text.optional() })]);

const network = extensible({
  name: text.optional(),
  driver: text.optional(),
  driver_opts: driverOptions.optional(),
  ipam: extensible({
    driver: text.optional(),
    config: z
      .array(
        extensible({
          subnet: text.optional(),
          ip_range: text.optional(),
          gateway: text.optional(),
          aux_addresses: keyed("^.+$", text, "refused").optional(),
        }),
      )
      .optional(),
    options: keyed("^.+$", text, "refused").optional(),
  }).optional(),
  external: external.optional(),
  internal: textOrBoolean.optional(),
  enable_ipv4: textOrBoolean.optional(),
  enable_ipv6: textOrBoolean.optional(),
  attachable: textOrBoolean.optional(),
  labels: pairs.optional(),
})
  .nullable()
  .meta({ id: "network" });

const volume = extensible({
  name: text.optional(),
  driver: text.optional(),
  driver_opts: driverOptions.optional(),
  external: external.optional(),
  labels: pairs.optional(),
})
  .nullable()
  .meta({ id: "volume" });

const secret = extensible({
  name: text.optional(),
  environment: text.optional(),
  file: text.optional(),
  external: looseExternal.optional(),
  labels: pairs.optional(),
  driver: text.optional(),
  driver_opts: driverOptions.optional(),
  template_driver: text.optional(),
}).meta({ id: "secret" });

const config = extensible({
  name: text.optional(),
  content: text.optional(),
  environment: text.optional(),
  file: text.optional(),
  external: looseExternal.optional(),
  labels: pairs.optional(),
  template_driver: text.optional(),
}).meta({ id: "config" });

const model = extensible({
  name: text.optional(),
  model: text,
  context_size: integer.optional(),
  runtime_flags: texts.optional(),
}).meta({ id: "model" });

const include = z.union([
  text,
  closed({ path: textOrTexts.optional(), env_file: textOrTexts.optional(), project_directory: text.optional() }),
]);

/** A compose file as a user may write it, long and short forms. `compose-schema.json` and the validator's own copy of it are
 *  generated from here (`scripts/generate-schema`); a test keeps the three equal. Source: the schema of compose-go 2.14. */
export const composeFile = extensible({
  version: text.meta({ deprecated: true }).optional(),
  name: text.optional(),
  include: z.array(include).optional(),
  services: keyed(resourceKey, service, "refused").optional(),
  models: keyed(resourceKey, model, "unchecked").optional(),
  networks: keyed(resourceKey, network, "unchecked").optional(),
  volumes: keyed(resourceKey, volume, "refused").optional(),
  secrets: keyed(resourceKey, secret, "refused").optional(),
  configs: keyed(resourceKey, config, "refused").optional(),
});
