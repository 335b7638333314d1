// Writes compose-schema.json (for editors) and src/spec/schema/generated.ts (for the validator) from the zod schema.
// With --check it writes nothing and fails if either is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

const bundle = await build({
  entryPoints: [`${root}src/spec/schema/to-json-schema.ts`],
  bundle: true,
  write: false,
  platform: "node",
  format: "esm",
  logLevel: "error",
});
const source = Buffer.from(bundle.outputFiles[0].text).toString("base64");
const { generatedFiles } = await import(`data:text/javascript;base64,${source}`);

let stale = 0;
for (const [path, text] of Object.entries(generatedFiles())) {
  const file = root + path;
  let current;
  try {
    current = readFileSync(file, "utf8");
  } catch {
    current = undefined;
  }
  if (current === text) continue;
  stale++;
  if (process.argv.includes("--check")) console.error(`${path} is out of date: run scripts/generate-schema.mjs`);
  else writeFileSync(file, text);
}
if (process.argv.includes("--check") && stale > 0) process.exit(1);
