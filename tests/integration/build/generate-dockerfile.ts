/** Odd Dockerfiles out of a seed: quoting, escapes, continuations, heredocs, JSON forms, expansions. Their steps need a base image
 *  "busybox" at most, and what they run is `true`. */
import { Random } from "./generate-build.ts";

const plain = [
  "a",
  "b.c",
  "x/y",
  "ü",
  "-",
  "1",
  "80",
  "=",
  ",",
  ":",
  "*",
  "?",
  "[a]",
  "#",
  "~",
  "!",
  "{",
  "}",
  "(",
  "%",
  "@",
];
const names = ["X", "Y", "E", "U", "P", "B", "x_1", "1"];
const patterns = ["o", "*", "?", "f*o", "*/", "/*", ".*", "a b", "[a-z]", "\\*", "\\/", "'*'", '"o"', "", "$E", "${Y}"];

/** A shell word, or something like one. */
function word(random: Random, depth = 0): string {
  const pieces = Array.from({ length: 1 + random.below(3) }, () => piece(random, depth));
  return pieces.join("");
}

function piece(random: Random, depth: number): string {
  const kind = random.below(depth > 1 ? 8 : 16);
  const inner = (): string => (random.below(4) === 0 ? "" : word(random, depth + 1));
  if (kind < 3) return random.pick(plain);
  if (kind < 5) return `$${random.pick(names)}`;
  if (kind === 5)
    return random.pick([
      "\\$X",
      "\\\\",
      "\\'",
      '\\"',
      "\\n",
      "`$X",
      "``",
      "\\ ",
      "\\",
      "`",
      "$",
      "$$",
      "${",
      "$(",
      "\\é",
    ]);
  if (kind === 6) return `\${${random.pick(names)}}`;
  if (kind === 7)
    return random.pick([
      "''",
      '""',
      "'a b'",
      '"a b"',
      "'$X'",
      '"$X"',
      '"\\$X"',
      "'",
      '"',
      '"\\""',
      "'\\'",
      '"a\\b"',
      '"`$X"',
    ]);
  if (kind < 11) return `\${${random.pick(names)}${random.pick([":-", "-", ":+", "+", ":?", "?"])}${inner()}}`;
  if (kind === 11) return `\${${random.pick(names)}${random.pick(["#", "##", "%", "%%"])}${random.pick(patterns)}}`;
  if (kind === 12)
    return `\${${random.pick(names)}${random.pick(["/", "//"])}${random.pick(patterns)}${random.pick(["", "/", "/z", "/$Y", "/a b"])}}`;
  if (kind === 13) return `"${inner()}"`;
  if (kind === 14) return `'${inner()}'`;
  return random.pick([
    "${X:}",
    "${X:x}",
    "${}",
    "${X",
    "${X:-",
    "${ X}",
    "${X!}",
    "${X^^}",
    "${#X}",
    "${X:1}",
    "$(x)",
    "${X:-a}b}",
    "${-}",
  ]);
}

const json = [
  '["a", "b"]',
  "[]",
  '["a"',
  '["a"] x',
  '["a",]',
  "['a']",
  '["a" "b"]',
  '[ "a" , "b" ]',
  '["a", 1]',
  '["a", null]',
  '["\\u00e9\\n\\t\\\\"]',
  '["$X"]',
  '["a\\',
  '["a\\x"]',
  "[[“a”]]",
  '["a", ["b"]]',
  '["a"]#x',
  '["\\ud800"]',
  '["a","b"] ',
  '\t["a"]',
];

function heredoc(random: Random, keyword: string, tail: string): string {
  const name = random.pick(["EOF", "eof", "E.O", "a.txt", "f"]);
  const quoted = random.pick([
    name,
    name,
    `"${name}"`,
    `'${name}'`,
    `"${name.slice(0, 1)}"${name.slice(1)}`,
    `\\${name}`,
  ]);
  const opener = `${random.pick(["", "", "0", "3"])}<<${random.pick(["", "", "-"])}${random.pick(["", "", " "])}${quoted}`;
  const lines = Array.from({ length: random.below(4) }, () =>
    random.pick([
      "text $X",
      "\t\ttabs",
      "  spaces",
      "# no comment",
      "",
      "back\\",
      "EOF ",
      " EOF",
      "\tf",
      "'q' \"$Y\"",
      "${U:-d}",
      "RUN x",
      "\\$X",
      "`$X",
    ]),
  );
  const close = random.pick([name, name, name, name, `\t${name}`, `${name} `, ""]);
  return `${keyword} ${opener}${tail === "" ? "" : ` ${tail}`}\n${lines.map((line) => `${line}\n`).join("")}${close}`;
}

