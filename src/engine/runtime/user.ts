/** Who a container's process runs as. Pure: the image's passwd and group come as text, and are hostile.
 *  Source: docker run --user; passwd(5), group(5); security.md E-30, E-31 (CVE-2024-40635, CVE-2022-36109). */
import { TscomposeError } from "../../errors.ts";

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** The group itself among them: what is refused to it is refused to the process too (CVE-2022-36109). */
  readonly additionalGids: readonly number[];
  /** From passwd; "/" when there is no entry. */
  readonly home: string;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}
interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** Above it setresuid(2) takes a value for "leave as it is", which is root here. */
const maxId = 2 ** 31 - 1;

/** `user`: empty, `name`, `uid`, `name:group`, `uid:gid`, ... `groupAdd`: names or numbers.
 *  @throws request/invalid for a name that the image does not have, or a number out of range */
export function resolveUser(
  user: string,
  groupAdd: readonly string[],
  files: { readonly passwd: string; readonly group: string },
): ResolvedUser {
  const colon = user.indexOf(":");
  const userPart = colon < 0 ? user : user.slice(0, colon);
  const groupPart = colon < 0 ? "" : user.slice(colon + 1);
  const users = parsePasswd(files.passwd);
  const groups = parseGroup(files.group);
  const entry = findUser(userPart === "" ? "0" : userPart, users);
  const gid = groupPart === "" ? entry.gid : findGroup(groupPart, groups);
  const implied =
    groupPart === "" ? groups.filter(({ members }) => members.includes(entry.name)).map((group) => group.gid) : [];
  const added = groupAdd.map((name) => findGroup(name, groups));
  return { uid: entry.uid, gid, additionalGids: [...new Set([gid, ...implied, ...added])], home: entry.home };
}

/** A number written in full, in range; undefined: it is a name. @throws request/invalid for what looks like a number but is out
 *  of range: it must never be taken for a name, nor for root. */
export function parseId(text: string): number | undefined {
  if (!/^\s*[-+]?\d/.test(text)) return undefined;
  if (!/^\d+$/.test(text)) {
    if (/^[-+\s\d.]+$/.test(text)) throw outOfRange(text);
    return undefined;
  }
  const id = Number(text);
  if (!Number.isSafeInteger(id) || id > maxId) throw outOfRange(text);
  return id;
}

function outOfRange(text: string): TscomposeError {
  return new TscomposeError("request/invalid", `uids and gids must be in range 0-${maxId}: ${JSON.stringify(text)}`);
}

function findUser(wanted: string, users: readonly PasswdEntry[]): PasswdEntry {
  const id = parseId(wanted);
  const found = users.find(({ name, uid }) => name === wanted || (id !== undefined && uid === id));
  // A number that is somebody's name means the number.
  if (found !== undefined && (id === undefined || found.uid === id)) return found;
  if (id !== undefined) return users.find(({ uid }) => uid === id) ?? { name: "", uid: id, gid: 0, home: "/" };
  throw new TscomposeError("request/invalid", `unable to find user ${wanted}: no matching entries in passwd file`, {
    hint: "use a user of the image, or a number",
  });
}

function findGroup(wanted: string, groups: readonly GroupEntry[]): number {
  const id = parseId(wanted);
  if (id !== undefined) return id;
  const found = groups.find(({ name }) => name === wanted);
  if (found !== undefined) return found.gid;
  throw new TscomposeError("request/invalid", `unable to find group ${wanted}: no matching entries in group file`, {
    hint: "use a group of the image, or a number",
  });
}

/** Lines with fewer fields or numbers out of range are no entries. */
function parsePasswd(text: string): readonly PasswdEntry[] {
  return text.split("\n").flatMap((line) => {
    const [name = "", , uid = "", gid = "", , home = ""] = line.split(":");
    if (name === "" || !isId(uid) || !isId(gid)) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home: home === "" ? "/" : home }];
  });
}

function parseGroup(text: string): readonly GroupEntry[] {
  return text.split("\n").flatMap((line) => {
    const [name = "", , gid = "", members = ""] = line.split(":");
    if (name === "" || !isId(gid)) return [];
    return [
      {
        name,
        gid: Number(gid),
        members: members
          .trim()
          .split(",")
          .filter((member) => member !== ""),
      },
    ];
  });
}

const isId = (text: string): boolean => /^\d{1,10}$/.test(text) && Number(text) <= maxId;
