/** The Dockerfile and the ignore patterns of a context. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import { removeTree } from "../../images/layers/remove-tree.ts";
import type { ContextFiles } from "../files/receive-context.ts";
import { toBytes, Tree } from "../files/tree.ts";
import { ignoreFileNames, readIgnoreFile } from "../ignore/ignore-file.ts";

const maxBytes = 16 * 1024 * 1024;

function readText(tree: Tree, path: string): string | undefined {
  const real = tree.resolve(toBytes(path));
  if (tree.stat(real)?.isFile() !== true) return undefined;
  const fd = openSync(tree.path(real), constants.O_RDONLY);
  try {
    const { size } = fstatSync(fd);
    if (size > maxBytes) throw new TscomposeError("build/invalid", `${path} is larger than 16 MiB`);
    const buffer = Buffer.alloc(size);
    let done = 0;
    for (let count = 1; done < size && count > 0; done += count) count = readSync(fd, buffer, done, size - done, done);
    return buffer.subarray(0, done).toString("utf8");
  } finally {
    closeSync(fd);
  }
}

export interface DockerfileSource {
  readonly name: string;
  readonly text: string;
  readonly ignorePatterns: readonly string[];
}

export interface WantedDockerfile {
  readonly name: string | undefined;
  /** In place of the file. */
  readonly text: string | undefined;
  /** In place of the ignore files of the context. */
  readonly ignoreText: string | undefined;
}

/** @throws build/invalid with Docker's text where there is no such file */
export function dockerfileOf(context: ContextFiles, wanted: WantedDockerfile): DockerfileSource {
  const name = wanted.name === undefined || wanted.name === "" ? "Dockerfile" : wanted.name;
  const tree = new Tree(context.directory);
  try {
    const text = wanted.text ?? readText(tree, name);
    if (text === undefined)
      throw new TscomposeError("build/invalid", `Cannot locate specified Dockerfile: ${name}`, {
        hint: "name the Dockerfile relative to the build context",
      });
    const [own, general] = ignoreFileNames(name);
    const beside = wanted.text === undefined ? readText(tree, own) : undefined;
    const ignore = wanted.ignoreText ?? beside ?? readText(tree, general) ?? "";
    // Clients put a Dockerfile that is no part of the context into it under such a name.
    const isGuest = wanted.text === undefined && /^\.dockerfile\.[0-9a-f]{20}$/.test(name);
    if (isGuest) removeTree(tree.fd, Buffer.from(name));
    return { name: isGuest ? "Dockerfile" : name, text, ignorePatterns: readIgnoreFile(ignore) };
  } finally {
    tree.close();
  }
}

/** Of the `.dockerignore` in a folder. */
export function ignorePatternsOf(directory: string): readonly string[] {
  const tree = new Tree(directory);
  try {
    return readIgnoreFile(readText(tree, ".dockerignore") ?? "");
  } finally {
    tree.close();
  }
}
