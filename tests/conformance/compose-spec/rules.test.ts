import { describe, expect, it } from "vitest";

import { projectRules, serviceRules } from "../../../src/spec/check/consistency.ts";
import type { DiagnosticCode } from "../../../src/spec/diagnostic.ts";
import { refusals } from "./support.ts";

interface Row {
  readonly rule: string;
  /** The service `a`, as YAML in flow style; or a whole file where it begins with a key at the margin. */
  readonly yaml: string;
  readonly code: DiagnosticCode;
  readonly message: RegExp;
  /** What the caret points at. */
  readonly at: string;
}

/** One row for each rule of the specification that several values can break. */
const rows: readonly Row[] = [
  {
    rule: "x-host-access is a list of ports",
    yaml: "image: x\n    x-host-access: 5432",
    code: "wrong-type",
    message: /x-host-access of service "a" is no list/,
    at: "5432",
  },
  {
    rule: "x-host-access holds ports",
    yaml: "image: x\n    x-host-access: [5432, banana]",
    code: "invalid-value",
    message: /"banana" is no port/,
    at: "banana",
  },
  {
    rule: "x-host-access needs a network that leads to the host",
    yaml: "services:\n  a:\n    image: x\n    x-host-access: [5432]\n    networks: [n]\nnetworks:\n  n: {internal: true}\n",
    code: "conflict",
    message: /all of its networks are internal/,
    at: "[5432]",
  },
  {
    rule: "x-host-access needs a network of the container's own",
    yaml: "image: x\n    x-host-access: [5432]\n    network_mode: host",
    code: "conflict",
    message: /x-host-access with network_mode host/,
    at: "[5432]",
  },
  {
    rule: "a service has an image, a build or a provider",
    yaml: "services:\n  a:\n    tty: true\n",
    code: "missing-key",
    message: /neither an image nor a build/,
    at: "tty: true",
  },
  {
    rule: "dockerfile excludes dockerfile_inline",
    yaml: "build: {dockerfile: a, dockerfile_inline: b}",
    code: "conflict",
    message: /both dockerfile and dockerfile_inline/,
    at: "b",
  },
  {
    rule: "an additional context names a service",
    yaml: "build: {additional_contexts: {x: 'service:y'}}",
    code: "undefined-reference",
    message: /unknown service "y"/,
    at: "'service:y'",
  },
  {
    rule: "an additional context names a built service",
    yaml: "services:\n  a: {build: {additional_contexts: {x: 'service:b'}}}\n  b: {image: x}\n",
    code: "undefined-reference",
    message: /not built/,
    at: "'service:b'",
  },
  {
    rule: "build.platforms include platform",
    yaml: "build: {platforms: [a/b]}\n    platform: c/d",
    code: "conflict",
    message: /runs on c\/d/,
    at: "c/d",
  },
  {
    rule: "network_mode excludes networks",
    yaml: "image: x\n    network_mode: host\n    networks: [n]",
    code: "conflict",
    message: /both network_mode and networks/,
    at: "host",
  },
  {
    rule: "a network is declared",
    yaml: "image: x\n    networks: [front]",
    code: "undefined-reference",
    message: /undefined network front/,
    at: "front",
  },
  {
    rule: "a volume is declared",
    yaml: "image: x\n    volumes: ['data:/d']",
    code: "undefined-reference",
    message: /undefined volume data/,
    at: "'data:/d'",
  },
  {
    rule: "a secret is declared",
    yaml: "image: x\n    secrets: [s]",
    code: "undefined-reference",
    message: /undefined secret s/,
    at: "s",
  },
  {
    rule: "a config is declared",
    yaml: "image: x\n    configs: [c]",
    code: "undefined-reference",
    message: /undefined config c/,
    at: "c",
  },
  {
    rule: "a build secret is declared",
    yaml: "build: {secrets: [s]}",
    code: "undefined-reference",
    message: /undefined build secret s/,
    at: "s",
  },
  {
    rule: "a model is declared",
    yaml: "image: x\n    models: [m]",
    code: "undefined-reference",
    message: /undefined model m/,
    at: "m",
  },
  {
    rule: "a health test says its kind",
    yaml: "image: x\n    healthcheck: {test: [curl]}",
    code: "invalid-value",
    message: /starts with "curl"/,
    at: "[curl]",
  },
  {
    rule: "a dependency exists",
    yaml: "image: x\n    depends_on: [nope]",
    code: "undefined-reference",
    message: /undefined service "nope"/,
    at: "nope",
  },
  {
    rule: "a required dependency is not switched off",
    yaml: "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: y, profiles: [p]}\n",
    code: "profile",
    message: /profiles \(p\) are not active/,
    at: "b",
  },
  {
    rule: "the service of network_mode exists",
    yaml: "image: x\n    network_mode: service:y",
    code: "undefined-reference",
    message: /"y" not found for network_mode/,
    at: "service:y",
  },
  {
    rule: "scale is deploy.replicas",
    yaml: "image: x\n    scale: 2\n    deploy: {replicas: 3}",
    code: "conflict",
    message: /scale and deploy.replicas/,
    at: "2",
  },
  {
    rule: "scale is not negative",
    yaml: "image: x\n    scale: -1",
    code: "invalid-value",
    message: /scale must be at least 0/,
    at: "-1",
  },
  {
    rule: "deploy.replicas is not negative",
    yaml: "image: x\n    deploy: {replicas: -2}",
    code: "invalid-value",
    message: /deploy.replicas must be at least 0/,
    at: "-2",
  },
  {
    rule: "cpus is the deploy limit",
    yaml: "image: x\n    cpus: 1\n    deploy: {resources: {limits: {memory: 1g}}}",
    code: "conflict",
    message: /cpus and deploy.resources.limits.cpus/,
    at: "1",
  },
  {
    rule: "mem_limit is the deploy limit",
    yaml: "image: x\n    mem_limit: 1g\n    deploy: {resources: {limits: {memory: 2g}}}",
    code: "conflict",
    message: /mem_limit and/,
    at: "1g",
  },
  {
    rule: "mem_reservation is the deploy reservation",
    yaml: "image: x\n    mem_reservation: 1g\n    deploy: {resources: {reservations: {memory: 2g}}}",
    code: "conflict",
    message: /mem_reservation and/,
    at: "1g",
  },
  {
    rule: "pids_limit is the deploy limit",
    yaml: "image: x\n    pids_limit: 10\n    deploy: {resources: {limits: {pids: 20}}}",
    code: "conflict",
    message: /pids_limit and/,
    at: "10",
  },
  {
    rule: "a container name is for one container",
    yaml: "image: x\n    scale: 2\n    container_name: only",
    code: "conflict",
    message: /a container name is for one/,
    at: "only",
  },
  {
    rule: "container names are unique",
    yaml: "services:\n  a: {image: x, container_name: same}\n  b: {image: y, container_name: same}\n",
    code: "conflict",
    message: /same container_name "same"/,
    at: "same",
  },
  {
    rule: "a watch rule that syncs has a target",
    yaml: "image: x\n    develop: {watch: [{path: ., action: sync}]}",
    code: "missing-key",
    message: /no target/,
    at: "{path: ., action: sync}",
  },
  {
    rule: "mounts have targets of their own",
    yaml: "image: x\n    tmpfs: [/t]\n    volumes: ['./a:/t']",
    code: "conflict",
    message: /mounts \/t twice/,
    at: "'./a:/t'",
  },
  {
    rule: "a secret has a source",
    yaml: "services: {a: {image: x}}\nsecrets: {s: {driver: d}}\n",
    code: "missing-key",
    message: /must declare either "file" or "environment"/,
    at: "{driver: d}",
  },
  {
    rule: "dependencies do not run in a circle",
    yaml: "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [c]}\n  c: {image: x, links: [a]}\n",
    code: "cycle",
    message: /a -> b -> c -> a/,
    at: "a",
  },
  {
    rule: "an external volume says nothing else",
    yaml: "services: {a: {image: x}}\nvolumes: {v: {external: true, driver: d}}\n",
    code: "conflict",
    message: /external and says "driver"/,
    at: "driver",
  },
  {
    rule: "a config has one source",
    yaml: "services: {a: {image: x}}\nconfigs: {c: {file: ./f, content: x}}\n",
    code: "conflict",
    message: /several sources: file, content/,
    at: "x",
  },
  {
    rule: "a config has a source",
    yaml: "services: {a: {image: x}}\nconfigs: {c: {name: n}}\n",
    code: "missing-key",
    message: /nothing about its content/,
    at: "{name: n}",
  },
  {
    rule: "a secret has one source",
    yaml: "services: {a: {image: x}}\nsecrets: {s: {file: ./f, environment: E}}\n",
    code: "conflict",
    message: /several sources: file, environment/,
    at: "E",
  },
  {
    rule: "count excludes device_ids",
    yaml: "image: x\n    gpus: [{count: 1, device_ids: ['0']}]",
    code: "conflict",
    message: /"count" and "device_ids"/,
    at: "['0']",
  },
  {
    rule: "a host address is an address",
    yaml: "image: x\n    ports: [{target: 80, host_ip: nowhere}]",
    code: "invalid-value",
    message: /host_ip is "nowhere"/,
    at: "nowhere",
  },
  {
    rule: "a watched path is not blank",
    yaml: "image: x\n    develop: {watch: [{path: '', action: rebuild}]}",
    code: "invalid-value",
    message: /path is empty/,
    at: "''",
  },
  {
    rule: "name and external.name agree",
    yaml: "services: {a: {image: x}}\nnetworks: {n: {name: a, external: {name: b}}}\n",
    code: "short-syntax",
    message: /name and external.name differ/,
    at: "{name: a, external: {name: b}}",
  },
  {
    rule: "a bind mount has a source",
    yaml: "image: x\n    volumes: [{type: bind, target: /t}]",
    code: "missing-key",
    message: /bind mount without a source/,
    at: "{type: bind, target: /t}",
  },
  {
    rule: "services do not extend each other in a circle",
    yaml: "services:\n  a: {image: x, extends: b}\n  b: {extends: a}\n",
    code: "cycle",
    message: /a -> b -> a|b -> a -> b/,
    at: "b",
  },
  {
    rule: "an extended service exists",
    yaml: "services:\n  web: {image: x}\n  b: {extends: wbe}\n",
    code: "extends",
    message: /which this file does not have/,
    at: "wbe",
  },
];

describe("rules that several values can break", () => {
  it("has at least a row for each rule function", () => {
    expect(rows.length).toBeGreaterThanOrEqual(serviceRules.length + projectRules.length);
  });

  for (const row of rows) {
    it(row.rule, async () => {
      const yaml = /^[a-z]+:\n|^services/.test(row.yaml) ? row.yaml : `services:\n  a:\n    ${row.yaml}\n`;
      const found = await refusals({ "compose.yaml": yaml });
      const matching = found.find((one) => one.code === row.code && row.message.test(one.message));
      expect(matching, JSON.stringify(found.map((one) => [one.code, one.message]))).toBeDefined();
      const place = matching?.place;
      expect(place?.excerpt.slice((place?.column ?? 1) - 1)).toMatch(
        new RegExp(`^${row.at.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`),
      );
      expect(place?.file).toBe("/project/compose.yaml");
    });
  }
});
