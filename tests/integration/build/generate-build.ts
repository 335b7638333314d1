/** Build contexts and Dockerfiles out of a seed, for the comparison with BuildKit. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { lsetxattr } from "../../../src/host/libc.ts";

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** 0 to `bound` - 1. Source: mulberry32. */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * bound);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }
}

const fileModes = [0o644, 0o600, 0o755, 0o664, 0o400];
const directoryModes = [0o755, 0o700, 0o775];

/** Fixed names, so that instructions can name them; which of them exist is up to the seed, but for a few. */
function makeContext(random: Random, directory: string): void {
  mkdirSync(join(directory, "w"), { recursive: true });
  const file = (path: string): void => {
    const full = join(directory, path);
    mkdirSync(join(full, ".."), { recursive: true });
    writeFileSync(full, `${path} ${random.below(1000)}\n`);
    chmodSync(full, random.pick(fileModes));
    utimesSync(full, 1_600_000_000 + random.below(1000), 1_600_000_000 + random.below(1000));
  };
  for (const path of ["a.txt", "b.txt", "d/one", "d/two.md", "d/e/three", "run.sh"]) file(path);
  for (const path of ["c.log", "d/e/f/four", "d/x.log", "empty/.keep", "w/a1", "w/a2", "w/b1", "sp ace", "ü.txt"]) {
    if (random.below(3) > 0) file(path);
  }
  for (const path of ["d", "d/e"]) chmodSync(join(directory, path), random.pick(directoryModes));
  const links: readonly (readonly [string, string])[] = [
    ["ln-file", "a.txt"],
    ["ln-dir", "d"],
    ["d/up", "../b.txt"],
    ["ln-none", "nowhere"],
    ["ln-abs", "/d/one"],
    ["ln-chain", "ln-dir"],
    ["w/loop", "loop"],
    ["ln-out", "../../etc/hostname"],
    ["d/e/back", ".."],
  ];
  for (const [path, target] of links) if (random.below(2) === 0) symlinkSync(target, join(directory, path));
  if (random.below(4) === 0) {
    linkSync(join(directory, "d/one"), join(directory, "d/one-more"));
    linkSync(join(directory, "a.txt"), join(directory, "d/e/a-again"));
  }
  makeOddFiles(random, directory);
  makeArchives(random, directory);
  if (random.below(3) === 0) {
    const patterns = [
      "*.log",
      "**/*.md",
      "d/e",
      "!d/e/three",
      "w/a?",
      "empty",
      "# no",
      "d/*",
      "!d/one",
      "**/f",
      "*",
      "!d",
      "!**/*.txt",
      "/d/e/",
      "./a.txt",
      "d/../b.txt",
      "  w  ",
      "**",
      "!*.tar*",
      "[ab].txt",
      "d/**/three",
      "!d/e/f/../three",
      "Dockerfile",
      ".dockerignore",
      "ln-*",
      "sp ace",
      "\\a.txt",
      "w/[!b]*",
    ];
    const lines = Array.from({ length: 1 + random.below(3) }, () => random.pick(patterns));
    writeFileSync(join(directory, ".dockerignore"), `${lines.join("\n")}\n`);
  }
}

/** What is rare in a context: odd names, owners, bits, times, holes, extended attributes. */
function makeOddFiles(random: Random, directory: string): void {
  const base = join(directory, "odd");
  mkdirSync(join(base, "deep/er/and/er"), { recursive: true });
  const put = (name: string, content: string): string => {
    writeFileSync(join(base, name), content);
    return join(base, name);
  };
  put("plain", "plain\n");
  if (random.below(2) === 0) chmodSync(put("setuid", "s\n"), 0o6755);
  if (random.below(2) === 0) chownSync(put("owned", "o\n"), 1234, 5678);
  if (random.below(2) === 0) chmodSync(join(base, "deep"), random.pick([0o2775, 0o1777, 0o500]));
  if (random.below(2) === 0) truncateSync(put("sparse", "x"), 3_000_000);
  if (random.below(2) === 0)
    for (const name of ["back\\slash", "new\nline", "'q\"", "a,b", "-dash", "$FOO"]) put(name, name);
  if (random.below(3) === 0) put("n".repeat(200), "long\n");
  if (random.below(3) === 0) utimesSync(put("old", "old\n"), 1, 1);
  if (random.below(3) === 0) utimesSync(put("part", "part\n"), 1_600_000_000.25, 1_600_000_000.75);
  if (random.below(3) === 0) lsetxattr(join(base, "plain"), "user.mark", Buffer.from("yes"));
  if (random.below(4) === 0) execFileSync("mkfifo", [join(base, "fifo")]);
  if (random.below(3) === 0) symlinkSync("deep/er", join(base, "into"));
  utimesSync(join(base, "deep/er"), 1_500_000_000, 1_500_000_000);
}

