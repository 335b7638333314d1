/** Names of images: what a user writes -> canonical parts -> the familiar form Docker prints. Pure.
 *  Source: distribution/reference grammar and Docker's normalisation (docker.io, library/). */
import { TscomposeError } from "../../errors.ts";
import { isDigest } from "./digest.ts";

export interface Reference {
  /** Registry host with port: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly domain: string;
  /** Repository below it: `library/busybox`. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const pathComponent = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const pathPattern = new RegExp(`^${pathComponent}(?:/${pathComponent})*$`);
const label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const domainPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const tagPattern = /^\w[\w.-]{0,127}$/;
const maxNameLength = 255;

/** Accepts `name`, `name:tag`, `name@digest`, `name:tag@digest`. Without tag and digest both stay undefined.
 *  @throws request/invalid with Docker's text `invalid reference format` */
export function parseReference(text: string): Reference {
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) throw invalid(`invalid reference format: digest ${show(digest)}`);
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(":");
  const tagged = colon > named.lastIndexOf("/");
  const tag = tagged ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagPattern.test(tag)) throw invalid(`invalid reference format: tag ${show(tag)}`);
  const { domain, path } = splitDomain(tagged ? named.slice(0, colon) : named);
  if (!pathPattern.test(path) && pathPattern.test(path.toLowerCase())) {
    throw invalid(`invalid reference format: repository name (${path}) must be lowercase`);
  }
  if (!pathPattern.test(path) || !domainPattern.test(domain)) throw invalid("invalid reference format", text);
  if (domain.length + 1 + path.length > maxNameLength) {
    throw invalid(`repository name must not be more than ${maxNameLength} characters`);
  }
  return { domain, path, tag, digest };
}

/** Undefined instead of an error. */
export function tryParseReference(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}

/** The first component is a host when it looks like one: with a dot, a colon or an upper-case letter, or `localhost`. */
function splitDomain(name: string): { readonly domain: string; readonly path: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  const domain = isHost ? (first === "index.docker.io" ? "docker.io" : first) : "docker.io";
  const rest = isHost ? name.slice(slash + 1) : name;
  return { domain, path: domain === "docker.io" && !rest.includes("/") ? `library/${rest}` : rest };
}

/** With the tag `latest` when it has neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: "latest" } : reference;
}

/** `docker.io/library/busybox`. */
export function repositoryOf(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** `docker.io/library/busybox:latest`, with the digest where there is one. */
export function canonicalName(reference: Reference): string {
  return `${repositoryOf(reference)}${suffix(reference)}`;
}

/** As Docker prints it: `busybox:latest`, `app/web`, `localhost:5000/x@sha256:...`. */
export function familiarName(reference: Reference): string {
  return `${familiarRepository(reference)}${suffix(reference)}`;
}

/** `busybox`, `app/web`, `localhost:5000/x`. */
export function familiarRepository({ domain, path }: Reference): string {
  if (domain !== "docker.io") return `${domain}/${path}`;
  return /^library\/[^/]+$/.test(path) ? path.slice("library/".length) : path;
}

function suffix({ tag, digest }: Reference): string {
  return `${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

const show = (text: string): string => JSON.stringify(text.slice(0, 100));

function invalid(message: string, name?: string): TscomposeError {
  return new TscomposeError("request/invalid", message, {
    hint: "write an image as [host[:port]/]name[:tag] in lower case, for example localhost:5000/team/app:1.2",
    ...(name === undefined ? {} : { details: { name } }),
  });
}
