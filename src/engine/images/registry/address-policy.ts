/** Which hosts a registry may send us to, and which of them may see its password. Pure. Source: security.md I-40 to I-46. */
import { BlockList, isIP } from "node:net";

const inner = new BlockList();
for (const [net, prefix] of [
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["0.0.0.0", 8],
] as const) {
  inner.addSubnet(net, prefix, "ipv4");
}
for (const [net, prefix] of [
  ["::1", 128],
  ["::", 128],
  ["fe80::", 10],
] as const)
  inner.addSubnet(net, prefix, "ipv6");

/** Addresses of the machine itself or its link, where metadata services live: nothing a registry may point to. */
export function isInnerAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return inner.check(mapped, "ipv4");
  return inner.check(address, family === 6 ? "ipv6" : "ipv4");
}

/** `localhost`, 127.0.0.0/8 and ::1. @param host without port */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "");
  return bare === "localhost" || bare === "::1" || (isIP(bare) === 4 && bare.startsWith("127."));
}

/** Second-level names under which strangers register, as in `co.uk`. */
const sharedSecondLevel = new Set([
  "ac",
  "co",
  "com",
  "edu",
  "gov",
  "gob",
  "ltd",
  "me",
  "mil",
  "net",
  "ne",
  "nom",
  "or",
  "org",
  "plc",
]);
/** Suffixes whose subdomains belong to different people. */
const sharedSuffixes = [
  "github.io",
  "gitlab.io",
  "herokuapp.com",
  "azurewebsites.net",
  "cloudfront.net",
  "appspot.com",
  "run.app",
  "web.app",
  "vercel.app",
  "netlify.app",
  "pages.dev",
  "workers.dev",
  "amazonaws.com",
  "azurecr.io",
  "ngrok.io",
  "fly.dev",
  "onrender.com",
];

/** The part of a name that one owner registered: `auth.docker.io` -> `docker.io`. An address stands for itself. */
export function ownerDomain(host: string): string {
  const name = host.toLowerCase();
  if (isIP(name.replace(/^\[|\]$/g, "")) !== 0) return name;
  const labels = name.split(".");
  const suffix = sharedSuffixes.find((item) => name === item || name.endsWith(`.${item}`));
  if (suffix !== undefined) return labels.slice(-suffix.split(".").length - 1).join(".");
  const last = labels.at(-1) ?? "";
  const second = labels.at(-2) ?? "";
  return labels.slice(last.length === 2 && sharedSecondLevel.has(second) ? -3 : -2).join(".");
}

/** Whether a token server at `realmHost` may get the credentials of `registryHost` (both without port). */
export function mayShareCredentials(registryHost: string, realmHost: string, alsoAllowed: readonly string[]): boolean {
  return ownerDomain(registryHost) === ownerDomain(realmHost) || alsoAllowed.includes(realmHost);
}
