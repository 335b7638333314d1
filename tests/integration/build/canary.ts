/** Files of the host that a hostile build goes for. Whatever it tries, nothing about them may change, and nothing of their content
 *  may get into an image or to a client. */
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { lgetxattr, llistxattr, lsetxattr } from "../../../src/host/libc.ts";

export class Canary {
  readonly directory: string;
  readonly secret = `canary-${process.pid}-${Date.now()}`;
  readonly #before: readonly string[];

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(join(directory, "a/b"), { recursive: true });
    mkdirSync(join(directory, "private"), { mode: 0o700 });
    writeFileSync(join(directory, "passwd"), `root:${this.secret}\n`);
    writeFileSync(join(directory, "private/key"), this.secret, { mode: 0o600 });
    writeFileSync(join(directory, "empty"), "");
    chmodSync(join(directory, "passwd"), 0o640);
    chownSync(join(directory, "passwd"), 1234, 4321);
    linkSync(join(directory, "passwd"), join(directory, "hard"));
    symlinkSync("passwd", join(directory, "soft"));
    lsetxattr(Buffer.from(join(directory, "passwd")), "user.canary", Buffer.from("kept"));
    for (const name of ["passwd", "private/key", "empty", "a/b", "a", "private", ""])
      utimesSync(join(directory, name), 1_500_000_000, 1_500_000_000);
    this.#before = this.#facts();
  }

  /** What is not as it was. */
  changes(): readonly string[] {
    const after = this.#facts();
    return [
      ...this.#before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
      ...after.filter((line) => !this.#before.includes(line)).map((line) => `+ ${line}`),
    ];
  }

  #facts(): readonly string[] {
    const lines: string[] = [];
    const walk = (path: string): void => {
      const full = join(this.directory, path);
      const stat = lstatSync(full);
      const xattrs = llistxattr(Buffer.from(full)).map(
        (name) => `${name}=${lgetxattr(Buffer.from(full), name)?.toString("hex") ?? ""}`,
      );
      const content = stat.isFile() ? readFileSync(full, "utf8") : stat.isSymbolicLink() ? readlinkSync(full) : "";
      const { mode, uid, gid, nlink, mtimeMs, ino } = stat;
      lines.push([path, mode.toString(8), uid, gid, nlink, mtimeMs, ino, xattrs.join(), content].join(" "));
      if (stat.isDirectory()) for (const name of readdirSync(full).toSorted()) walk(join(path, name));
    };
    walk("");
    return lines;
  }
}
