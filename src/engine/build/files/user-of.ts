/** `--chown` and `USER` to numbers, by the image's own passwd and group. */
import { readUserFiles } from "../../runtime/user-files.ts";
import type { Owner } from "./make-directories.ts";

/** Ids that chown(2) would take for "leave it". */
const maxId = 0xffff_fffe;

function idOf(text: string): number | undefined {
  const id = /^[0-9]+$/.test(text) ? Number(text) : undefined;
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
 *  Undefined for "". */
export function ownerOf(text: string, rootfs: string): Owner | undefined {
  if (text === "") return undefined;
  const colon = text.indexOf(":");
  const user = colon < 0 ? text : text.slice(0, colon);
  const group = colon < 0 ? undefined : text.slice(colon + 1);
  const userId = idOf(user);
  const groupId = group === undefined ? undefined : idOf(group);
  const needsFiles = userId === undefined || (group !== undefined && groupId === undefined);
  const files = needsFiles ? readUserFiles(rootfs) : { passwd: "", group: "" };
  const entry = userId === undefined ? lookup(files.passwd, user) : undefined;
  const uid = userId ?? idOf(entry?.[2] ?? "") ?? 0;
  const ownGid = userId ?? idOf(entry?.[3] ?? "") ?? 0;
  if (group === undefined) return { uid, gid: ownGid };
  return { uid, gid: groupId ?? idOf(lookup(files.group, group)?.[2] ?? "") ?? ownGid };
}