const archiveKinds = ["tar", "tar.gz", "tar.xz", "tar.bz2", "tar.zst"] as const;

/** An archive with owners, modes, links and a setuid file; and a file that only calls itself one. */
function makeArchives(random: Random, directory: string): void {
  const kind = random.pick(archiveKinds);
  const flag = { tar: [], "tar.gz": ["-z"], "tar.xz": ["-J"], "tar.bz2": ["-j"], "tar.zst": ["--zstd"] }[kind];
  writeFileSync(join(directory, "fake.tar.gz"), "no archive\n");
  const inside = join(directory, ".archive");
  mkdirSync(join(inside, "t/u"), { recursive: true });
  writeFileSync(join(inside, "t/one"), "one\n");
  writeFileSync(join(inside, "t/u/two"), `two ${random.below(10)}\n`);
  chmodSync(join(inside, "t/one"), 0o4755);
  chmodSync(join(inside, "t/u"), random.pick([0o755, 0o700, 0o1777]));
  symlinkSync("one", join(inside, "t/ln"));
  symlinkSync("/etc", join(inside, "t/abs"));
  linkSync(join(inside, "t/one"), join(inside, "t/hard"));
  for (const path of ["t/one", "t/u/two", "t/u", "t"]) utimesSync(join(inside, path), 1_600_000_000, 1_600_000_000);
  const owner = random.pick(["0:0", "1000:1000", "12345:54321"]).split(":");
  const ids = [`--owner=${owner[0] ?? ""}`, `--group=${owner[1] ?? ""}`, "--numeric-owner"];
  const names = random.pick([["t"], ["."], ["t/one", "t/u/two"], ["./t"]]);
  execFileSync("tar", [
    "-c",
    ...flag,
    "-f",
    join(directory, "arch.bin"),
    "-C",
    inside,
    ...ids,
    "--sort=name",
    ...names,
  ]);
  execFileSync("rm", ["-rf", inside]);
}

