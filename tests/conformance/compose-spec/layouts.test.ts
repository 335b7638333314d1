import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import type { FileSource } from "../../../src/spec/file-source.ts";
import type { LoadOptions } from "../../../src/spec/load-options.ts";
import { loadProject } from "../../../src/spec/load-project.ts";
import { peerPrograms } from "../../support/peers.ts";
import { comparable, diagnosticsOf, disk, sortKeys } from "./support.ts";

interface Layout {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  /** Under the folder of the case. */
  readonly cwd?: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** `$PWD`, under the folder of the case. */
  readonly pwd?: string;
  readonly links?: Readonly<Record<string, string>>;
}

const service = (image: string): string => `services:\n  a:\n    image: "${image}"\n`;

/** Which files are found, what the project is called, and what variables are answered from. */
const layouts: readonly Layout[] = [
  {
    name: "compose.yaml goes before docker-compose.yml",
    files: { "compose.yaml": service("1"), "docker-compose.yml": service("2") },
  },
  { name: "compose.yml", files: { "compose.yml": service("1") } },
  {
    name: "docker-compose.yml goes before .yaml",
    files: { "docker-compose.yaml": service("1"), "docker-compose.yml": service("2") },
  },
  {
    name: "an override beside it",
    files: { "docker-compose.yaml": service("1"), "compose.override.yaml": service("2") },
  },
  {
    name: "the .yml override goes first",
    files: {
      "compose.yaml": service("1"),
      "compose.override.yaml": service("2"),
      "compose.override.yml": service("3"),
    },
  },
  {
    name: "a parent's file",
    files: { "compose.yaml": service("${DIR:-p}"), "sub/x": "", "sub/.env": "DIR=sub\n", ".env": "DIR=top\nTOP=1\n" },
    cwd: "sub",
  },
  {
    name: "a parent's file with an override there",
    files: { "compose.yaml": service("1"), "compose.override.yml": service("2"), "sub/x": "" },
    cwd: "sub",
  },
  { name: "no file at all", files: { x: "" } },
  { name: "an empty file", files: { "compose.yaml": "" } },
  { name: "a file of comments", files: { "compose.yaml": "# nothing\n" } },
  { name: "a file that is a list", files: { "compose.yaml": "- a\n" } },
  { name: "a file of null", files: { "compose.yaml": "---\n" } },
  {
    name: "-f in another folder",
    files: { "d/compose.yaml": "services:\n  a:\n    image: x\n    volumes: ['./v:/v']\n", "d/.env": "X=1\n" },
    args: ["-f", "d/compose.yaml"],
  },
  {
    name: "-f twice",
    files: { "a.yaml": service("1"), "d/b.yaml": "services:\n  a:\n    build: ./here\n" },
    args: ["-f", "a.yaml", "-f", "d/b.yaml"],
  },
  { name: "-f -", files: { x: "" }, args: ["-f", "-"], stdin: service("stdin") },
  { name: "-f that is missing", files: { x: "" }, args: ["-f", "nope.yaml"] },
  { name: "-f of a folder", files: { "d/x": "" }, args: ["-f", "d"] },
  {
    name: "COMPOSE_FILE",
    files: { "a.yaml": service("1"), "b.yaml": service("2") },
    environment: { COMPOSE_FILE: "a.yaml:b.yaml" },
  },
  {
    name: "COMPOSE_FILE with its own separator",
    files: { "a.yaml": service("1"), "b.yaml": service("2") },
    environment: { COMPOSE_FILE: "a.yaml;b.yaml", COMPOSE_PATH_SEPARATOR: ";" },
  },
  {
    name: "COMPOSE_FILE from .env",
    files: { "d/a.yaml": service("${D:-none}"), ".env": "COMPOSE_FILE=d/a.yaml\n", "d/.env": "D=d\n" },
  },
  {
    name: "COMPOSE_FILE that is missing",
    files: { "compose.yaml": service("1") },
    environment: { COMPOSE_FILE: "nope.yaml" },
  },
  {
    name: "--project-directory",
    files: { "d/a.yaml": "services:\n  a:\n    build: ./ctx\n    image: x:${P:-none}\n", "e/.env": "P=e\n" },
    args: ["-f", "d/a.yaml", "--project-directory", "e"],
  },
  {
    name: "-p",
    files: { "compose.yaml": `name: other\n${service("${COMPOSE_PROJECT_NAME}")}` },
    args: ["-p", "given"],
  },
  { name: "-p that is no name", files: { "compose.yaml": service("1") }, args: ["-p", "No Good"] },
  {
    name: "COMPOSE_PROJECT_NAME",
    files: { "compose.yaml": `name: other\n${service("1")}` },
    environment: { COMPOSE_PROJECT_NAME: "env-name" },
  },
  {
    name: "COMPOSE_PROJECT_NAME from .env",
    files: { "compose.yaml": service("1"), ".env": "COMPOSE_PROJECT_NAME=dotenv-name\n" },
  },
  {
    name: "COMPOSE_PROJECT_NAME that is no name",
    files: { "compose.yaml": service("1") },
    environment: { COMPOSE_PROJECT_NAME: "A B" },
  },
  {
    name: "name with a variable",
    files: { "compose.yaml": `name: "x-\${WHO:-me}"\n${service("${COMPOSE_PROJECT_NAME}")}` },
  },
  { name: "name that needs cleaning", files: { "compose.yaml": `name: "_My App!"\n${service("1")}` } },
  { name: "name that cleans to nothing", files: { "compose.yaml": `name: "!!!"\n${service("1")}` } },
  { name: "name in the second document", files: { "compose.yaml": `${service("1")}---\nname: second\n` } },
  {
    name: "name in the override",
    files: { "compose.yaml": `name: one\n${service("1")}`, "compose.override.yaml": "name: two\n" },
  },
  { name: "name that is a number", files: { "compose.yaml": `name: 12\n${service("1")}` } },
  {
    name: "a folder whose name needs cleaning",
    files: { "My Project_1/compose.yaml": service("1") },
    cwd: "My Project_1",
  },
  { name: "a folder whose name cleans to nothing", files: { "___/compose.yaml": service("1") }, cwd: "___" },
  {
    name: "--env-file",
    files: { "compose.yaml": service("${A}-${B:-none}"), "x.env": "A=x\nB=x\n", "y.env": "A=y\n", ".env": "B=dot\n" },
    args: ["--env-file", "x.env", "--env-file", "y.env"],
  },
  { name: "--env-file that is missing", files: { "compose.yaml": service("1") }, args: ["--env-file", "nope.env"] },
  {
    name: "--env-file that is a folder",
    files: { "compose.yaml": service("1"), "d/x": "" },
    args: ["--env-file", "d"],
  },
  {
    name: "COMPOSE_ENV_FILES",
    files: { "compose.yaml": service("${A}-${B}"), "x.env": "A=x\n", "y.env": "B=y\n" },
    environment: { COMPOSE_ENV_FILES: "x.env,y.env" },
  },
  {
    name: "COMPOSE_DISABLE_ENV_FILE",
    files: { "compose.yaml": service("${A:-none}"), ".env": "A=dot\n" },
    environment: { COMPOSE_DISABLE_ENV_FILE: "1" },
  },
  {
    name: "COMPOSE_DISABLE_ENV_FILE that is no boolean",
    files: { "compose.yaml": service("1") },
    environment: { COMPOSE_DISABLE_ENV_FILE: "maybe" },
  },
  { name: ".env that is a folder", files: { "compose.yaml": service("1"), ".env/x": "" } },
  { name: ".env with a fault", files: { "compose.yaml": service("1"), ".env": "A B=1\n" } },
  { name: ".env with an open quote", files: { "compose.yaml": service("1"), ".env": 'A="open\n' } },
  {
    name: "the shell over .env",
    files: { "compose.yaml": service("${A}"), ".env": "A=dot\n" },
    environment: { A: "shell" },
  },
  {
    name: "COMPOSE_PROFILES",
    files: { "compose.yaml": `${service("1")}  b: {image: y, profiles: [p]}\n  c: {image: z, profiles: [q, r]}\n` },
    environment: { COMPOSE_PROFILES: "p, r" },
  },
  {
    name: "--profile over COMPOSE_PROFILES",
    files: { "compose.yaml": `${service("1")}  b: {image: y, profiles: [p]}\n  c: {image: z, profiles: [q]}\n` },
    args: ["--profile", "q"],
    environment: { COMPOSE_PROFILES: "p" },
  },
  {
    name: "--profile '*'",
    files: { "compose.yaml": `${service("1")}  b: {image: y, profiles: [p]}\n` },
    args: ["--profile", "*"],
  },
  {
    name: "a dependency that a profile switches off",
    files: { "compose.yaml": "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: y, profiles: [p]}\n" },
  },
  {
    name: "an optional dependency that a profile switches off",
    files: {
      "compose.yaml":
        "services:\n  a: {image: x, depends_on: {b: {condition: service_started, required: false}}}\n  b: {image: y, profiles: [p]}\n",
    },
  },
  {
    name: "an include of an include",
    files: {
      "compose.yaml": "include: [d/compose.yaml]\n",
      "d/compose.yaml": "include: [e/compose.yaml]\nservices: {b: {image: x, build: ./ctx}}\n",
      "d/e/compose.yaml": "services: {c: {image: y, volumes: ['./v:/v'], env_file: e.env}}\n",
      "d/e/e.env": "Q=1\n",
    },
  },
  { name: "an include that includes itself", files: { "compose.yaml": "include: [compose.yaml]\n" } },
  {
    name: "includes in a circle",
    files: { "compose.yaml": "include: [b.yaml]\n", "b.yaml": "include: [compose.yaml]\n" },
  },
  {
    name: "an include with an override of its service",
    files: {
      "compose.yaml": "include: [d/compose.yaml]\nservices: {a: {labels: {l: own}, ports: ['1:1']}}\n",
      "d/compose.yaml": "services: {a: {image: x, labels: {l: inc, m: inc}, ports: ['2:2']}}\n",
    },
  },
  { name: "an include that is a map", files: { "compose.yaml": "include: {path: b.yaml}\n", "b.yaml": service("1") } },
  { name: "an include that is missing", files: { "compose.yaml": "include: [nope.yaml]\nservices: {}\n" } },
  {
    name: "extends through a file that extends a file",
    files: {
      "compose.yaml": "services: {a: {extends: {file: d/b.yaml, service: b}}}\n",
      "d/b.yaml": "services: {b: {extends: {file: e/c.yaml, service: c}, build: ./bctx, env_file: b.env}}\n",
      "d/e/c.yaml": "services: {c: {image: x, build: {context: ./cctx, args: [A=1]}, volumes: ['./v:/v', n:/n]}}\n",
      "d/b.env": "B=1\n",
    },
  },
  {
    name: "extends of a service with a network that is not here",
    files: {
      "compose.yaml": "services: {a: {extends: {file: b.yaml, service: b}}}\n",
      "b.yaml": "services: {b: {image: x, networks: [n]}}\nnetworks: {n: {}}\n",
    },
  },
  {
    name: "extends of an override's own base",
    files: { "compose.yaml": service("1"), "compose.override.yaml": "services: {b: {extends: a}}\n" },
  },
  {
    name: "extends that resets",
    files: {
      "compose.yaml":
        "services: {a: {extends: b, ports: !reset [], labels: !override {x: y}}, b: {image: x, ports: ['1:1'], labels: {z: w}}}\n",
    },
  },
  {
    name: "a symbolic link to the folder",
    files: { "real/compose.yaml": service("1") },
    links: { linked: "real" },
    cwd: "linked",
  },
  {
    name: "a symbolic link to the folder, entered by a shell",
    files: { "real/compose.yaml": service("1") },
    links: { linked: "real" },
    cwd: "linked",
    pwd: "linked",
  },
  {
    name: "home in paths",
    files: {
      "compose.yaml":
        "services: {a: {image: x, volumes: ['~/v:/v', '~:/h'], env_file: [{path: ~/e, required: false}]}}\n",
    },
  },
  {
    name: "a bind mount in a volume's options",
    files: {
      "compose.yaml":
        "services: {a: {image: x, volumes: ['v:/v']}}\nvolumes: {v: {driver: local, driver_opts: {type: none, o: bind, device: ./d}}}\n",
    },
  },
  {
    name: "anchors over documents",
    files: { "compose.yaml": "x-a: &a {image: x}\nservices:\n  a: *a\n---\nservices:\n  a: {labels: [l]}\n" },
  },
  { name: "services that are null", files: { "compose.yaml": "services:\n" } },
  {
    name: "windows line ends and a byte order mark",
    files: {
      "compose.yaml": "\ufeffservices:\r\n  a:\r\n    image: x\r\n    command: |\r\n      one\r\n      two\r\n",
    },
  },
  { name: "a tab in the indentation", files: { "compose.yaml": "services:\n\ta:\n\t\timage: x\n" } },
];

