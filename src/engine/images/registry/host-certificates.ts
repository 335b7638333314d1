/** What is kept for TLS with one registry: `<folder>/<host>/*.crt`, the authorities to trust beside the system's, and `*.cert` with
 *  `*.key`, who we are. Source: Docker's manual, "Verify repository client with certificates". */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, errnoOf, TscomposeError } from "../../../errors.ts";

export interface HostCertificates {
  /** PEM; undefined: none. */
  readonly ca: string | undefined;
  /** PEM of the first pair by name; undefined: none. */
  readonly client: { readonly cert: string; readonly key: string } | undefined;
}

/** @param host with port @param dirs folders in order; a client's certificate in the first wins
 *  @throws request/invalid for a certificate without its key, a key without its certificate, a file that cannot be read */
export function hostCertificates(host: string, dirs: readonly string[]): HostCertificates {
  if (!/^[A-Za-z0-9._:[\]-]+$/.test(host) || host.startsWith(".")) return { ca: undefined, client: undefined };
  const found = dirs.map((dir) => readFolder(join(dir, host)));
  const authorities = found.flatMap(({ ca }) => ca ?? []);
  return {
    ca: authorities.length === 0 ? undefined : authorities.join("\n"),
    client: found.find(({ client }) => client !== undefined)?.client,
  };
}

function readFolder(dir: string): HostCertificates {
  const names = listFolder(dir).toSorted();
  const authorities = names.filter((name) => name.endsWith(".crt")).map((name) => readIn(dir, name));
  const clients = names.filter((name) => name.endsWith(".cert")).map((name) => name.slice(0, -".cert".length));
  const lone = names.find((name) => name.endsWith(".key") && !clients.includes(name.slice(0, -".key".length)));
  if (lone !== undefined) {
    throw incomplete(dir, `missing client certificate ${lone.slice(0, -".key".length)}.cert for key ${lone}`);
  }
  const keyless = clients.find((name) => !names.includes(`${name}.key`));
  if (keyless !== undefined) throw incomplete(dir, `missing key ${keyless}.key for client certificate ${keyless}.cert`);
  const [first] = clients;
  return {
    ca: authorities.length === 0 ? undefined : authorities.join("\n"),
    client: first === undefined ? undefined : { cert: readIn(dir, `${first}.cert`), key: readIn(dir, `${first}.key`) },
  };
}

function listFolder(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
    throw unreadable(dir, error);
  }
}

function readIn(dir: string, name: string): string {
  try {
    return readFileSync(join(dir, name), "utf8");
  } catch (error) {
    throw unreadable(join(dir, name), error);
  }
}

function incomplete(dir: string, what: string): TscomposeError {
  return new TscomposeError("request/invalid", `${dir}: ${what}`, {
    hint: "a client's certificate is NAME.cert with NAME.key beside it; authorities end with .crt",
  });
}

function unreadable(path: string, error: unknown): TscomposeError {
  return new TscomposeError("request/invalid", `${path} cannot be read: ${errorMessage(error)}`, { cause: error });
}