const sources = [
  "a.txt",
  "b.txt",
  "d",
  "d/",
  "d/e",
  "d/one",
  ".",
  "*.txt",
  "w/*",
  "d/*",
  "ln-file",
  "ln-dir",
  "d/up",
  "run.sh",
  "[ab].txt",
  "d/e/*",
  "ln-chain",
  "ln-chain/one",
  "ln-dir/e",
  "ln-dir/",
  "./d/./e",
  "/d",
  "d/../a.txt",
  "../a.txt",
  "w/a?",
  "*/one",
  "d/e/f",
  "arch.bin",
  "fake.tar.gz",
  "empty",
  "nothing*",
  "ln-out",
  "d/one-more",
  "[[]x",
  "*.t[!a]t",
  "odd",
  "odd/",
  "odd/*",
  "odd/deep",
  "odd/into",
  "odd/into/and",
  "odd/plain",
  "odd/?*,b",
  "**/three",
  "d/**",
  "*/*",
  "odd/deep/er/..",
  "ln-dir/.",
  "${SRC:-b.txt}",
];
const destinations = [
  "/",
  "/x",
  "/x/",
  "/x/y",
  "/x/y/",
  ".",
  "./",
  "rel",
  "rel/",
  "/bin/new",
  "/tmp/",
  "/lnk",
  "/lnk/z",
  "/x/.",
  "/etc",
  "/etc/",
  "/home/app",
  "/x/../y",
  "//z//",
  "/lnk2/",
  "../up",
  "/${FOO}/e",
  "/new/${FOO:-d}/",
  "/bin",
  "/etc/passwd/x",
  "/lnk/../z",
  "~/x",
  "/data/in",
  "/up/down/.",
  "/lnk-abs/",
  "/lnk-dir",
  "/lnk-dir/",
  "/lnk-dir/deeper/",
  "/lnk-file",
  "$PWD/x",
];
const flags = [
  "",
  "",
  "",
  "--chown=1000:1000 ",
  "--chown=5 ",
  "--chown=app ",
  "--chown=app:extra ",
  "--chmod=640 ",
  "--chmod=u=rwX,go=rX ",
  "--link ",
  "--parents ",
  "--exclude=*.md ",
  "--exclude=e ",
  "--exclude=** ",
  "--exclude=d/e ",
  "--exclude=*.txt --exclude=!a.txt ",
  "--chown=1000:1000 --chmod=700 ",
  "--chown=nosuch ",
  "--chown=0:app ",
  "--chmod=4755 ",
  "--chmod=a+x,o-r ",
  "--link --chown=1000:1000 ",
  "--link --chmod=711 ",
  "--parents --chown=5:6 ",
  "--parents --exclude=*.md ",
  "--chown=$OWNER ",
  "--chown=app:0 ",
  "--chown=:1000 ",
  "--chown=1000: ",
  "--chown=app:nosuch ",
  "--chown=4294967295 ",
  "--chown=nobody:nogroup ",
  "--chmod=u+s,g-w ",
  "--chmod=a=rX ",
  "--chmod=0 ",
  "--chmod=1777 ",
  "--chmod=go= ",
  "--chmod=+x ",
  "--chmod=u=g ",
  "--link --parents ",
  "--link --exclude=*.md ",
  "--exclude=**/*e ",
  "--exclude=/d ",
  "--exclude=odd --exclude=!odd/plain ",
  "--exclude=$FOO ",
  "--parents --chmod=750 ",
  "--link --chown=app ",
];

function copy(random: Random, keyword: string): string {
  const several = random.below(4) === 0;
  const from = several ? `${random.pick(sources)} ${random.pick(sources)}` : random.pick(sources);
  const destination = several ? random.pick(["/x/", "/m/n/", "./", "/tmp/"]) : random.pick(destinations);
  const flag = random.pick(flags);
  const unpack = keyword === "ADD" && random.below(5) === 0 ? random.pick(["--unpack=true ", "--unpack=false "]) : "";
  return `${keyword} ${keyword === "ADD" && flag.startsWith("--parents") ? "" : flag}${unpack}${from} ${destination}`;
}

