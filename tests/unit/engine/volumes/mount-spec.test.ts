import { describe, expect, test } from "vitest";
import type { ResolvedMount } from "../../../../src/engine/containers/record.ts";
import type { HostConfig } from "../../../../src/engine/types.ts";
import { wantedMounts, type WantedMount } from "../../../../src/engine/volumes/mount-spec.ts";

function wanted(hostConfig: HostConfig, imageVolumes: string[] = [], others: Record<string, ResolvedMount[]> = {}) {
  return wantedMounts({ hostConfig, imageVolumes, mountsOf: (ref) => others[ref] ?? [] });
}

/** One line a mount. */
function show(mount: WantedMount): string {
  switch (mount.kind) {
    case "bind":
    case "volume": {
      const source = mount.kind === "bind" ? mount.source : (mount.name ?? "(anonymous)");
      const flags = [
        mount.mode.readOnly ? "ro" : "rw",
        mount.mode.noCopy ? "nocopy" : "",
        mount.mode.propagation ?? "",
      ];
      return `${mount.kind} ${source} -> ${mount.target} ${flags.filter(Boolean).join(" ")}`;
    }
    case "tmpfs":
      return `tmpfs -> ${mount.target} ${mount.options.join(",")}${mount.readOnly ? " ro" : ""}`;
    case "image":
      return `image ${mount.reference} -> ${mount.target}`;
    case "inherited":
      return `inherited ${mount.mount.Source} -> ${mount.target} ${mount.mount.options.join(",")}`;
  }
}

const dataMount: ResolvedMount = {
  Type: "volume",
  Name: "data",
  Source: "/volumes/data/_data",
  Destination: "/data",
  Mode: "z",
  RW: true,
  Propagation: "",
  anonymous: true,
  copyUp: true,
  options: ["rbind", "rprivate", "rw"],
};

describe("binds", () => {
  test.each([
    ["/srv:/mnt", "bind /srv -> /mnt rw"],
    ["/srv/:/mnt/:ro", "bind /srv -> /mnt ro"],
    ["/srv:/mnt:ro,rslave,z", "bind /srv -> /mnt ro rslave"],
    ["data:/var/lib/data", "volume data -> /var/lib/data rw"],
    ["data:/var/lib/data:ro,nocopy", "volume data -> /var/lib/data ro nocopy"],
    ["/data", "volume (anonymous) -> /data rw"],
    ["/srv:/a/../b", "bind /srv -> /b rw"],
  ])("%s", (text, expected) => {
    expect(wanted({ Binds: [text] }).map(show)).toEqual([expected]);
  });

  test.each([
    ["", "invalid volume specification: ''"],
    ["/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"],
    ["/a:ro", "invalid volume specification: '/a:ro'"],
    ["/a:/b:fast", "invalid mode: fast"],
    ["/a:/b:ro,rw", "invalid mode: ro,rw"],
    ["/a:/b:constructor", "invalid mode: constructor"],
    ["/a:/b:nocopy", "invalid mode: nocopy"],
    ["data:/b:rslave", "invalid mode: rslave"],
    ["/a:b", "invalid mount path: 'b' mount path must be absolute"],
    ["/a:/", "destination can't be '/'"],
    ["/a:/x/..", "destination can't be '/'"],
  ])("%j is refused", (text, message) => {
    expect(() => wanted({ Binds: [text] })).toThrow(message);
  });
});

