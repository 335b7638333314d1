import { z } from "zod";

import {
  driverOptions,
  extensible,
  integer,
  keyed,
  number,
  pairs,
  resourceKey,
  text,
  textOrBoolean,
  textOrInteger,
  textOrNumber,
  uniqueList,
  uniqueTexts,
} from "./kit.ts";

export const networks = z.union([
  uniqueTexts,
  keyed(
    resourceKey,
    extensible({
      aliases: uniqueTexts.optional(),
      interface_name: text.optional(),
      ipv4_address: text.optional(),
      ipv6_address: text.optional(),
      link_local_ips: uniqueTexts.optional(),
      mac_address: text.optional(),
      driver_opts: driverOptions.optional(),
      priority: number.optional(),
      gw_priority: number.optional(),
    }).nullable(),
    "refused",
  ),
]);

export const ports = uniqueList(
  z.union([
    number,
    text,
    extensible({
      name: text.optional(),
      mode: text.optional(),
      host_ip: text.optional(),
      target: textOrInteger.optional(),
      published: textOrInteger.optional(),
      protocol: text.optional(),
      app_protocol: text.optional(),
    }),
  ]),
);

export const volumes = uniqueList(
  z.union([
    text,
    extensible({
      type: z.enum(["bind", "volume", "tmpfs", "cluster", "npipe", "image"]),
      source: text.optional(),
      target: text.optional(),
      read_only: textOrBoolean.optional(),
      consistency: text.optional(),
      bind: extensible({
        propagation: text.optional(),
        create_host_path: textOrBoolean.optional(),
        recursive: z.enum(["enabled", "disabled", "writable", "readonly"]).optional(),
        selinux: z.enum(["z", "Z"]).optional(),
      }).optional(),
      volume: extensible({
        labels: pairs.optional(),
        nocopy: textOrBoolean.optional(),
        subpath: text.optional(),
      }).optional(),
      tmpfs: extensible({
        size: z.union([integer.min(0), text]).optional(),
        mode: textOrNumber.optional(),
      }).optional(),
      image: extensible({ subpath: text.optional() }).optional(),
    }),
  ]),
);
