import { describe, expect, it } from "vitest";

import { checkSupported } from "../../../src/spec/support.ts";
import type { SupportedCommand } from "../../../src/spec/support.ts";
import { loadMemory } from "../../conformance/compose-spec/support.ts";

async function check(yaml: string, command: SupportedCommand): Promise<readonly string[]> {
  const result = await loadMemory({ "compose.yaml": yaml });
  return checkSupported(result, command).map((one) => {
    return `${String(one.place?.line)}:${String(one.place?.column)} ${one.severity} ${one.path.join(".")}`;
  });
}

describe("keys that a command does not honour", () => {
  it("are refused by name and place", async () => {
    const yaml = "services:\n  a:\n    image: x\n    provider:\n      type: t\n";
    expect(await check(yaml, "up")).toEqual(["5:7 error services.a.provider"]);
  });

  it("are refused by the command they matter to, and by no other", async () => {
    const yaml = "services:\n  a:\n    image: x\n    develop:\n      watch: [{path: ., action: rebuild}]\n";
    expect(await check(yaml, "up")).toEqual([]);
  });

  it("are warned about where nothing on Linux honours them", async () => {
    const yaml =
      "services:\n  a:\n    image: x\n    isolation: hyperv\n    deploy:\n      placement: {constraints: [c]}\n";
    expect(await check(yaml, "up")).toEqual([
      "6:18 warning services.a.deploy.placement",
      "4:16 warning services.a.isolation",
    ]);
  });

  it("are not invented for what Docker Compose fills in by itself", async () => {
    const yaml =
      "services:\n  a:\n    image: x\n    ports: ['80:80']\n    volumes: ['v:/v']\n    secrets: [s]\nvolumes: {v: }\nsecrets: {s: {file: ./s}}\n";
    expect(await check(yaml, "up")).toEqual([]);
  });
});