const peers = peerPrograms();
const work = realpathSync(mkdtempSync(join(tmpdir(), "tscompose-layouts-")));

afterAll(() => {
  rmSync(work, { recursive: true, force: true });
});

function lay(layout: Layout, index: number): string {
  const root = join(work, String(index), "root");
  for (const [path, text] of Object.entries(layout.files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  for (const [path, target] of Object.entries(layout.links ?? {})) symlinkSync(target, join(root, path));
  return join(root, layout.cwd ?? "");
}

function environmentOf(layout: Layout, logicalCwd: string): Record<string, string> {
  const pwd = layout.pwd === undefined ? {} : { PWD: logicalCwd };
  return { PATH: "/usr/bin:/bin", HOME: "/nonexistent", ...pwd, ...layout.environment };
}

function optionsOf(layout: Layout, cwd: string, index: number): LoadOptions {
  const args = layout.args ?? [];
  const values = (flag: string): string[] => args.flatMap((arg, at) => (args[at - 1] === flag ? [arg] : []));
  return {
    cwd,
    environment: environmentOf(layout, join(work, String(index), "root", layout.cwd ?? "")),
    home: "/nonexistent",
    files: values("-f"),
    profiles: values("--profile"),
    envFiles: values("--env-file"),
    projectName: values("-p")[0],
    projectDirectory: values("--project-directory")[0],
  };
}

describe.skipIf(peers === undefined)(
  peers === undefined ? "layouts of projects (not run: no peer)" : "layouts of projects, against docker-compose",
  () => {
    for (const [index, layout] of layouts.entries()) {
      it(layout.name, async () => {
        const cwd = lay(layout, index);
        const env = environmentOf(layout, cwd);
        const args = [...(layout.args ?? []), "config", "--format", "json"];
        const input = layout.stdin ?? "";
        const their = spawnSync(join(peers ?? "", "docker-compose"), args, { cwd, env, encoding: "utf8", input });
        const files: FileSource = {
          ...disk,
          read: (path, max) => (path === "-" ? new TextEncoder().encode(input) : disk.read(path, max)),
        };
        const our: unknown = await loadProject(optionsOf(layout, realpathSync(cwd), index), files).then(
          comparable,
          (error: unknown) => {
            expect(diagnosticsOf(error).length, String(error)).toBeGreaterThan(0);
            return `refused: ${String(error)}`;
          },
        );
        if (their.status !== 0) expect(our, their.stderr).toMatch(/^refused/);
        else expect(our).toEqual(sortKeys(JSON.parse(their.stdout)));
      });
    }
  },
);
