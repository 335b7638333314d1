import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { packDirectory } from "../../../../../src/engine/images/layers/pack.ts";
import { emptyXattrs } from "../../../../../src/engine/images/tar/entry.ts";
import { encodeHeader, writePlainHeader } from "../../../../../src/engine/images/tar/writer.ts";

test("a plain header is the general one, or none", () => {
  fc.assert(
    fc.property(
      fc.record({
        name: fc.oneof(
          fc.string({ unit: fc.constantFrom("a", "b", "c", "/", ".", "-", "é"), minLength: 1, maxLength: 130 }),
          fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 100 }),
        ),
        mode: fc.nat(0o7777),
        uid: fc.oneof(fc.nat(70_000), fc.nat(0o40000000)),
        gid: fc.oneof(fc.nat(70_000), fc.nat(0o40000000)),
        size: fc.oneof(fc.nat(5000), fc.nat(0o77777777777 + 5)),
        seconds: fc.oneof(fc.integer({ min: -5, max: 2_000_000_000 }), fc.nat(0o77777777777 + 5)),
      }),
      fc.constantFrom("file", "dir", "fifo"),
      ({ name, seconds, ...rest }, type) => {
        const general = encodeHeader({
          ...rest,
          type,
          name: Buffer.from(name, "latin1"),
          linkName: Buffer.alloc(0),
          mtime: { sec: seconds, nsec: 0 },
          device: { major: 0, minor: 0 },
          xattrs: emptyXattrs,
        });
        const target = Buffer.alloc(1024, 0xaa);
        const written = writePlainHeader(target, 100, { name, seconds, type, ...rest });
        if (written) expect(target.subarray(100, 612).equals(general)).toBe(true);
        // Only a name that is cut in two is one block, too.
        else expect(general.length > 512 || name.length > 100).toBe(true);
        expect(target[99]).toBe(0xaa);
        expect(target[612]).toBe(0xaa);
      },
    ),
    { numRuns: 2000 },
  );
});

test("a directory gives the same tar whoever may write to it meanwhile, which tar(1) reads as it is", () => {
  const root = mkdtempSync(join(tmpdir(), "pack-"));
  try {
    const tree = join(root, "tree");
    mkdirSync(join(tree, "d/e"), { recursive: true });
    const sizes = [0, 1, 511, 512, 513, 65_536, (1 << 20) - 512, (1 << 20) - 511, 1 << 20, (1 << 20) + 1, 3_000_000];
    for (const size of sizes) writeFileSync(join(tree, "d", `f${size}`), Buffer.alloc(size, size % 251));
    writeFileSync(join(tree, "x".repeat(150)), "long");
    writeFileSync(Buffer.concat([Buffer.from(`${tree}/n`), Buffer.of(0xff)]), "bytes");
    symlinkSync("d/f1", join(tree, "link"));
    linkSync(join(tree, "d/f513"), join(tree, "d/e/same"));
    utimesSync(join(tree, "d/f0"), -1.5, -1.5);
    const tar = (settled: boolean): { readonly bytes: Buffer; readonly counted: number } => {
      const count = { fileBytes: 0 };
      const chunks = [...mapped(packDirectory(tree, settled ? { count } : undefined))];
      return { bytes: Buffer.concat(chunks), counted: count.fileBytes };
    };
    const { bytes, counted } = tar(true);
    expect(createHash("sha256").update(tar(false).bytes).digest("hex")).toBe(
      createHash("sha256").update(bytes).digest("hex"),
    );
    expect(counted).toBe(sizes.reduce((sum, size) => sum + size, 0) + 4 + 5);
    const copy = join(root, "copy");
    mkdirSync(copy);
    execFileSync("tar", ["xf", "-", "-C", copy, "--same-permissions"], {
      input: bytes,
      stdio: ["pipe", "pipe", "pipe"],
    });
    execFileSync("diff", ["-r", "--no-dereference", tree, copy]);
  } finally {
    rmSync(root, { recursive: true });
  }
});

function* mapped(chunks: Iterable<Buffer>): Generator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}
