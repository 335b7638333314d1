/** Where an engine listens, from options and environment. Reads the certificate files DOCKER_CERT_PATH names; otherwise pure.
 *  Source: docker CLI environment variables reference; dockerode's constructor options. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { TscomposeError } from "../errors.ts";
import type { DockerOptions } from "./options.ts";

export interface TlsFiles {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
}
export type EngineAddress =
  | { readonly kind: "unix"; readonly socketPath: string }
  | {
      readonly kind: "tcp";
      readonly protocol: "http" | "https";
      readonly host: string;
      readonly port: number;
      readonly tls: TlsFiles;
    };

type Environment = Readonly<Record<string, string | undefined>>;
const defaultSocket = "/var/run/docker.sock";

/** @throws request/invalid for an address that cannot be parsed; request/unsupported for ssh and npipe. */
export function resolveAddress(options: DockerOptions, env: Environment): EngineAddress {
  if (options.socketPath !== undefined) return { kind: "unix", socketPath: options.socketPath };
  if (options.host !== undefined) return parseAddress(options.host, options, env);
  const fromEnvironment = env["DOCKER_HOST"];
  if (fromEnvironment !== undefined && fromEnvironment !== "") return parseAddress(fromEnvironment, options, env);
  return { kind: "unix", socketPath: defaultSocket };
}

function parseAddress(text: string, options: DockerOptions, env: Environment): EngineAddress {
  if (text.startsWith("unix://")) return { kind: "unix", socketPath: text.slice("unix://".length) || defaultSocket };
  const withScheme = text.includes("://") ? text : `${options.protocol ?? "tcp"}://${text}`;
  const [, scheme = "", authority = ""] = /^([a-z]+):\/\/([^/?#]*)\/?$/.exec(withScheme) ?? [];
  if (["ssh", "npipe", "fd"].includes(scheme)) {
    throw new TscomposeError("request/unsupported", `engine address "${text}": scheme "${scheme}" is not supported`, {
      hint: "use unix:///path/to/docker.sock or tcp://host:port; for ssh, forward the socket with `ssh -L`",
    });
  }
  const [, bracketed, name, portText] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(authority) ?? [];
  const host = bracketed ?? name;
  if (host === undefined || !["tcp", "http", "https"].includes(scheme)) {
    throw new TscomposeError("request/invalid", `engine address "${text}" is not valid`, {
      hint: "use unix:///path/to/docker.sock or tcp://host:port",
    });
  }
  const port = Number(options.port ?? portText ?? (scheme === "https" ? 2376 : 2375));
  const tls = tlsFiles(options, env);
  const secure =
    scheme === "https" ||
    options.protocol === "https" ||
    tls.cert !== undefined ||
    (env["DOCKER_TLS_VERIFY"] ?? "") !== "" ||
    (scheme === "tcp" && port === 2376);
  return { kind: "tcp", protocol: secure ? "https" : "http", host, port, tls };
}

function tlsFiles(options: DockerOptions, env: Environment): TlsFiles {
  const directory = env["DOCKER_CERT_PATH"] ?? "";
  if (directory === "" || options.ca !== undefined || options.cert !== undefined) {
    const { ca, cert, key } = options;
    return {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    };
  }
  const read = (name: string): Buffer => {
    const path = join(directory, name);
    try {
      return readFileSync(path);
    } catch (error) {
      throw new TscomposeError("request/invalid", `cannot read ${path}, named by DOCKER_CERT_PATH`, { cause: error });
    }
  };
  return { ca: read("ca.pem"), cert: read("cert.pem"), key: read("key.pem") };
}

/** For messages. */
export function formatAddress(address: EngineAddress): string {
  if (address.kind === "unix") return `unix://${address.socketPath}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${address.protocol === "https" ? "https" : "tcp"}://${host}:${address.port}`;
}
