import { describe, expect, it } from "vitest";
import { applyModeChange, parseModeChange } from "../../../../../src/engine/build/plan/mode-set.ts";

describe("--chmod", () => {
  it.each<[string, number, "directory" | "other", number]>([
    ["644", 0o755, "other", 0o644],
    ["0755", 0o600, "other", 0o755],
    ["u=rwX,go=rX", 0o600, "other", 0o644],
    ["u=rwX,go=rX", 0o600, "directory", 0o755],
    ["u=rwX,go=rX", 0o700, "other", 0o755],
    ["+x", 0o644, "other", 0o755],
    ["go-w", 0o666, "other", 0o644],
    ["g=u", 0o740, "other", 0o770],
    ["u+s,+t", 0o755, "other", 0o5755],
    ["go=u-w", 0o700, "other", 0o755],
  ])("%s on %o (%s) gives %o", (text, mode, kind, wanted) => {
    expect(applyModeChange(parseModeChange(text), mode, kind)).toBe(wanted);
  });

  it.each(["", "8", "10000", "u", "u~x", "rwx"])("%j is refused", (text) => {
    expect(() => parseModeChange(text)).toThrow("invalid chmod parameter");
  });
});
