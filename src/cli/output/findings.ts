/** What `doctor` prints: a line a check, and below it what to do. Pure. */
import type { Finding } from "../../engine/requirements.ts";

const signs: Readonly<Record<Finding["severity"], string>> = { ok: "ok      ", warning: "warning ", error: "ERROR   " };

export function formatFindings(findings: readonly Finding[]): readonly string[] {
  const width = Math.max(...findings.map((finding) => finding.check.length));
  return findings.flatMap((finding) => [
    `${signs[finding.severity]}${finding.check.padEnd(width)}  ${finding.message}`,
    ...(finding.fix === undefined ? [] : [`${" ".repeat(8 + width)}  fix: ${finding.fix}`]),
  ]);
}
