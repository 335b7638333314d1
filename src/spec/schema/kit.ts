import { z } from "zod";

/** Building blocks of the schema: what JSON Schema can say and zod says otherwise. `jsonSchemaFacts` carries the difference to
 *  the generator, so that the two always agree. */
export interface JsonSchemaFacts {
  /** `x-*` keys are allowed beside the named ones. */
  readonly extensible?: boolean;
  /** Keys beside the named ones are allowed, whatever they hold. */
  readonly open?: boolean;
  /** Values of the keys that match; others are refused where `closed`, else left alone. */
  readonly keys?: { readonly pattern: string; readonly closed: boolean; readonly value: unknown };
  readonly uniqueItems?: boolean;
}

export const jsonSchemaFacts = z.registry<JsonSchemaFacts>();

function known<T extends z.ZodType>(schema: T, facts: JsonSchemaFacts): T {
  jsonSchemaFacts.add(schema, facts);
  return schema;
}

/** Named keys, all of them optional unless the schema says otherwise, and `x-*`. */
export function extensible<T extends z.ZodRawShape>(shape: T): z.ZodObject<T, z.core.$catchall<z.ZodUnknown>> {
  const object = z
    .object(shape)
    .catchall(z.unknown())
    .superRefine((value, context) => {
      for (const key of Object.keys(value)) {
        if (!Object.hasOwn(shape, key) && !key.startsWith("x-")) {
          context.addIssue({ code: "unrecognized_keys", keys: [key], input: value });
        }
      }
    });
  return known(object, { extensible: true });
}

/** Named keys and no others. */
export function closed<T extends z.ZodRawShape>(shape: T): z.ZodObject<T, z.core.$strict> {
  return z.strictObject(shape);
}

/** Named keys are checked, others pass. */
export function open<T extends z.ZodRawShape>(shape: T): z.ZodObject<T, z.core.$loose> {
  return known(z.looseObject(shape), { open: true });
}

/** Keys the user chooses. */
export function keyed<T extends z.ZodType>(
  pattern: string,
  value: T,
  others: "refused" | "unchecked",
): z.ZodRecord<z.ZodString, z.ZodUnknown> {
  const shape = new RegExp(pattern, "s");
  const record = z.record(z.string(), z.unknown()).superRefine((entries, context) => {
    for (const [key, entry] of Object.entries(entries)) {
      if (shape.test(key)) {
        const result = value.safeParse(entry);
        for (const issue of result.error?.issues ?? []) {
          context.addIssue({ code: "custom", message: issue.message, path: [key, ...issue.path], input: entry });
        }
      } else if (others === "refused") {
        context.addIssue({ code: "unrecognized_keys", keys: [key], input: entries });
      }
    }
  });
  return known(record, { keys: { pattern, closed: others === "refused", value } });
}

export function uniqueList<T extends z.ZodType>(item: T): z.ZodArray<T> {
  const list = z.array(item).superRefine((items, context) => {
    const seen = new Set<string>();
    for (const [index, value] of items.entries()) {
      const text = JSON.stringify(value);
      if (seen.has(text)) {
        context.addIssue({ code: "custom", message: `repeats an earlier item`, path: [index], input: value });
      }
      seen.add(text);
    }
  });
  return known(list, { uniqueItems: true });
}

export const text = z.string();
export const boolean = z.boolean();
export const number = z.number();
export const integer = z.int();
export const textOrBoolean = z.union([z.boolean(), z.string()]);
export const textOrNumber = z.union([z.number(), z.string()]);
export const textOrInteger = z.union([z.int(), z.string()]);
export const texts = z.array(z.string());
export const uniqueTexts = uniqueList(z.string()).meta({ id: "list_of_strings" });
export const textOrTexts = z.union([z.string(), uniqueTexts]).meta({ id: "string_or_list" });
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
export const pairs = z.union([keyed("^.+$", scalar, "refused"), uniqueList(z.string())]).meta({ id: "list_or_dict" });
export const command = z.union([z.null(), z.string(), texts]).meta({ id: "command" });
export const extraHosts = z
  .union([keyed("^.+$", z.union([z.string(), texts]), "refused"), uniqueList(z.string())])
  .meta({ id: "extra_hosts" });
export const driverOptions = keyed("^.+$", z.union([z.string(), z.number()]), "unchecked").meta({
  id: "driver_options",
});
export const resourceKey = "^[a-zA-Z0-9._-]+$";

export const ulimits = keyed(
  "^[a-z]+$",
  z.union([textOrInteger, extensible({ hard: textOrInteger, soft: textOrInteger })]),
  "unchecked",
).meta({ id: "ulimits" });

export const fileReferences = z
  .array(
    z.union([
      z.string(),
      extensible({
        source: text.optional(),
        target: text.optional(),
        uid: text.optional(),
        gid: text.optional(),
        mode: textOrNumber.optional(),
      }),
    ]),
  )
  .meta({ id: "service_config_or_secret" });