const exposed = [
  "80",
  "80/tcp",
  "80/UDP",
  "1-3",
  "3-1",
  "80-81/udp",
  "x",
  "80:90",
  "1.2.3.4:80:80",
  "0",
  "65535",
  "65536",
  "/tcp",
  "80/foo",
  "$P",
  "${P}-90",
  "-1",
  "80,81",
];
const health = [
  "NONE",
  "NONE x",
  "none",
  "CMD true",
  'CMD ["true"]',
  "CMD",
  "cmd a",
  "",
  "x y",
  "--interval=1s CMD a",
  "--interval=1 CMD a",
  "--interval=1ms CMD a",
  "--interval=-1s CMD a",
  "--interval=0 CMD a",
  "--timeout=1h2m3s --retries=3 CMD a",
  "--retries=x CMD a",
  "--retries=0 CMD a",
  "--retries=-1 CMD a",
  "--start-period=2s --start-interval=1.5s CMD a",
  "--bad=1 CMD a",
  "--interval CMD a",
  "--interval=1s --interval=2s CMD a",
  "--interval=$X CMD a",
  '--interval="1s" CMD a',
  "--interval=500us CMD a",
  "--retries=1 NONE",
];
const runFlags = [
  "",
  "",
  "",
  "--network=none ",
  "--network=NONE ",
  "--network=x ",
  "--network= ",
  "--network ",
  "--security=sandbox ",
  "--security=x ",
  "--mount=type=tmpfs,target=/t ",
  "--mount=type=tmpfs ",
  "--mount=target=/c ",
  "--mount=type=cache,target=$X ",
  "--mount=type=cache,target=/c,sharing=x ",
  "--mount=type=cache,id=$Y,dst=/c,mode=0700,uid=1,gid=$P ",
  "--mount=type=secret,id=a ",
  "--mount=type=secret,id=a,required=maybe ",
  "--mount=type=ssh ",
  "--mount=type=x,target=/c ",
  '--mount=type=tmpfs,"target=/a,b" ',
  "--mount=type=tmpfs,target=/t,size=1m ",
  "--mount=type=tmpfs,target=/t,size=x ",
  "--mount=type=tmpfs,target=/t,ro ",
  "--mount=type=bind,target=/c,rw,foo=bar ",
  "--mount=type=bind,target=/c,from=nostage ",
  "--mount=type=bind,target=/c,source=a=b ",
  "--device=x ",
  "--foo=bar ",
  "--foo ",
  "-- ",
  "--- ",
  "--mount=type=tmpfs,target=/t --network=none ",
  "--network=none --network=default ",
];
const copyFlags = [
  "",
  "",
  "--chown=1:2 ",
  "--chown=$X ",
  "--chmod=755 ",
  "--chmod=u=rw ",
  "--chmod=9 ",
  "--chmod=$P ",
  "--chmod=u+x,g= ",
  "--chmod=07777 ",
  "--link ",
  "--link=false ",
  "--link=x ",
  "--bad ",
  "--from=nope ",
  "--from=0 ",
  "--parents ",
  "--exclude=a --exclude=b ",
  "--exclude= ",
  "--exclude ",
  "--checksum=x ",
  "--chown=a:b:c ",
];

function run(random: Random): string {
  const flag = random.pick(runFlags);
  const body = random.below(3);
  if (body === 0) return heredoc(random, `RUN ${flag}`.trimEnd(), random.pick(["", "", "cat", "sh -c x <<F\nx\nF"]));
  if (body === 1) return `RUN ${flag}${random.pick(json)}`;
  return `RUN ${flag}${word(random)} ${word(random)}`;
}