describe("mount requests", () => {
  test.each<[string, NonNullable<HostConfig["Mounts"]>[number], string]>([
    ["bind", { Type: "bind", Source: "/srv", Target: "/mnt", ReadOnly: true }, "bind /srv -> /mnt ro"],
    [
      "volume",
      { Type: "volume", Source: "v", Target: "/d", VolumeOptions: { NoCopy: true } },
      "volume v -> /d rw nocopy",
    ],
    ["anonymous volume", { Type: "volume", Target: "/d" }, "volume (anonymous) -> /d rw"],
    [
      "tmpfs",
      { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 1024, Mode: 0o1770 } },
      "tmpfs -> /t noexec,nosuid,nodev,size=1024,mode=1770",
    ],
    ["image", { Type: "image", Source: "busybox", Target: "/i" }, "image busybox -> /i"],
  ])("%s", (_title, request, expected) => {
    expect(wanted({ Mounts: [request] }).map(show)).toEqual([expected]);
  });

  test.each<[NonNullable<HostConfig["Mounts"]>[number], string]>([
    [{ Type: "volume", Target: "" }, 'invalid mount config for type "volume": field Target must not be empty'],
    [{ Type: "bind", Target: "/x" }, 'invalid mount config for type "bind": field Source must not be empty'],
    [{ Type: "bind", Source: "rel", Target: "/x" }, "invalid mount path: 'rel' mount path must be absolute"],
    [{ Type: "bind", Source: "/a", Target: "/x", VolumeOptions: {} }, "field VolumeOptions must not be specified"],
    [{ Type: "bind", Source: "/a", Target: "/x", BindOptions: { Propagation: "ro" } }, "invalid propagation mode: ro"],
    [{ Type: "volume", Target: "/x", ReadOnly: true }, "must not set ReadOnly mode when using anonymous volumes"],
    [
      { Type: "volume", Source: "v", Target: "/x", VolumeOptions: { Subpath: "../y" } },
      "subpath must be a relative path",
    ],
    [{ Type: "tmpfs", Source: "x", Target: "/x" }, "field Source must not be specified"],
    [{ Type: "cluster", Source: "x", Target: "/x" }, "not supported"],
    [{ Type: "what" as "bind", Target: "/x" }, 'invalid mount config for type "what": mount type unknown'],
  ])("%j is refused", (request, message) => {
    expect(() => wanted({ Mounts: [request] })).toThrow(message);
  });
});

describe("tmpfs", () => {
  test("words override the defaults of their kind", () => {
    const mounts = wanted({ Tmpfs: { "/run": "exec,size=64m", "/tmp": "" } });
    expect(mounts.map(show)).toEqual(["tmpfs -> /run nosuid,nodev,exec,size=64m", "tmpfs -> /tmp noexec,nosuid,nodev"]);
  });

  test("an option that tmpfs does not have is refused by name", () => {
    expect(() => wanted({ Tmpfs: { "/run": "size=1m,upperdir=/etc" } })).toThrow('invalid tmpfs option "upperdir"');
  });
});

describe("several sources of mounts", () => {
  test("the same destination twice is refused", () => {
    expect(() => wanted({ Binds: ["/a:/x"], Tmpfs: { "/x": "" } })).toThrow("Duplicate mount point: /x");
  });

  test("an image volume gives way to an explicit mount", () => {
    expect(wanted({ Binds: ["data:/data"] }, ["/data/", "/cache"]).map(show)).toEqual([
      "volume data -> /data rw",
      "volume (anonymous) -> /cache rw",
    ]);
  });

  test("an image volume cannot name a place outside of the root", () => {
    expect(wanted({}, ["../../srv"]).map(show)).toEqual(["volume (anonymous) -> /srv rw"]);
  });

  test("volumes of another container come along, narrowed to read-only where asked, and are not ours to remove", () => {
    const mounts = wanted({ VolumesFrom: ["db:ro"] }, [], { db: [dataMount] });
    expect(mounts.map(show)).toEqual(["inherited /volumes/data/_data -> /data rbind,rprivate,rro"]);
    expect(mounts[0]).toMatchObject({ mount: { RW: false, anonymous: false } });
  });

  test("an own mount wins over an inherited one", () => {
    expect(wanted({ VolumesFrom: ["db"], Binds: ["/srv:/data"] }, [], { db: [dataMount] }).map(show)).toEqual([
      "bind /srv -> /data rw",
    ]);
  });

  test("outer destinations come before inner ones", () => {
    expect(wanted({ Binds: ["/a:/x/y/z", "/b:/x", "/c:/x/y"] }).map(({ target }) => target)).toEqual([
      "/x",
      "/x/y",
      "/x/y/z",
    ]);
  });
});

describe("reserved destinations", () => {
  test.each(["/proc", "/proc/sys", "/proc/self/../1", "/dev", "/sys", "/sys/"])("%s is refused", (target) => {
    expect(() => wanted({ Binds: [`/srv:${target}`] })).toThrow("is reserved for the container's own kernel files");
  });

  test.each(["/proc", "/sys", "/dev"])("an image volume at %s is refused", (target) => {
    expect(() => wanted({}, [target])).toThrow("is reserved");
  });

  test.each(["/dev/snd", "/sys/fs/cgroup", "/proc/cpuinfo", "/procfs"])("%s is allowed", (target) => {
    expect(wanted({ Binds: [`/srv:${target}`] })).toHaveLength(1);
  });

  test("a privileged container may have the host's /dev and /sys, not its /proc in place of its own", () => {
    expect(wanted({ Privileged: true, Binds: ["/dev:/dev", "/sys:/sys"] })).toHaveLength(2);
    expect(() => wanted({ Privileged: true, Binds: ["/proc:/proc"] })).toThrow("is reserved");
  });
});
