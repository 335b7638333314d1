/** The ids that a user may give to containers: /etc/subuid and /etc/subgid -> the map of a user namespace. Pure.
 *  Source: subuid(5); Docker's userns-remap ("default" is the user dockremap, `user[:group]` another). */
import { TscomposeError } from "../../errors.ts";
import type { IdMap, IdRange } from "../../host/id-map.ts";

export interface RemapWish {
  readonly user: string;
  readonly group: string;
}

const defaultUser = "dockremap";

/** `default`, `user`, `uid`, `user:group`; empty: none. @throws request/invalid */
export function parseRemap(text: string): RemapWish | undefined {
  if (text === "") return undefined;
  if (text === "default") return { user: defaultUser, group: defaultUser };
  const [, user, group = user] = /^([a-z_0-9][a-z0-9_.-]*\$?)(?::([a-z_0-9][a-z0-9_.-]*\$?))?$/i.exec(text) ?? [];
  if (user !== undefined && group !== undefined) return { user, group };
  throw new TscomposeError("request/invalid", `TSCOMPOSE_USERNS_REMAP: ${JSON.stringify(text)} is no user`, {
    hint: 'use "default", a user, or user:group',
  });
}

/** The ranges of the user one after the other, from 0 on inside. `ids`: the number of a user or group by name, where it has one.
 *  @throws host/unsupported where there are none */
export function subordinateMap(
  wish: RemapWish,
  files: { readonly subuid: string; readonly subgid: string },
  ids: { readonly uid: number | undefined; readonly gid: number | undefined },
): IdMap {
  return {
    uids: rangesOf(files.subuid, { name: wish.user, id: ids.uid, file: "/etc/subuid" }),
    gids: rangesOf(files.subgid, { name: wish.group, id: ids.gid, file: "/etc/subgid" }),
  };
}

/** Above it the kernel and setresuid(2) have meanings of their own. */
const maxId = 2 ** 31 - 1;

function rangesOf(
  text: string,
  of: { readonly name: string; readonly id: number | undefined; readonly file: string },
): readonly IdRange[] {
  const ranges: IdRange[] = [];
  let inside = 0;
  for (const line of text.split("\n")) {
    const [, name, start, count] = /^([^:#\s]+):(\d+):(\d+)\s*$/.exec(line) ?? [];
    if (name === undefined || (name !== of.name && name !== String(of.id))) continue;
    const [outside, size] = [Number(start), Number(count)];
    if (size === 0 || outside === 0 || outside + size - 1 > maxId) continue; // never the host's root
    ranges.push({ inside, outside, size });
    inside += size;
  }
  if (ranges.length > 0) return ranges;
  throw new TscomposeError("host/unsupported", `${of.file} has no range of ids for ${of.name}`, {
    hint: `add a line such as ${of.name}:100000:65536 to ${of.file}`,
  });
}
