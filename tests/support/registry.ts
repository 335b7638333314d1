/** A real registry for tests: Debian's docker-registry on a loopback port of the kernel's choice, storage in a directory of its
 *  own, optionally with a password (htpasswd) and TLS (a self-signed certificate for 127.0.0.1 and localhost). */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TestRegistry {
  readonly port: number;
  /** `<address>:<port>`: what to write before an image's name. */
  readonly host: string;
  /** `http://...` or `https://...`. */
  readonly url: string;
  readonly dir: string;
  /** PEM of the certificate authority to trust, with `tls`. */
  readonly certificate: string | undefined;
  /** What a client has to show, with `wantsClient`. */
  readonly client: { readonly certificate: string; readonly key: string } | undefined;
  /** Ends the process and removes its directory. */
  stop(): Promise<void>;
}
export interface TestRegistryOptions {
  readonly users?: Readonly<Record<string, string>>;
  readonly tls?: boolean;
  /** With `tls`: who does not show the client's certificate is turned away. */
  readonly wantsClient?: boolean;
  /** One of this network namespace; default 127.0.0.1. */
  readonly address?: string;
}

/** Resolves when the registry answers. */
export async function startRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const dir = mkdtempSync(join(tmpdir(), "registry-"));
  const address = options.address ?? "127.0.0.1";
  const certificate = options.tls === true ? makeCertificate(dir, "tls", address) : undefined;
  const client =
    options.wantsClient === true
      ? { certificate: makeCertificate(dir, "client", address), key: readFileSync(join(dir, "client.key"), "utf8") }
      : undefined;
  writeFileSync(join(dir, "config.yml"), registryConfig(dir, options));
  const child = spawn("docker-registry", ["serve", join(dir, "config.yml")], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", OTEL_TRACES_EXPORTER: "none" },
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    rmSync(dir, { recursive: true, force: true });
  };
  let log = "";
  try {
    const port = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", () => reject(new Error(`docker-registry ended: ${log}`)));
      child.stderr.on("data", (chunk: Buffer) => {
        log = (log + chunk.toString("utf8")).slice(-8000);
        const found = /listening on [\d.]+:(\d+)/.exec(log);
        if (found !== null) resolve(Number(found[1]));
      });
    });
    const url = `${certificate === undefined ? "http" : "https"}://${address}:${port}`;
    return { port, host: `${address}:${port}`, url, dir, certificate, client, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function registryConfig(dir: string, options: TestRegistryOptions): string {
  const lines = [
    "version: 0.1",
    "log: {level: info, accesslog: {disabled: true}}",
    "storage:",
    `  filesystem: {rootdirectory: ${JSON.stringify(join(dir, "storage"))}}`,
    "  delete: {enabled: true}",
    "http:",
    `  addr: ${options.address ?? "127.0.0.1"}:0`,
    "  secret: test",
  ];
  if (options.tls === true) {
    lines.push(
      "  tls:",
      `    certificate: ${JSON.stringify(join(dir, "tls.crt"))}`,
      `    key: ${JSON.stringify(join(dir, "tls.key"))}`,
    );
    if (options.wantsClient === true) lines.push(`    clientcas: [${JSON.stringify(join(dir, "client.crt"))}]`);
  }
  if (options.users !== undefined) {
    const file = join(dir, "htpasswd");
    writeFileSync(file, Object.entries(options.users).map(htpasswdLine).join(""));
    lines.push(`auth: {htpasswd: {realm: test, path: ${JSON.stringify(file)}}}`);
  }
  return `${lines.join("\n")}\n`;
}

/** The registry takes bcrypt only; perl's crypt(3) makes it without a further package. */
function htpasswdLine([user, password]: [string, string]): string {
  const script = "print crypt($ARGV[0], q($2y$04$abcdefghijklmnopqrstuu))";
  return `${user}:${execFileSync("perl", ["-e", script, password], { encoding: "utf8" })}\n`;
}

function makeCertificate(dir: string, name: string, address: string): string {
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const subject = ["-subj", "/CN=registry", "-addext", `subjectAltName=IP:${address},DNS:localhost`];
  const files = ["-keyout", join(dir, `${name}.key`), "-out", join(dir, `${name}.crt`)];
  execFileSync("openssl", [...args, ...subject, ...files], { stdio: "ignore" });
  return readFileSync(join(dir, `${name}.crt`), "utf8");
}