function copy(random: Random): string {
  const keyword = random.pick(["COPY", "COPY", "ADD"]);
  const flag = random.pick(copyFlags);
  const kind = random.below(4);
  if (kind === 0)
    return `${keyword} ${flag}${random.pick(["Dockerfile", "./Dockerfile", "Dockerfil?", "nope", "../Dockerfile", "/Dockerfile", "$X", '"Dockerfile"'])} ${random.pick(["/d", "/d/", ".", "d", "$X", "", '"/d e"', "/${U:-u}/"])}`;
  if (kind === 1)
    return `${keyword} ${flag}${random.pick(['["Dockerfile", "/d"]', '["Dockerfile"]', '["Dockerfile", "/a b/"]', '["Dockerfile" "/d"]', '["$X", "/d"]', "[]"])}`;
  return heredoc(
    random,
    `${keyword} ${flag}`.trimEnd(),
    random.pick(["/doc", "/doc", "/doc/", "doc/", "", "$X", "/a /b", "/d <<G\nG"]),
  );
}

function keyValue(random: Random, keyword: string): string {
  const key = (): string => random.pick(["K", "X", "Y", "a.b", '"q k"', "$X", "K-1", "ü", "'s'", "1", "a\\ b", ""]);
  const kind = random.below(5);
  if (kind === 0) return `${keyword} ${key()} ${word(random)} ${word(random)}`;
  if (kind === 1) return `${keyword} ${key()}`;
  return `${keyword} ${Array.from({ length: 1 + random.below(3) }, () => `${key()}=${word(random)}`).join(" ")}`;
}

function instruction(random: Random): string {
  switch (random.below(20)) {
    case 0:
    case 1:
    case 2:
      return keyValue(random, "ENV");
    case 3:
      return keyValue(random, "LABEL");
    case 4:
    case 5:
      return random.below(2) === 0
        ? keyValue(random, "ARG")
        : `ARG ${random.pick(["X", "N", "N=$X", "TARGETARCH", "GLOBAL", "GLOBAL=own", "N=a M=$N", "HTTP_PROXY", "=x", "N="])}`;
    case 6:
    case 7:
      return run(random);
    case 8:
      return copy(random);
    case 9:
      return `${random.pick(["CMD", "ENTRYPOINT", "SHELL", "VOLUME"])} ${random.pick([...json, word(random), `${word(random)} ${word(random)}`, ""])}`;
    case 10:
      return `EXPOSE ${random.pick(exposed)} ${random.pick([...exposed, word(random)])}`;
    case 11:
      return `HEALTHCHECK ${random.pick(health)}`;
    case 12:
      return `WORKDIR ${random.pick(["/a", "a/../b", "/", "$X", '"/a b"', "/a b", "a\\b", "C:\\x", "", word(random)])}`;
    case 13:
      return `USER ${random.pick(["a", "a:b", "1", "$P", "", "a b", "${U:-me}", word(random)])}`;
    case 14:
      return `STOPSIGNAL ${random.pick(["SIGTERM", "9", "x", "$P", "sigint", "SIGRTMIN+3", "", "RTMAX-1", "0", "65", "a b"])}`;
    case 15:
      return `ONBUILD ${random.pick(["RUN a", "ONBUILD RUN a", "FROM x", "MAINTAINER x", "", "ENV a=$X  b=c", "copy a b", "RUN <<EOF\nx\nEOF", "COPY <<EOF /x\ny\nEOF", "BAD x", 'CMD ["a"]', "ARG Q", "HEALTHCHECK NONE", "COPY --from=nope a b", "ENV", "EXPOSE x"])}`;
    case 16:
      return random.pick([
        "MAINTAINER me",
        "MAINTAINER",
        "maintainer a  b",
        "BAD x",
        "FORM busybox",
        "EN V=1",
        "COPPY a b",
        "#comment",
        "  # indented",
        "",
        "\t",
        "\\",
        "RUN",
        "ENV",
        "FROM",
      ]);
    case 17:
      return `VOLUME ${random.pick(["/a", "/a /b", '["/a", "/b c"]', "$X", '[""]', "a/../b", "", '""', "/a/"])}`;
    case 18:
      return `SHELL ${random.pick(['["/bin/true"]', '["/bin/true", "-c"]', "[]", "/bin/sh", '["a" ]', ""])}`;
    default:
      return `${random.pick(["FROM scratch", "FROM scratch AS two", "FROM one", "FROM one AS One2", "FROM $BASE", "FROM ${BASE:-scratch} as z", "FROM scratch AS 2bad", "FROM scratch AS", "FROM a b", "FROM --platform=linux/arm64 scratch", "FROM --platform=$X scratch", "FROM --platform scratch", "FROM --bad scratch", "FROM", "FROM ${NONE}", "FROM scratch AS a_b.c-d", "FROM Scratch", "FROM busybox:latest", 'FROM "busybox"', "FROM busybox AS scratch", "FROM scratch scratch", "FROM scratch AS one"])}`;
  }
}