const runs = [
  "RUN mkdir -p /r/s && echo hi > /r/s/f && chmod 600 /r/s/f",
  "RUN rm -rf /x /tmp/* && touch /gone",
  "RUN ln -s /x /lnk && ln -s rel /lnk2",
  "RUN echo $FOO ${BAR:-none} > /vars; id -u >> /vars; pwd >> /vars",
  "RUN chmod 711 /home && chown 1000:1000 /home/app",
  "RUN ln /bin/busybox /bb || true",
  "RUN mkfifo /fifo; echo done",
  "RUN rm -f /etc/group; mkdir /etc/group.d",
  'RUN ["/bin/sh", "-c", "echo exec > /exec"]',
  "RUN <<EOF\necho one > /here\necho two >> /here\nEOF",
  "RUN <<EOF\n#!/bin/sh\necho $0 > /script\nEOF",
  "RUN --mount=type=tmpfs,target=/t echo x > /t/x",
  "RUN --mount=type=cache,target=/cache/deep echo x > /cache/deep/x",
  "RUN --mount=type=bind,target=/ctx cp /ctx/a.txt /copied",
  "RUN --mount=type=bind,source=d,target=/mnt/d,rw echo x > /mnt/d/new; ls /mnt/d > /listing",
  "RUN --network=none echo none > /none",
  "RUN mkdir -p /op && rm -rf /op && mkdir /op && echo new > /op/f",
  "RUN --mount=type=bind,from=busybox,source=/etc,target=/from-image cp /from-image/passwd /pw",
  "RUN --mount=type=bind,source=a.txt,target=/one-file cat /one-file > /one-copy",
  "RUN --mount=type=cache,target=/cc,id=own,uid=1000,gid=1000,mode=0750 ls -ldn /cc | cut -c1-10 > /cache-mode",
  "RUN --mount=type=tmpfs,target=/home/app/t,size=1m touch /home/app/t/x",
  "RUN --mount=type=bind,target=/x/deep/mnt ls /x/deep/mnt > /deep-listing",
  "RUN --security=sandbox true",
  "RUN rm -rf /home && mkdir /home && touch /home/new",
  "RUN mv /home/app /home/moved; touch -d @1600000000 /old-file; mkdir -m 1777 /sticky",
  "RUN chown -R 7:8 /home; chmod u+s /bin/busybox",
  "RUN ln -s ../outside/of/it /home/app/ln; ln -sf /nowhere /x/ln || true",
  "RUN <<-EOF\n\techo tabbed > /tabbed\n\tEOF",
  "RUN <<'EOF' cat > /quoted\n$FOO `x`\nEOF",
  "RUN cat <<A > /two-a; cat <<B > /two-b\na\nA\nb\nB",
  "RUN set > /dev/null; echo $HOME $USER $HOSTNAME > /who",
  "RUN echo a > /trunc && : > /trunc; mknod /node c 1 3 || true",
  "RUN mkdir -p /a/b/c && rm -r /a/b && ln -s /etc /a/b",
  "RUN mkdir -p /real && ln -s /real /lnk-dir && ln -s /real/file /lnk-file && ln -s /nowhere/at/all /lnk-abs",
  "RUN mkdir -p /data && echo kept > /data/by-run; chmod 700 /data",
  "RUN echo 'app2:x:2000:2000::/:/bin/sh' >> /etc/passwd; echo 'app2:x:2000:' >> /etc/group",
  "RUN rm -f /etc/passwd",
  "RUN dd if=/dev/zero of=/hole bs=1 count=1 seek=1000000 2> /dev/null",
  "RUN touch -d @1500000000 /etc /etc/passwd",
  "RUN mkdir -p /ops/a/b && touch /ops/a/b/c && rm -r /ops/a && mkdir /ops/a",
  "RUN mv /bin/busybox /bin/bb2 && ln -s bb2 /bin/busybox",
  "RUN ln /etc/passwd /etc/passwd2; echo more >> /etc/passwd2",
  "RUN ls -A /etc / > /listing-all; id >> /ids; echo host > /etc/hostname",
  "RUN chmod 711 /etc && chown 3:4 /etc; touch /etc/touched",
  "RUN echo x > /etc/hosts || echo refused > /hosts-refused",
  "RUN umask > /umask; ulimit -n > /dev/null; cat /proc/self/oom_score_adj > /dev/null",
  'RUN echo "$PATH" > /path; env | sort > /environment',
  "RUN --mount=type=bind,from=busybox,target=/bb,rw echo x > /bb/new",
  "RUN --mount=type=cache,target=/cc,from=busybox,source=/etc,id=filled ls /cc > /cache-listing",
  "RUN --mount=type=cache,target=${FOO:-/deflt},sharing=locked pwd > /pwd",
  "RUN --mount=type=bind,source=odd,target=odd-rel ls odd-rel | wc -l > /odd-count",
  "RUN --mount=type=secret,id=none,required=false,target=/s ls / > /root-listing",
  "RUN --mount=type=secret,id=none ls /run/secrets > /secrets-listing 2>&1; true",
  "RUN --mount=type=tmpfs,target=/tmp --mount=type=bind,source=a.txt,target=/tmp/a cp /tmp/a /from-tmp",
  "RUN <<EOF cat > /heredoc-cmd\nline $FOO\nEOF",
  'RUN <<-"E F"\n\techo "$FOO" > /tab-quoted\nE F',
  "RUN <<EOF\n#!/bin/sh -e\nfalse || true\necho script > /script2\nEOF",
  "RUN \\\n  # a comment between\n  echo joined \\\n\n  more > /joined",
  "RUN echo a; \\\n\techo 'b  c' > /spaces",
  'RUN ["/bin/busybox", "touch", "/exec $FOO"]',
  'RUN [ "/bin/sh", "-c", "echo \\"q\\" > /exec-quotes" ]',
];

