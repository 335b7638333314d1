/** Secrets of a build: files, variables and texts. */
import { readFile } from "node:fs/promises";
import type { SecretSource } from "../compose/context.ts";
import { TscomposeError } from "../errors.ts";

/** As in Docker. */
const maxBytes = 500 * 1024;

async function readOne(
  { id, file, environment, text }: SecretSource,
  variables: Readonly<Record<string, string | undefined>>,
): Promise<Buffer> {
  if (text !== undefined) return Buffer.from(text);
  if (environment !== undefined) return Buffer.from(variables[environment] ?? "");
  try {
    return await readFile(file ?? "");
  } catch (error) {
    throw new TscomposeError("build/invalid", `cannot read the secret ${id} from ${file}`, { cause: error });
  }
}

/** Id -> base64. @throws build/invalid for one that cannot be read, or is larger than 500 KiB */
export async function readSecrets(
  secrets: readonly SecretSource[],
  variables: Readonly<Record<string, string | undefined>>,
): Promise<Readonly<Record<string, string>>> {
  const values = await Promise.all(
    secrets.map(async (secret) => {
      const value = await readOne(secret, variables);
      if (value.length > maxBytes) {
        throw new TscomposeError("build/invalid", `the secret ${secret.id} is larger than 500 KiB`);
      }
      return [secret.id, value.toString("base64")] as const;
    }),
  );
  return Object.fromEntries(values);
}
