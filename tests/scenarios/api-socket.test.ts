/** `use_api_socket`: the engine and the logins to registries, from inside a container. */
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Workspace } from "../support/workspace.ts";

const composeFile = `services:
  client:
    image: busybox:latest
    command: sleep 600
    init: true
    use_api_socket: true
  own:
    image: busybox:latest
    command: sleep 600
    init: true
    use_api_socket: true
    environment: {DOCKER_CONFIG: /mine}
  other:
    image: busybox:latest
    command: sleep 600
    init: true
`;
const auth = Buffer.from("me:secret").toString("base64");

let workspace: Workspace;
beforeAll(async () => {
  workspace = await Workspace.create({ "compose.yaml": composeFile });
  await workspace.loadBusybox();
  const home = join(workspace.root, "docker-config");
  mkdirSync(home);
  const config = { auths: { "registry.example:5000": { auth } }, psFormat: "private matters" };
  writeFileSync(join(home, "config.json"), JSON.stringify(config));
  await workspace.ok(["up", "-d"], { env: { DOCKER_CONFIG: home } });
});
afterAll(async () => await workspace.dispose());

const inside = async (service: string, ...command: string[]): Promise<string> =>
  (await workspace.ok(["exec", "-T", service, ...command])).trim();

test("the socket is the engine's", async () => {
  const { ino } = statSync(join(workspace.env["TSCOMPOSE_RUN_ROOT"] ?? "", "docker.sock"));
  expect(await inside("client", "stat", "-c", "%i %F", "/var/run/docker.sock")).toBe(`${ino} socket`);
});

test("logins are where clients look for them, and nothing else of the configuration", async () => {
  expect(await inside("client", "sh", "-c", "echo $DOCKER_CONFIG")).toBe("/run/secrets/docker");
  const text = await inside("client", "cat", "/run/secrets/docker/config.json");
  expect(JSON.parse(text)).toEqual({ auths: { "registry.example:5000": { auth } } });
});

test("a service with a configuration of its own gets the socket alone, one that did not ask gets nothing", async () => {
  expect(
    await inside("own", "sh", "-c", "echo $DOCKER_CONFIG; test -S /var/run/docker.sock && test ! -e /run/secrets"),
  ).toBe("/mine");
  expect(await inside("other", "sh", "-c", "echo $DOCKER_CONFIG; ls /run /var/run 2> /dev/null || true")).not.toMatch(
    /docker/,
  );
});

test("the same again changes nothing, and down leaves nothing", async () => {
  const plan = await workspace.ok(["up", "-d", "--dry-run"], {
    env: { DOCKER_CONFIG: join(workspace.root, "docker-config") },
  });
  expect(plan).not.toMatch(/create|remove/);
  await workspace.ok(["down", "-t", "0"]);
  expect(await workspace.leaks()).toEqual([]);
});