const metadata = [
  "ENV FOO=bar",
  'ENV FOO="two words" BAR=$FOO',
  "ENV OLD style value",
  "ARG BAR=arg",
  "ARG FOO",
  'LABEL a=b c="d e"',
  "LABEL v=$FOO",
  "EXPOSE 80 443/tcp 53/udp",
  "EXPOSE 7000-7002",
  "VOLUME /data /x",
  "WORKDIR /w",
  "WORKDIR sub",
  "WORKDIR /w/../z",
  "CMD echo $FOO",
  'CMD ["a", "b"]',
  "ENTRYPOINT sleep 1",
  'ENTRYPOINT ["/bin/e"]',
  "STOPSIGNAL SIGUSR1",
  'SHELL ["/bin/sh", "-ec"]',
  "HEALTHCHECK --interval=5s --retries=2 CMD true",
  "HEALTHCHECK NONE",
  "ONBUILD RUN echo later",
  "MAINTAINER somebody",
  "USER app",
  "USER 1000:1000",
  "USER root",
  "WORKDIR ${FOO:-none}/x",
  "WORKDIR /lnk/in",
  "VOLUME /home/app",
  'VOLUME ["/v 1", "/w"]',
  "ENV OWNER=1000:1000",
  "ENV PATH=/x:$PATH",
  "ENV FOO=${FOO:-first} FOO=${FOO:-second}",
  "ARG OWNER=app",
  'LABEL a=${BAR:+set} d="$FOO\'s" e=\\$FOO',
  'SHELL ["/bin/sh", "-c"]',
  "CMD []",
  "ENTRYPOINT []",
  "ONBUILD COPY a.txt /later",
  'HEALTHCHECK --timeout=1m --start-period=1s --start-interval=2s CMD ["true"]',
  "EXPOSE ${PORT:-8080}/udp",
  "STOPSIGNAL 9",
  'SHELL ["/bin/busybox", "sh", "-c"]',
  'SHELL ["/bin/sh", "-exc"]',
  'SHELL ["powershell", "-command"]',
  'SHELL ["cmd", "/S", "/C"]',
  "HEALTHCHECK --interval=1h30m --timeout=1.5s --start-period=0s --retries=0 CMD curl $FOO || exit 1",
  'HEALTHCHECK CMD ["a", "$FOO"]',
  "HEALTHCHECK --start-interval=100ms CMD true",
  "ENV A='single $FOO' B=\"double $FOO\" C=bare\\ space D=$FOO$BAR",
  'ENV E= F="" G=\'x\'"y"z',
  "ENV H=a\\\n    I=b",
  "ENV J a  b   c",
  "ENV K=${FOO#t} L=${FOO%s} M=${FOO/o/0} N=${FOO//o/0}",
  "ENV O=${UNSET:?} ",
  "ENV P=${FOO:+alt} Q=${UNSET-} R=\\${FOO}",
  "ARG S=1 T=2 FOO=arg",
  "ARG TARGETARCH",
  "ARG TARGETPLATFORM BUILDPLATFORM TARGETOS",
  "ARG VERSION=1.0\nENV VERSION=${VERSION}",
  'LABEL multi="line one\\\n  line two"',
  "LABEL multi='a\\\nb' x=y",
  "LABEL key with old style",
  'LABEL "quoted key"=v empty= =',
  "WORKDIR rel/../other",
  "WORKDIR /lnk-dir/sub",
  "WORKDIR $FOO",
  'WORKDIR "/with space"',
  "WORKDIR .",
  "USER app2",
  "USER 4000000000",
  "USER :1000",
  "USER app:extra",
  "USER ${OWNER:-app}",
  "VOLUME /data\nRUN echo late > /data/late",
  "VOLUME $FOO /data",
  "EXPOSE 80/TCP 80 080",
  "EXPOSE $PORT 1-3/sctp",
  "STOPSIGNAL SIGRTMIN+3",
  "CMD echo 'a  b' \\\n  c",
  'CMD [ "x" , "y" ]',
  "ENTRYPOINT exec $FOO",
  "ONBUILD ENV LATER=$FOO",
  "ONBUILD ARG X=1",
  "ONBUILD WORKDIR /onb",
  "ONBUILD COPY --from=busybox /etc/passwd /onb-passwd",
  "MAINTAINER A B <a@b>",
];

