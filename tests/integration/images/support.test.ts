/** The helpers that other tests stand on. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeBusyboxArchive } from "../../support/images.ts";
import { startRegistry } from "../../support/registry.ts";

test("a registry answers on loopback and is gone after stop", async () => {
  const registry = await startRegistry();
  expect((await fetch(`${registry.url}/v2/`)).status).toBe(200);
  await registry.stop();
  await expect(fetch(`${registry.url}/v2/`)).rejects.toThrow();
  expect(existsSync(registry.dir)).toBe(false);
});

test("a registry with users and TLS wants the password and shows a certificate that verifies", async () => {
  const registry = await startRegistry({ users: { kim: "s3cret" }, tls: true });
  try {
    const status = (authorization?: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const headers = authorization === undefined ? {} : { authorization };
        const call = request(`${registry.url}/v2/`, { ca: registry.certificate, headers }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        });
        call.on("error", reject).end();
      });
    expect(await status()).toBe(401);
    expect(await status(`Basic ${Buffer.from("kim:wrong").toString("base64")}`)).toBe(401);
    expect(await status(`Basic ${Buffer.from("kim:s3cret").toString("base64")}`)).toBe(200);
  } finally {
    await registry.stop();
  }
});

test("the busybox archive is a docker archive with its tag", async () => {
  const dir = mkdtempSync(join(tmpdir(), "busybox-"));
  try {
    const archive = await makeBusyboxArchive(dir, "test/busybox:1");
    const manifest: unknown = JSON.parse(execFileSync("tar", ["-xOf", archive, "manifest.json"], { encoding: "utf8" }));
    expect(manifest).toMatchObject([{ RepoTags: ["test/busybox:1"], Layers: ["layer.tar"] }]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
