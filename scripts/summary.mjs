// The closing line of a test run: `N passed, N failed, N skipped`. Arguments: vitest's JSON report, the status so far.
// Checks (types, lint, format, dead code) that failed count as one failure; a run without a single test is a failure.
import { readFileSync } from "node:fs";

const [report, status] = process.argv.slice(2);
let [passed, failed, skipped] = [0, 0, 0];
try {
  const result = JSON.parse(readFileSync(report, "utf8"));
  const tests = result.testResults.flatMap((file) => file.assertionResults);
  passed = tests.filter((test) => test.status === "passed").length;
  failed = tests.filter((test) => test.status === "failed").length;
  skipped = tests.length - passed - failed;
  failed += result.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length;
} catch (error) {
  console.error(`no test report: ${error.message}`);
}
if (failed === 0 && (status !== "0" || passed === 0)) failed = 1;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;