function instruction(random: Random, stage: number): string {
  const kind = random.below(10);
  if (kind < 3) return copy(random, "COPY");
  if (kind === 3) return copy(random, "ADD");
  if (kind < 6) return random.pick(runs);
  if (kind === 6 && stage > 0)
    return `COPY --from=s${random.below(stage)} ${random.pick(["/bin", "/etc", "/x", "/home", "/home/app", "/etc/pass*", "/lnk", "/lnk/", "/sticky", "/r", "/home/app/ln", "/t"])} ${random.pick(["/from/", "/from", "/"])}`;
  if (kind === 6 && random.below(5) === 0)
    return random.pick([
      "COPY --from=$TOOL /etc/passwd /t",
      "COPY --from=${BASE} /bin /t",
      "COPY --from=0 /etc/passwd /zero",
    ]);
  if (kind === 6 && random.below(2) === 0)
    return `COPY --from=busybox ${random.pick(["/bin/sh", "/etc/passwd", "/home"])} ${random.pick(["/img/", "/img"])}`;
  if (kind === 7 && random.below(3) === 0)
    return `COPY --chmod=${random.pick(["755", "600"])} <<"A B" <<-C.txt /docs/\n$FOO\nA B\n\ttabs $FOO\n\tC.txt`;
  if (kind === 7) return `COPY <<EOF ${random.pick(["/doc", "doc", "/x/doc"])}\nvalue $FOO\nEOF`;
  return random.pick(metadata);
}

function makeDockerfile(random: Random): string {
  const stages = 1 + random.below(3);
  const hasArgs = random.below(3) === 0;
  const lines: string[] = hasArgs ? ["ARG BASE=busybox", "ARG TOOL=${BASE}", 'ARG PORT="90"'] : [];
  for (let stage = 0; stage < stages; stage += 1) {
    const bases = ["busybox", "busybox", ...(stage > 0 ? [`s${stage - 1}`, "scratch"] : [])];
    const base = random.pick(bases);
    const written =
      base === "busybox" && hasArgs ? random.pick(["$BASE", "${BASE}:latest", "${NONE:-busybox}", base]) : base;
    const platform = random.pick(["", "", "", "--platform=$BUILDPLATFORM ", "--platform=linux/amd64 "]);
    lines.push(`${random.pick(["FROM", "FROM", "from"])} ${platform}${written} ${random.pick(["AS", "as"])} s${stage}`);
    if (hasArgs && random.below(3) === 0)
      lines.push(random.pick(["ARG BASE", "ARG BASE=own", "ARG TOOL\nENV TOOL=$TOOL"]));
    const count = 1 + random.below(6);
    for (let index = 0; index < count; index += 1) {
      const line = instruction(random, stage);
      // Nothing can run where there is no shell.
      if (base === "scratch" && line.startsWith("RUN")) continue;
      lines.push(line);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** @returns the Dockerfile's text; it is in the directory too. */
export function generateBuild(seed: number, directory: string): string {
  const random = new Random(seed);
  makeContext(random, directory);
  const text = makeDockerfile(random);
  writeFileSync(join(directory, "Dockerfile"), text);
  return text;
}