const heads = [
  "",
  "",
  "",
  "",
  "",
  "# escape=`\n",
  "#escape=`\n",
  "# ESCAPE = ` \n",
  "# escape=\\\n",
  "# escape=x\n",
  "# escape=\n",
  "# escape=`\n# escape=`\n",
  "\n# escape=`\n",
  "# comment\n# escape=`\n",
  "# check=skip=all\n# escape=`\n",
  "# foo=bar\n# escape=`\n",
  "  # escape=`\n",
  "# check=skip=JSONArgsRecommended;error=true\n",
  "# check=x\n",
  "\ufeff",
  "\ufeff# escape=`\n",
  "ARG GLOBAL=g BASE=scratch\n",
  "ARG BASE=busybox\nARG NEXT=${BASE}x\n",
  "ENV a=b\n",
  "#!/usr/bin/env x\n",
  "\n\n",
  "\t\n",
];

/** Things that happen to lines between an editor and a builder. */
function mangle(random: Random, text: string, escape: string): string {
  switch (random.below(24)) {
    case 0:
      return text.replace(/ /, ` ${escape}\n`);
    case 1:
      return text.replaceAll(" ", ` ${escape}\n  `);
    case 2:
      return text.replace(/ /, ` ${escape}\n# comment\n   # another\n`);
    case 3:
      return text.replace(/ /, ` ${escape}\n\n\n  `);
    case 4:
      return text.replace(/ /, ` ${escape}  \t\n`);
    case 5:
      return text.replace(/ /, ` ${escape}${escape}\n`);
    case 6:
      return `${text} ${escape}`;
    case 7:
      return `${text} ${escape}\n\n`;
    case 8:
      return text.replace(/^\S+/, (keyword) => keyword.toLowerCase());
    case 9:
      return text.replace(/^\S+/, (keyword) => keyword.slice(0, 1) + keyword.slice(1).toLowerCase());
    case 10:
      return ` \t${text}  \t`;
    case 11:
      return text.replace(/ /, "\t\t");
    case 12:
      return text.replace(/ /, random.pick(["\u00a0", "\u000b", "\f", "  ", "\u2003", "\u0000"]));
    case 13: {
      const at = random.below(text.length + 1);
      return `${text.slice(0, at)}${escape}\n${text.slice(at)}`;
    }
    default:
      return text;
  }
}

/** @returns the text of a Dockerfile, right or wrong */
export function generateDockerfile(seed: number): string {
  const random = new Random(seed * 7919);
  const head = random.pick(heads);
  const escape = random.below(6) === 0 ? "`" : head.includes("`") && random.below(4) > 0 ? "`" : "\\";
  const usesBusybox = random.below(3) === 0;
  const lines = [
    usesBusybox ? 'FROM busybox AS one\nSHELL ["/bin/true"]' : "FROM scratch AS one",
    'ENV X=foo/bar.tar.gz Y="a b" E="" P=8080',
  ];
  const count = 1 + random.below(random.below(2) === 0 ? 3 : 6);
  for (let index = 0; index < count; index += 1) {
    const text = instruction(random);
    // Nothing can run where there is no program.
    if (!usesBusybox && /^(?:RUN|SHELL)/.test(text)) continue;
    lines.push(mangle(random, text, escape));
  }
  const end = random.below(6) === 0 ? "" : "\n";
  const text = `${head}${lines.join("\n")}${end}`;
  return random.below(12) === 0 ? text.replaceAll("\n", "\r\n") : text;
}
