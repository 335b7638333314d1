import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BlobStore } from "../../../../src/engine/images/blobs.ts";
import { ImageRecords, type ImageRecord } from "../../../../src/engine/images/image-records.ts";
import { StagingArea } from "../../../../src/engine/images/staging.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "records-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const config = { architecture: "amd64", os: "linux", config: {}, rootfs: { type: "layers", diff_ids: [] } };

function open(changes: string[] = []): { readonly records: ImageRecords; readonly blobs: BlobStore } {
  const blobs = new BlobStore(dir, new StagingArea(join(dir, "staging")));
  const records = new ImageRecords({
    dir: join(dir, "records"),
    corruptDir: join(dir, "corrupt"),
    blobs,
    warn: (message) => changes.push(message),
    isComplete: () => true,
    onChange: () => changes.push("changed"),
  });
  return { records, blobs };
}

function recordIn(blobs: BlobStore): ImageRecord {
  const content = Buffer.from(JSON.stringify(config));
  const id = blobs.write(content);
  return {
    version: 1,
    id,
    manifest: { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: id, size: content.length },
    tags: ["docker.io/library/app:latest"],
    digests: [],
    lastTagTime: "2026-01-01T00:00:00Z",
  };
}

function stored(): number {
  const [name = ""] = readdirSync(join(dir, "records"));
  return statSync(join(dir, "records", name)).ino;
}

test("an image that is named again as it is called already is written no second time, and its time is the new one", () => {
  const changes: string[] = [];
  const { records, blobs } = open(changes);
  const record = recordIn(blobs);
  records.put(record);
  const before = stored();
  records.put({ ...record, lastTagTime: "2026-01-02T00:00:00Z" });
  expect(stored()).toBe(before);
  expect(changes).toEqual(["changed"]);
  expect(records.named("docker.io/library/app:latest")?.lastTagTime).toBe("2026-01-02T00:00:00Z");
});

test("a name or a digest that is new is on the disk", () => {
  const { records, blobs } = open();
  const record = recordIn(blobs);
  records.put(record);
  records.put({ ...record, tags: [...record.tags, "docker.io/library/app:2"] });
  records.put({ ...record, tags: ["docker.io/library/app:2"], digests: [`docker.io/library/app@${record.id}`] });
  const again = open().records.get(record.id);
  expect(again?.tags).toEqual(["docker.io/library/app:2"]);
  expect(again?.digests).toEqual([`docker.io/library/app@${record.id}`]);
});
