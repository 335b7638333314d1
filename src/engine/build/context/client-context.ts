/** A context that a client is asked for: its Dockerfile first, then what the build reads of it. */
import { TscomposeError } from "../../../errors.ts";
import { emptyContext } from "../files/receive-context.ts";
import type { ContextFiles } from "../files/receive-context.ts";
import { Tree } from "../files/tree.ts";
import { ignoreFileNames, readIgnoreFile } from "../ignore/ignore-file.ts";
import type { DockerfileSource, WantedDockerfile } from "../solve/dockerfile-of.ts";
import type { ClientFolder } from "../types.ts";
import { ClientMirror } from "./client-mirror.ts";
import type { FolderCopy } from "./folder-mirrors.ts";
import { newMirror } from "./mirror-index.ts";
import type { MirrorResult } from "./mirror.ts";
import type { ContextTools, NeededPaths } from "./open-context.ts";

/** Without the folder (a context from elsewhere) there is no ignore file of the context.
 *  @throws build/invalid with BuildKit's text where there is no such file */
export async function readClientDockerfile(
  folder: ClientFolder,
  given: string | undefined,
): Promise<{ readonly name: string; readonly text: string; readonly ignoreText: string | undefined }> {
  const name = given === undefined || given === "" ? "Dockerfile" : given;
  const [own] = ignoreFileNames(name);
  const lower = name === "Dockerfile" ? ["dockerfile"] : [];
  const files = await folder.read([name, own, ...lower]);
  const found = [name, ...lower].find((path) => files.has(path));
  if (found === undefined)
    throw new TscomposeError("build/invalid", `failed to read dockerfile: open ${name}: no such file or directory`, {
      hint: "name the Dockerfile with -f, or give the folder that it is in",
    });
  return { name: found, text: files.get(found)?.toString("utf8") ?? "", ignoreText: files.get(own)?.toString("utf8") };
}

export async function clientIgnorePatterns(folder: ClientFolder): Promise<readonly string[]> {
  const [, general] = ignoreFileNames("");
  const files = await folder.read([general]);
  return readIgnoreFile(files.get(general)?.toString("utf8") ?? "");
}

export async function clientDockerfile(folder: ClientFolder, wanted: WantedDockerfile): Promise<DockerfileSource> {
  const { text } = wanted;
  const read = text === undefined ? await readClientDockerfile(folder, wanted.name) : undefined;
  const name = read?.name ?? wanted.name ?? "Dockerfile";
  const ignoreText = wanted.ignoreText ?? read?.ignoreText;
  const ignorePatterns = ignoreText === undefined ? await clientIgnorePatterns(folder) : readIgnoreFile(ignoreText);
  return { name, text: read?.text ?? text ?? "", ignorePatterns };
}

/** What is needed of the folder, as it is now. */
export async function clientFiles(
  tools: ContextTools,
  folder: ClientFolder,
  patterns: readonly string[],
  needed: NeededPaths,
): Promise<ContextFiles> {
  if (needed === undefined) return emptyContext(tools.workspace.newDirectory("context"));
  const wanted = { follow: needed === "all" ? [] : needed, exclude: patterns };
  const follow = async (copy: FolderCopy, onChange: () => void): Promise<MirrorResult> => {
    const target = new Tree(copy.target);
    const mirror = new ClientMirror(target, copy.before, onChange);
    try {
      await folder.sync(wanted, mirror);
      return mirror.finish();
    } finally {
      mirror.close();
      target.close();
    }
  };
  const spare = (): string => tools.workspace.newDirectory("context");
  if (folder.key === undefined) {
    const directory = spare();
    const { index } = await follow({ target: directory, before: newMirror() }, () => undefined);
    return { directory, known: index.files };
  }
  const leased = await tools.mirrors.leaseOf({ identity: ["client", folder.key, wanted], follow, spare });
  tools.defer(() => leased.release());
  return leased.files;
}
