// Records what Docker Compose makes of the files in attributes/ and merges/: run with the path of docker-compose.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { parse } from "yaml";

const compose = process.argv[2];
const here = dirname(fileURLToPath(import.meta.url));
const environment = { PATH: "/usr/bin:/bin", HOME: "/nonexistent", SET: "yes" };

const sortKeys = (value) =>
  Array.isArray(value)
    ? value.map(sortKeys)
    : value !== null && typeof value === "object"
      ? Object.fromEntries(
          Object.keys(value)
            .sort()
            .map((key) => [key, sortKeys(value[key])]),
        )
      : value;

function config(directory, args, format) {
  const text = execFileSync(compose, [...args, "--profile", "dev", "config", "--format", format], {
    cwd: directory,
    env: environment,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return sortKeys(parse(text.replaceAll(directory, "$ROOT")));
}

const attributes = join(here, "attributes");
for (const file of readdirSync(attributes).filter((name) =>
  /^(?:build|deploy|develop-hooks|service|resources)\.yaml$/.test(name),
)) {
  const recorded = { json: config(attributes, ["-f", file], "json"), yaml: config(attributes, ["-f", file], "yaml") };
  writeFileSync(join(attributes, file.replace(".yaml", ".expected.json")), `${JSON.stringify(recorded, null, 1)}\n`);
}

const merges = join(here, "merges");
const expected = {};
for (const [name, [base, over]] of Object.entries(JSON.parse(readFileSync(join(merges, "cases.json"), "utf8")))) {
  writeFileSync("/tmp/tscompose-merge-base.yaml", base);
  writeFileSync("/tmp/tscompose-merge-over.yaml", over);
  const args = ["-p", "m", "-f", "/tmp/tscompose-merge-base.yaml", "-f", "/tmp/tscompose-merge-over.yaml"];
  try {
    expected[name] = config("/tmp", ["--project-directory", "/project", ...args], "json");
  } catch {
    expected[name] = "refused";
    console.error(`refused: ${name}`);
  }
}
writeFileSync(join(merges, "expected.json"), `${JSON.stringify(expected, null, 1)}\n`);
