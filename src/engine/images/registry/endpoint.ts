/** Where a repository is asked for: mirrors first, then the registry itself. Pure. Source: Docker's rules for insecure
 *  registries; security.md I-44. */
import { TscomposeError } from "../../../errors.ts";
import { isLoopbackHost } from "./address-policy.ts";
import { hostCertificates } from "./host-certificates.ts";
import type { RegistryConfig } from "./registry-config.ts";
import type { TlsOptions } from "./http.ts";

export interface Endpoint {
  /** Host with port: the key of its credentials. */
  readonly host: string;
  /** Tried in this order; more than one only for insecure registries. */
  readonly bases: readonly URL[];
  readonly insecure: boolean;
  readonly mirror: boolean;
  readonly tls: TlsOptions;
  readonly tokenHosts: readonly string[];
}

/** @param domain of a reference */
export function endpointsFor(domain: string, config: RegistryConfig): readonly Endpoint[] {
  const mirrors = config.mirrors.get(domain) ?? [];
  return [...mirrors.map((url) => mirrorEndpoint(new URL(url), config)), registryEndpoint(domain, config)];
}

/** The registry itself: pushes go nowhere else. */
export function registryEndpoint(domain: string, config: RegistryConfig): Endpoint {
  const host = domain === "docker.io" ? "registry-1.docker.io" : domain;
  if (!URL.canParse(`https://${host}/`)) throw new TscomposeError("request/invalid", `not a registry: ${domain}`);
  const { hostname } = new URL(`https://${host}/`);
  const insecure = config.insecure.has(domain) || isLoopbackHost(hostname);
  const secureBase = new URL(`https://${host}/`);
  const plainBase = new URL(`http://${host}/`);
  // On loopback nobody listens in, and nearly no registry there has TLS.
  const bases = !insecure ? [secureBase] : isLoopbackHost(hostname) ? [plainBase, secureBase] : [secureBase, plainBase];
  return endpoint(domain, bases, { config, insecure, mirror: false });
}

function mirrorEndpoint(url: URL, config: RegistryConfig): Endpoint {
  const base = new URL(url.href.endsWith("/") ? url.href : `${url.href}/`);
  // Written with http:// by the administrator, so meant.
  return endpoint(url.host, [base], {
    config,
    insecure: url.protocol === "http:" || config.insecure.has(url.host),
    mirror: true,
  });
}

function endpoint(
  host: string,
  bases: readonly URL[],
  {
    config,
    insecure,
    mirror,
  }: { readonly config: RegistryConfig; readonly insecure: boolean; readonly mirror: boolean },
): Endpoint {
  return {
    host,
    bases,
    insecure,
    mirror,
    tls: { ...hostCertificates(host, config.certificateDirs), unverified: insecure },
    tokenHosts: config.tokenHosts.get(host) ?? [],
  };
}
