import { describe, expect, it } from "vitest";
import { logDetails, withDetails } from "../../../src/api/log-details.ts";
import type { OutputChunk } from "../../../src/engine/engine.ts";

describe("the details of a log", () => {
  it("are what the log options choose of labels and environment", () => {
    const Config = { Labels: { app: "a b", other: "x" }, Env: ["MODE=x=y", "HOME=/"] };
    const LogConfig = { Type: "json-file", Config: { labels: "app,none", env: "MODE" } };
    expect(logDetails({ Config, HostConfig: { LogConfig } })).toBe("MODE=x%3Dy,app=a+b ");
    expect(logDetails({ Config, HostConfig: {} })).toBe(" ");
  });

  it("stand before each line, after its time", async () => {
    async function* chunks(): AsyncGenerator<OutputChunk, void, void> {
      await Promise.resolve();
      yield { stream: "stdout", data: Buffer.from("T1 long ") };
      yield { stream: "stderr", data: Buffer.from("T2 other\n") };
      yield { stream: "stdout", data: Buffer.from("line\nT3 next\nT4 ") };
    }
    const lines: string[] = [];
    for await (const { data } of withDetails(chunks(), "a=b ", true)) lines.push(data.toString("utf8"));
    expect(lines).toEqual(["T1 a=b long ", "T2 a=b other\n", "line\nT3 a=b next\nT4 a=b "]);
    lines.length = 0;
    for await (const { data } of withDetails(chunks(), " ", false)) lines.push(data.toString("utf8"));
    expect(lines).toEqual([" T1 long ", " T2 other\n", "line\n T3 next\n T4 "]);
  });
});
