/** Configs and secrets from a file, a variable and inline content: where the file says, read-only, and gone with `down`. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Workspace } from "../support/workspace.ts";

const composeFile = `services:
  app:
    image: busybox:latest
    command: sleep 600
    configs: [{source: file, target: /etc/app/settings}, {source: inline, target: /etc/inline}]
    secrets: [file, variable]
    tmpfs: /run/scratch:size=1m
configs:
  file: {file: ./settings.txt}
  inline: {content: "level=\${LEVEL}"}
secrets:
  file: {file: ./password.txt}
  variable: {environment: TOKEN}
`;

describe("configs and secrets", () => {
  let workspace: Workspace;
  const env = { TOKEN: "t0ken", LEVEL: "debug" };
  const inside = async (command: string): Promise<string> =>
    await workspace.ok(["exec", "-T", "app", "sh", "-c", command], { env });

  beforeAll(async () => {
    workspace = await Workspace.create({
      "compose.yaml": composeFile,
      "settings.txt": "colour=blue\n",
      "password.txt": "hunter2\n",
    });
    await workspace.loadBusybox();
    await workspace.ok(["up", "-d"], { env });
  });
  afterAll(async () => await workspace.dispose());

  test("each is where the file says, with its content", async () => {
    expect(await inside("cat /etc/app/settings")).toBe("colour=blue\n");
    expect(await inside("cat /etc/inline")).toBe("level=debug");
    expect(await inside("cat /run/secrets/file")).toBe("hunter2\n");
    expect(await inside("cat /run/secrets/variable")).toBe("t0ken");
  });

  test("a file of the host cannot be written through them", async () => {
    const outcome = await workspace.run(["exec", "-T", "app", "sh", "-c", "echo x > /run/secrets/file"], { env });
    expect(outcome.exitCode).not.toBe(0);
    expect(outcome.stderr).toContain("Read-only file system");
  });

  test("the tmpfs has the size asked for", async () => {
    expect(await inside("grep ' /run/scratch ' /proc/mounts")).toMatch(/tmpfs .*size=1024k/);
  });

  test("down leaves nothing", async () => {
    await workspace.ok(["down", "-t", "0"], { env });
    expect(await workspace.leaks()).toEqual([]);
  });
});
