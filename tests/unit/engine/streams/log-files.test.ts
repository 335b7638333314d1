import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LogOptions } from "../../../../src/engine/engine.ts";
import { monitorLogArguments, planLog } from "../../../../src/engine/streams/log-config.ts";
import { keepLogFiles, listLogFiles, prepareLogFiles } from "../../../../src/engine/streams/log-files.ts";
import { LogKeeper } from "../../../../src/engine/streams/log-keeper.ts";
import { readLog, type LogSource } from "../../../../src/engine/streams/log-reader.ts";
import { LogText } from "../../../../src/engine/streams/log-text.ts";
import { findTail } from "../../../../src/engine/streams/log-tail.ts";
import { Inotify } from "../../../../src/host/inotify.ts";
import { Poller } from "../../../../src/host/poller.ts";

let dir: string;
let path: string;
let poller: Poller;
let inotify: Inotify;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "logs-"));
  path = join(dir, "container.log");
  poller = new Poller();
  inotify = new Inotify(poller);
});
afterEach(async () => {
  inotify.close();
  await poller.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Writes as conmon does; `text` without a line end is a piece of a line. Second `n` of the hour. */
let clock = 0;
function write(stream: "stdout" | "stderr", text: string, at = ++clock): void {
  const time = `2026-11-21T10:${String(Math.floor(at / 60)).padStart(2, "0")}:${String(at % 60).padStart(2, "0")}.000000001+00:00`;
  appendFileSync(path, text.endsWith("\n") ? `${time} ${stream} F ${text}` : `${time} ${stream} P ${text}\n`);
}
/** Begins a new file in the place of the full one. */
function rotate(): void {
  writeFileSync(`${path}.tmp`, "");
  renameSync(`${path}.tmp`, path);
}
beforeEach(() => (clock = 0));

const everything: LogOptions = {
  stdout: true,
  stderr: true,
  follow: false,
  timestamps: false,
  sinceNs: undefined,
  untilNs: undefined,
  tail: undefined,
};
const second = (n: number) => BigInt(Date.UTC(2026, 10, 21, 10, 0, n)) * 1_000_000n;

const never: LogSource["onEnd"] = () => () => undefined;
const atOnce: LogSource["onEnd"] = (callback) => {
  callback();
  return () => undefined;
};

async function read(
  options: Partial<LogOptions> = {},
  source: Partial<LogSource> = {},
  signal = new AbortController().signal,
) {
  const full = { path, tty: false, onEnd: atOnce, ...source };
  const out: string[] = [];
  for await (const { stream, data } of readLog(full, { ...everything, ...options }, { inotify, signal })) {
    const prefix = `${stream}:`;
    if (out.at(-1)?.startsWith(prefix) === true) out[out.length - 1] += data.toString();
    else out.push(`${prefix}${data.toString()}`);
  }
  return out;
}

describe("reading a log", () => {
  test("stdout and stderr apart, with their line ends", async () => {
    write("stdout", "a\n");
    write("stderr", "b\n");
    write("stdout", "\n");
    expect(await read()).toEqual(["stdout:a\n", "stderr:b\n", "stdout:\n"]);
    expect(await read({ stderr: false })).toEqual(["stdout:a\n\n"]);
    expect(await read({}, { tty: true })).toEqual(["console:a\nb\n\n"]);
  });

  test("a line written in pieces comes as it was written and is dated once", async () => {
    write("stdout", "abc");
    write("stderr", "x\n");
    write("stdout", "def\n");
    expect(await read({ timestamps: true })).toEqual([
      "stdout:2026-11-21T10:00:01.000000001Z abc",
      "stderr:2026-11-21T10:00:02.000000001Z x\n",
      "stdout:def\n",
    ]);
  });

  test("local time with an offset is shown in UTC", async () => {
    appendFileSync(path, "2026-11-21T12:00:00.123456789+02:00 stdout F x\n");
    expect(await read({ timestamps: true })).toEqual(["stdout:2026-11-21T10:00:00.123456789Z x\n"]);
  });

  test("since and until take whole lines by the time of their beginning", async () => {
    for (const n of [1, 2, 3, 4]) write("stdout", `${n}\n`, n);
    write("stdout", "5a", 5);
    write("stdout", "5b\n", 9);
    expect(await read({ sinceNs: second(2), untilNs: second(4) })).toEqual(["stdout:2\n3\n"]);
    expect(await read({ sinceNs: second(5) })).toEqual(["stdout:5a5b\n"]);
    expect(await read({ sinceNs: second(6) })).toEqual([]);
  });

  test("tail counts lines over both streams and all files", async () => {
    write("stdout", "1\n");
    keepLogFiles(path, { maxBytes: 1, maxFiles: 3 });
    rotate();
    write("stderr", "2\n");
    write("stdout", "3");
    write("stdout", "3\n");
    expect(await read({ tail: 0 })).toEqual([]);
    expect(await read({ tail: 1 })).toEqual(["stdout:33\n"]);
    expect(await read({ tail: 2 })).toEqual(["stderr:2\n", "stdout:33\n"]);
    expect(await read({ tail: 3 })).toEqual(["stdout:1\n", "stderr:2\n", "stdout:33\n"]);
    expect(await read({ tail: 99 })).toHaveLength(3);
  });

  test("damaged lines and an unfinished record are passed over", async () => {
    write("stdout", "a\n");
    appendFileSync(path, "\0\0\0garbage\n\nno record here\n");
    write("stdout", "b\n");
    appendFileSync(path, "2026-11-21T10:00:09.000000001+00:00 stdout F half");
    expect(await read()).toEqual(["stdout:a\nb\n"]);
  });

  test("an unfinished line is shown", async () => {
    write("stdout", "Password: ");
    expect(await read({ tail: 1 })).toEqual(["stdout:Password: "]);
  });
});

describe("following a log", () => {
  /** Reads until `count` lines came. */
  async function follow(count: number, during: () => void | Promise<void>) {
    const stop = new AbortController();
    let text = "";
    const source = { path, tty: false, onEnd: never };
    const reading = (async () => {
      const chunks = readLog(source, { ...everything, follow: true }, { inotify, signal: stop.signal });
      for await (const { data } of chunks) {
        text += data.toString();
        if (text.split("\n").length > count) stop.abort();
      }
    })();
    await during();
    await reading;
    return text;
  }

  test("what is written later arrives, after the tail", async () => {
    write("stdout", "old\n");
    write("stdout", "older\n");
    const source = { path, tty: false, onEnd: never };
    const options = { ...everything, follow: true, tail: 1 };
    const chunks = readLog(source, options, { inotify, signal: new AbortController().signal });
    expect((await chunks.next()).value?.data.toString()).toBe("older\n");
    write("stdout", "new\n");
    expect((await chunks.next()).value?.data.toString()).toBe("new\n");
    await chunks.return();
  });

  test("nothing is lost or doubled when a new file is begun", async () => {
    const keeper = new LogKeeper(inotify, () => undefined);
    write("stdout", "0\n");
    let floods = 0;
    keeper.watch("c1", path, { maxBytes: 1, maxFiles: 3 }, () => floods++);
    const expected = Array.from({ length: 30 }, (_, i) => `${i}\n`).join("");
    const out = await follow(30, async () => {
      for (let i = 1; i < 30; i++) {
        if (i % 10 === 0) {
          rotate();
          while (listLogFiles(path).at(-1)?.number === undefined) await new Promise((resolve) => setImmediate(resolve));
        }
        write("stdout", `${i}\n`);
      }
    });
    expect(out).toBe(expected);
    expect(floods).toBe(1); // said at the first of the files, and once
    keeper.close();
  });

  test("ends when the container has ended, with all that it wrote", async () => {
    write("stdout", "a\n");
    const source = new EventTarget();
    const onEnd: LogSource["onEnd"] = (callback) => {
      source.addEventListener("end", callback);
      return () => source.removeEventListener("end", callback);
    };
    const chunks = readLog(
      { path, tty: false, onEnd },
      { ...everything, follow: true },
      { inotify, signal: new AbortController().signal },
    );
    const first = await chunks.next();
    write("stdout", "last\n");
    source.dispatchEvent(new Event("end"));
    const rest = [first.value?.data.toString()];
    for await (const { data } of chunks) rest.push(data.toString());
    expect(rest).toEqual(["a\n", "last\n"]);
  });

  test("ends at until although nothing comes any more", async () => {
    write("stdout", "a\n");
    expect(await read({ follow: true, untilNs: second(3) }, { onEnd: never })).toEqual(["stdout:a\n"]);
  });

  test("a follower who has slept through whole files is told so", async () => {
    write("stdout", "a\n");
    keepLogFiles(path, { maxBytes: 1, maxFiles: 2 });
    const source = { path, tty: false, onEnd: never };
    const signal = new AbortController().signal;
    const chunks = readLog(source, { ...everything, follow: true }, { inotify, signal });
    expect((await chunks.next()).value).toMatchObject({ stream: "stdout" });
    for (const text of ["b\n", "c\n", "d\n"]) {
      rotate();
      write("stdout", text);
      keepLogFiles(path, { maxBytes: 1, maxFiles: 2 });
    }
    await expect(chunks.next()).rejects.toThrow("the reader fell too far behind and was cut off");
  });
});

describe("keeping log files", () => {
  test("each file keeps a second name, and only as many stay as are allowed", () => {
    for (let i = 1; i <= 5; i++) {
      writeFileSync(path, String(i));
      keepLogFiles(path, { maxBytes: 1, maxFiles: 3 });
      if (i < 5) rotate();
    }
    expect(readdirSync(dir).sort()).toEqual(["container.log", "container.log.3", "container.log.4", "container.log.5"]);
    expect(listLogFiles(path).map((file) => readFileSync(file.path, "utf8"))).toEqual(["3", "4", "5"]);
  });

  test("keeping twice changes nothing, and files that only look alike are left alone", () => {
    writeFileSync(path, "x");
    writeFileSync(`${path}.1.gz`, "");
    linkSync(path, `${path}.bak`);
    keepLogFiles(path, { maxBytes: 1, maxFiles: 1 });
    keepLogFiles(path, { maxBytes: 1, maxFiles: 1 });
    expect(readdirSync(dir).sort()).toEqual([
      "container.log",
      "container.log.1",
      "container.log.1.gz",
      "container.log.bak",
    ]);
  });

  test("before a start a file that is half full is closed, one that is not goes on", () => {
    const bounds = { maxBytes: 10, maxFiles: 3 };
    prepareLogFiles(path, bounds);
    expect(existsSync(path)).toBe(true);
    writeFileSync(path, "1234");
    prepareLogFiles(path, bounds);
    expect(readFileSync(path, "utf8")).toBe("1234");
    writeFileSync(path, "12345");
    prepareLogFiles(path, bounds);
    expect(readFileSync(path, "utf8")).toBe("");
    expect(listLogFiles(path)).toHaveLength(2);
  });
});

describe("finding the tail", () => {
  test("agrees with counting from the front, wherever blocks are cut", async () => {
    const record = fc.record({ stdout: fc.boolean(), length: fc.integer({ min: 0, max: 40_000 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 12 }), fc.nat(14), async (records, lines) => {
        rmSync(path, { force: true });
        writeFileSync(path, "");
        for (const { stdout, length } of records) write(stdout ? "stdout" : "stderr", `${"x".repeat(length)}\n`, 1);
        const handle = await open(path);
        const { offset } = await findTail([handle], lines);
        await handle.close();
        const tail = new LogText(everything, true).read(readFileSync(path).subarray(offset));
        const text = Buffer.concat(tail.map(({ data }) => data)).toString();
        const lengths = text.split("\n").map(({ length }) => length);
        expect(lengths.slice(0, -1)).toEqual(records.slice(-lines || records.length).map(({ length }) => length));
      }),
      { numRuns: 60 },
    );
  });
});

describe("log options", () => {
  test.each<[Parameters<typeof planLog>[0], string[]]>([
    [undefined, ["--log-size-max", "9437184"]],
    [{ Type: "json-file", Config: { "max-size": "1.5k", "max-file": "5" } }, ["--log-size-max", "1536"]],
    [{ Type: "local", Config: { "max-size": "-1" } }, []],
    [{ Type: "none" }, ["--log-size-max", "1048576"]],
  ])("%j", (config, size) => {
    expect(monitorLogArguments("/x", planLog(config).bounds)).toEqual([
      "--log-path",
      "k8s-file:/x",
      "--no-sync-log",
      ...size,
    ]);
  });

  test.each([
    [{ Type: "journald" }, 'logging driver "journald" is not supported'],
    [{ Type: "json-file", Config: { "max-size": "big" } }, "invalid size: 'big'"],
    [{ Type: "json-file", Config: { "max-file": "0" } }, "max-file cannot be less than 1"],
    [{ Type: "json-file", Config: { speed: "1" } }, "unknown log opt 'speed' for json-file log driver"],
  ])("%j is refused", (config, message) => {
    expect(() => planLog(config)).toThrow(message);
  });
});
