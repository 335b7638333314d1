// The closing line of a test run: `N passed, N failed, N skipped`. Arguments: the status so far, vitest's JSON reports.
// Checks (types, lint, format, dead code) that failed count as one failure; so does a report that is missing or empty.
import { readFileSync } from "node:fs";

const [status, ...reports] = process.argv.slice(2);
let [passed, failed, skipped] = [0, 0, 0];
for (const report of reports) {
  try {
    const { testResults } = JSON.parse(readFileSync(report, "utf8"));
    for (const file of testResults) {
      const count = (wanted) => file.assertionResults.filter((test) => test.status === wanted).length;
      passed += count("passed");
      failed += count("failed");
      skipped += file.assertionResults.length - count("passed") - count("failed");
      if (file.status !== "failed" || count("failed") > 0) continue;
      failed += 1;
      console.log(`failed as a whole: ${file.name}: ${file.message}`);
    }
    for (const file of testResults)
      for (const test of file.assertionResults) if (test.status === "failed") console.log(`failed: ${test.fullName}`);
    if (testResults.length === 0) failed += 1;
  } catch (error) {
    console.error(`no test report: ${error.message}`);
    failed += 1;
  }
}
if (failed === 0 && (status !== "0" || reports.length === 0)) {
  console.log("failed: a check or a test run, see above");
  failed = 1;
}
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;
