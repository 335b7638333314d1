/** `--chown` and `USER` to numbers, by the image's own passwd and group. */
import { TscomposeError } from "../../../errors.ts";
import { readUserFiles } from "../../runtime/user-files.ts";
import type { Owner } from "./make-directories.ts";

const maxId = 0x7fff_ffff;

/** Undefined for a name. Source: BuildKit client/llb parseUID. */
function idOf(text: string): number | undefined {
  if (text === "" || text === "root") return 0;
  const id = /^\+?[0-9]+$/.test(text) ? Number(text) : undefined;
  return id !== undefined && id <= maxId ? id : undefined;
}

/** The fields of the line that begins with `name`. */
function lookup(file: string, name: string): readonly string[] | undefined {
  return file
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[0] === name);
}

/** `user[:group]`. A number stands for user and group alike; a name that the image does not have is root, as in BuildKit.
 *  Undefined for "". @param rootfs undefined: there are no files yet
 *  @throws build/failed for a name where there are no files to look it up in, or what should be one is none */
export function ownerOf(text: string, rootfs: string | undefined): Owner | undefined {
  if (text === "") return undefined;
  const colon = text.indexOf(":");
  const user = colon < 0 ? text : text.slice(0, colon);
  const group = colon < 0 ? undefined : text.slice(colon + 1);
  const userId = idOf(user);
  const groupId = group === undefined ? userId : idOf(group);
  if (userId !== undefined && groupId !== undefined) return { uid: userId, gid: groupId };
  if (rootfs === undefined) {
    throw new TscomposeError("build/failed", "invalid user index: -1", {
      hint: `${text} names a user or a group, and there is no /etc/passwd: give numbers where a stage is FROM scratch or a copy has --link`,
    });
  }
  const files = readUserFiles(rootfs);
  const needed = [
    ...(userId === undefined ? ["/etc/passwd"] : []),
    ...(groupId === undefined && group !== undefined ? ["/etc/group"] : []),
  ];
  const irregular = needed.find((path) => files.irregular.includes(path));
  if (irregular !== undefined)
    throw new TscomposeError("build/failed", `${irregular} is not a regular file`, {
      hint: `${text} is looked up in it: give numbers`,
    });
  const entry = userId === undefined ? lookup(files.passwd, user) : undefined;
  const uid = userId ?? idField(entry?.[2]) ?? 0;
  const ownGid = userId ?? idField(entry?.[3]) ?? 0;
  if (group === undefined) return { uid, gid: ownGid };
  return { uid, gid: groupId ?? idField(lookup(files.group, group)?.[2]) ?? ownGid };
}

function idField(field: string | undefined): number | undefined {
  return field !== undefined && /^[0-9]+$/.test(field) && Number(field) <= maxId ? Number(field) : undefined;
}
