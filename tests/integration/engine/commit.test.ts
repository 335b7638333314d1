import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineProcess, until } from "../../support/engine-process.ts";

let engine: EngineProcess;
beforeAll(async () => {
  engine = await EngineProcess.start();
});
afterAll(async () => {
  try {
    expect(await engine.leaks()).toEqual([]);
  } finally {
    await engine.dispose();
  }
});

/** Runs a shell line to its end in a container, and makes an image of that. @returns its id */
async function committed(line: string, options: object = {}, config: object = {}): Promise<string> {
  const id = await engine.run(["sh", "-c", line], {}, config);
  const container = engine.docker.getContainer(id);
  await container.wait();
  const { Id } = await container.commit(options);
  await container.remove({ v: true });
  return Id;
}
const inImage = async (image: string, line: string): Promise<readonly string[]> =>
  (await engine.finish(["sh", "-c", line], {}, { Image: image })).out.trim().split("\n");

describe("an image made of a container", () => {
  test("has what the container added, changed and deleted, with owners, modes, links and times", async () => {
    const line = [
      "mkdir /made; cd /made; echo new > file; ln file hard; ln -s file soft; mkfifo pipe",
      "chown 1000:1001 file; chmod 4750 file; touch -d '2001-02-03 04:05:06' file",
      "rm /etc/group; echo changed >> /etc/passwd; rm -r /home; mkdir /home; echo x > /home/only",
    ].join("; ");
    const image = await committed(line, { repo: "made", tag: "1" });
    const look =
      "cd /made; stat -c '%n %F %a %u:%g %h' file soft pipe; stat -c %Y file; cat hard; ls /etc/group; ls /home; tail -n 1 /etc/passwd";
    expect(await inImage("made:1", `{ ${look}; } 2>&1`)).toEqual([
      "file regular file 4750 1000:1001 2",
      "soft symbolic link 777 0:0 1",
      "pipe fifo 644 0:0 1",
      "981173106",
      "new",
      "ls: /etc/group: No such file or directory",
      "only",
      "changed",
    ]);
    expect((await engine.docker.getImage("made:1").inspect()).Id).toBe(image);
  });

  test("has the container's configuration, the request's over it, and the changes over both", async () => {
    const config = {
      Env: ["A=1", "B=2"],
      Labels: { of: "container" },
      WorkingDir: "/tmp",
      ExposedPorts: { "80/tcp": {} },
    };
    const changes = ['CMD ["echo", "from", "the", "image"]', "ENV B=3 C=4", "LABEL more=x", "EXPOSE 90", "USER 1000"];
    const options = { repo: "localhost:5000/a/configured", comment: "why", author: "who", changes };
    const id = await committed("true", options, config);
    const image = await engine.docker.getImage("localhost:5000/a/configured:latest").inspect();
    expect(image).toMatchObject({ Id: id, Author: "who", Comment: "why" });
    expect(image.Config).toMatchObject({
      Cmd: ["echo", "from", "the", "image"],
      Labels: { of: "container", more: "x" },
      WorkingDir: "/tmp",
      ExposedPorts: { "80/tcp": {}, "90/tcp": {} },
      User: "1000",
    });
    expect(image.Config?.Env).toEqual(expect.arrayContaining(["A=1", "B=3", "C=4"]));
    expect(image.Config).not.toHaveProperty("Hostname");
    const [newest] = await engine.docker.getImage(id).history();
    expect(newest).toMatchObject({ Comment: "why", CreatedBy: "sh -c true" });
    const run = await engine.docker.createContainer({ Image: id, HostConfig: { NetworkMode: "none" } });
    await run.start();
    expect((await run.wait()).StatusCode).toBe(0);
    expect((await run.logs({ stdout: true })).toString()).toContain("from the image");
    await run.remove();
  });

  test("gives the same files again after save, removal and load", async () => {
    const image = await committed(
      "mkdir /d; rm /etc/group; rm -r /home; mkdir /home; for i in $(seq 50); do echo $i > /d/$i; done",
      {
        repo: "saved",
      },
    );
    const chunks: Buffer[] = [];
    for await (const chunk of await engine.docker.getImage("saved").get()) chunks.push(chunk as Buffer);
    await engine.docker.getImage("saved").remove();
    const { Readable } = await import("node:stream");
    for await (const line of await engine.docker.loadImage(Readable.from(chunks))) void line;
    expect((await engine.docker.getImage("saved").inspect()).Id).toBe(image);
    expect(await inImage("saved", "cat /d/* | wc -l; ls /home | wc -l; ls /etc/group 2>&1")).toEqual([
      "50",
      "0",
      "ls: /etc/group: No such file or directory",
    ]);
  });

  test("of a container that changed nothing has no layer of its own", async () => {
    const base = await engine.docker.getImage("busybox").inspect();
    const made = await engine.docker.getImage(await committed("true", { changes: ["LABEL only=this"] })).inspect();
    expect(made.RootFS.Layers).toEqual(base.RootFS.Layers);
    expect(made.RepoTags).toEqual([]);
  });

  test("does not have what is in volumes", async () => {
    await committed("echo x > /data/file", { repo: "volumeless" }, { Volumes: { "/data": {} } });
    expect(await inImage("volumeless", "ls /data | wc -l")).toEqual(["0"]);
  });

  test.each([
    [{ changes: ["RUN true"] }, 400, "RUN is not a valid change command"],
    [{ repo: "UPPER" }, 400, "must be lowercase"],
    [{ repo: `busybox@sha256:${"0".repeat(64)}` }, 400, "digest"],
  ])("is refused for %j", async (options, statusCode, words) => {
    const id = await engine.create(["true"]);
    await expect(engine.docker.getContainer(id).commit(options)).rejects.toMatchObject({
      message: expect.stringContaining(words),
      details: expect.objectContaining({ statusCode }),
    });
    await engine.docker.getContainer(id).remove();
  });
});

test("a container that runs is frozen while it is committed, unless told otherwise, and goes on", async () => {
  const id = await engine.run(["sh", "-c", "while :; do sleep 0.05; done"], {}, {}, "busy");
  const recording = engine.record();
  await new Promise((done) => setTimeout(done, 200));
  const container = engine.docker.getContainer(id);
  await container.commit({ repo: "frozen", comment: "c" });
  await container.commit({ pause: false });
  await container.pause();
  await container.commit();
  expect((await engine.inspect(id)).State.Status).toBe("paused");
  await container.unpause();
  await until(() => recording.events.filter(({ Action }) => Action === "unpause").length === 2);
  recording.stop();
  const events = recording.events.filter(({ Type }) => Type === "container");
  expect(events.map(({ Action }) => Action)).toEqual([
    "pause",
    "commit",
    "unpause",
    "commit",
    "pause",
    "commit",
    "unpause",
  ]);
  expect(events[1]?.Actor.Attributes).toMatchObject({ comment: "c", imageRef: "frozen", name: "busy" });
  expect(events[1]?.Actor.Attributes["imageID"]).toMatch(/^sha256:/);
  await container.remove({ force: true });
});

test("a container that swaps its files for pipes and devices while it is committed blocks nobody", async () => {
  const swap = "while :; do rm -f a; echo x > a; rm -f a; mkfifo a; rm -f a; mknod a c 1 5; done";
  const id = await engine.run(["sh", "-c", `cd /tmp; ${swap}`]);
  for (let round = 0; round < 20; round++) {
    await engine.docker.getContainer(id).commit({ pause: false, repo: `swapped` });
  }
  await engine.docker.getContainer(id).remove({ force: true });
  expect((await inImage("swapped", "ls /tmp | wc -l")).length).toBe(1);
});
