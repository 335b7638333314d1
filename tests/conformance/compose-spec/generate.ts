import { createRandom } from "./random.ts";
import type { Random } from "./random.ts";

/** Compose projects made up at random, most of them valid, aimed at what is hard: merges, extends, includes, interpolation,
 *  casts and short forms. */
export interface GeneratedCase {
  readonly seed: number;
  /** Path under the project folder to text. */
  readonly files: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** Text written into YAML as it is: plain scalars, flow collections, tags. */
class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Value = string | number | boolean | null | Raw | readonly Value[] | { readonly [key: string]: Value };

const raw = (text: string): Raw => new Raw(text);

/** A value that Docker Compose refuses; picked seldom, or no case would be accepted. */
class Refused {
  readonly value: Value;
  constructor(value: Value) {
    this.value = value;
  }
}

const bad = (value: Value): Refused => new Refused(value);

function choose(options: readonly (Value | Refused)[], random: Random): Value {
  const good = options.filter((option): option is Value => !(option instanceof Refused));
  const refused = options.filter((option) => option instanceof Refused);
  if (refused.length > 0 && (good.length === 0 || random.chance(0.05))) return random.pick(refused).value;
  return random.pick(good);
}

export function generateCase(seed: number): GeneratedCase {
  const random = createRandom(seed);
  const files: Record<string, string> = {};
  const environment: Record<string, string> = {
    SHELL_VAR: "from-shell",
    NUM: "3",
    EMPTY: "",
    FLAG: "true",
    BOTH: "shell",
  };
  files["env/a.env"] = random.pick(envTexts);
  files["env/b.env"] = random.pick(envTexts);
  files["env/raw.env"] = "RAW='kept quotes'\nDOLLAR=a$b\n";
  files["labels.txt"] = "from.file=one\nother=${from.file}two\n";
  if (random.chance(0.6)) files[".env"] = random.pick(dotenvTexts);
  const args: string[] = [];
  const main = project(random, "main");
  if (random.chance(0.25)) main["include"] = include(random, files);
  if (random.chance(0.4)) addExtends(random, main, files);
  files["compose.yaml"] = write(main, random);
  if (random.chance(0.55)) {
    const text = write(project(random, "override"), random);
    if (random.chance(0.5)) files["compose.override.yaml"] = text;
    else {
      files["second.yaml"] = text;
      args.push("-f", "compose.yaml", "-f", "second.yaml");
    }
  } else if (random.chance(0.15)) {
    files["compose.yaml"] += `---\n${write(project(random, "override"), random)}`;
  }
  if (random.chance(0.2)) args.push("--profile", random.pick(["dev", "*", "none"]));
  if (random.chance(0.1)) args.push("-p", random.pick(["named", "other_name-1", "abc", "x1", "Bad Name"]));
  return { seed, files, args, environment };
}

const envTexts = [
  "A=1\nB=two words\nC='single $A'\nD=\"double ${A}\"\n",
  "export A=x\n# comment\nB=${A:-none} # trailing\n\nE=\n",
  "A: yaml\nSHELL_VAR=file\nF=${SHELL_VAR}\nBARE\n",
  'MULTI="line one\nline two"\nG=$$literal\nH="tab\\tend"\n',
  "A=b=c\nKEY.dotted=1\nQ='it''s'\n",
];

const dotenvTexts = [
  "DOT=dotenv\nBOTH=dotenv\nPORT=8080\nTAG=1.2\n",
  "DOT=${SHELL_VAR}-x\nNUM=9\nTAG='3'\n",
  "COMPOSE_PROJECT_NAME=from-dotenv\nDOT=y\n",
  "COMPOSE_PROFILES=dev\nTAG=latest\n",
];

const serviceNames = ["web", "db", "cache"];

function project(random: Random, role: "main" | "override"): Record<string, Value> {
  const root: Record<string, Value> = {};
  const shared = random.chance(0.25);
  if (shared) root["x-shared"] = raw(`&shared ${random.pick(sharedTexts)}`);
  const services: Record<string, Value> = {};
  const names = role === "main" ? serviceNames.slice(0, 1 + random.int(3)) : random.some(serviceNames.slice(0, 2), 2);
  for (const name of names) {
    const own = service(random, role, name, names) as Record<string, Value>;
    services[name] = shared && random.chance(0.6) ? { "<<": raw(random.pick(["*shared", "[*shared]"])), ...own } : own;
  }
  if (random.chance(0.2)) root["name"] = random.pick(["proj", "My Project", "${SHELL_VAR}", "x${UNSET_NAME:-y}"]);
  if (role === "main" || names.length > 0) root["services"] = services;
  if (role === "main" || random.chance(0.3)) root["networks"] = { front: network(random), back: network(random) };
  if (role === "main" || random.chance(0.08)) root["volumes"] = { data: volume(random), cache: volume(random) };
  if (role === "main" || random.chance(0.05)) {
    root["secrets"] = {
      token: random.pick<Value>([{ file: "./token.txt" }, { environment: "SHELL_VAR" }, { external: true }]),
    };
    root["configs"] = {
      conf: random.pick<Value>([
        { file: "./c.conf" },
        { content: "v=${DOT:-d}\nw=$$x\n" },
        { environment: "SHELL_VAR" },
      ]),
    };
  }
  if (random.chance(0.1)) root["x-common"] = { a: 1, b: ["x", "${DOT:-q}"] };
  if (random.chance(0.05)) root["version"] = "3.8";
  return root;
}

function service(random: Random, role: "main" | "override", name: string, names: readonly string[]): Value {
  const result: Record<string, Value> = {};
  if (role === "main")
    result["image"] = random.pick(["busybox", "nginx:${TAG:-1}", "reg.example.com/a/b@sha256:" + "a".repeat(64)]);
  const keys = Object.keys(attributes);
  const count = 1 + random.int(6);
  for (let index = 0; index < count; index++) {
    const key = random.pick(keys);
    if (key === "bogus_key" && random.chance(0.9)) continue;
    const options = attributes[key] ?? [];
    result[key] = choose(options, random);
  }
  if (random.chance(0.3) && names.length > 1 && name !== names.at(-1)) result["depends_on"] = dependsOn(random, names);
  if (result["network_mode"] !== undefined) delete result["networks"];
  if (role === "override" && random.chance(0.25)) {
    const key = random.pick(["ports", "volumes", "environment", "command", "labels", "build"]);
    const tag = random.pick(["!reset null", "!reset []", '!override ["a=b"]']);
    result[key] = raw(
      key === "command" && tag.startsWith("!over") ? '!override ["echo", "hi"]' : key === "build" ? "!reset null" : tag,
    );
  }
  return result;
}

const sharedTexts = [
  "{restart: always, labels: {shared: yes}, environment: {S: '1', A: s}}",
  "{logging: {driver: json-file, options: {max-size: 1m}}, cap_add: [SYS_TIME]}",
  "\n  tty: true\n  env_file: env/a.env\n  deploy: &limits\n    resources: {limits: {memory: 64M}}\n",
];

function dependsOn(random: Random, names: readonly string[]): Value {
  const target = names.at(-1) ?? "";
  return random.pick<Value>([
    [target],
    { [target]: { condition: "service_healthy" } },
    { [target]: { condition: "service_started", required: false, restart: raw("yes") } },
    { [target]: { condition: "service_completed_successfully", restart: "${FLAG}" } },
  ]);
}

const network = (random: Random): Value =>
  random.pick<Value>([
    null,
    raw("{}"),
    { driver: "bridge", driver_opts: { a: 1, b: "x" }, labels: ["l=1", "m"] },
    { external: true },
    { external: true, name: "ext-${DOT:-n}" },
    { internal: raw("yes"), attachable: "${FLAG}", enable_ipv6: true },
    { ipam: { driver: "default", config: [{ subnet: "172.28.0.0/16", gateway: "172.28.0.1" }], options: { o: "1" } } },
    { ipam: { config: [{ subnet: "172.28.0.0/16", ip_range: "172.28.5.0/24", aux_addresses: { h: "172.28.1.5" } }] } },
    { labels: { l: true, n: null, k: 3 }, name: "given" },
  ]);

const volume = (random: Random): Value =>
  random.pick<Value>([
    null,
    { driver: "local", driver_opts: { type: "none", o: "bind", device: "./dir" } },
    { external: true },
    { external: raw("{name: old}") },
    { name: "v-${NUM}", labels: ["a=b"] },
    { labels: { a: 1.5, b: "" } },
    { driver: "custom", driver_opts: { size: 10 } },
  ]);

function include(random: Random, files: Record<string, string>): Value {
  const inner: Record<string, Value> = {
    services: {
      helper: {
        image: "helper:${DOT:-none}",
        environment: ["SHELL_VAR", "DOT", "SUB"],
        volumes: ["./in:/in", "sub-data:/d"],
      },
    },
    volumes: { "sub-data": null },
  };
  if (random.chance(0.3)) {
    inner["services"] = {
      ...(inner["services"] as object),
      web: { image: "included", labels: { from: "include" }, ports: ["1:1"] },
    };
  }
  if (random.chance(0.3)) inner["networks"] = { front: { labels: ["inc=1"] } };
  if (random.chance(0.3)) inner["secrets"] = { sub: { environment: "SUB" } };
  if (inner["secrets"] !== undefined) {
    const helper = (inner["services"] as Record<string, Record<string, Value>>)["helper"];
    if (helper !== undefined) helper["secrets"] = ["sub"];
  }
  files["sub/compose.yaml"] = write(inner, random);
  if (random.chance(0.5)) files["sub/.env"] = "SUB=sub-env\nDOT=sub-dot\nBOTH=sub\n";
  files["sub/other.env"] = "SUB=other\n";
  files["sub/more.yaml"] = write(
    { services: { helper: { labels: { more: "${SUB:-unset}" }, command: "run more" } } },
    random,
  );
  return random.pick<Value>([
    ["sub/compose.yaml"],
    [{ path: "sub/compose.yaml" }],
    [{ path: ["sub/compose.yaml", "./sub/more.yaml"] }],
    [{ path: "./sub/compose.yaml", env_file: "sub/other.env" }],
    [{ path: "sub/compose.yaml", project_directory: "." }],
    [{ path: "sub/compose.yaml", env_file: ["/dev/null"] }],
    [{ path: "sub/compose.yaml", project_directory: "sub", env_file: ["sub/other.env"] }],
  ]);
}

function addExtends(random: Random, main: Record<string, Value>, files: Record<string, string>): void {
  const services = main["services"] as Record<string, Record<string, Value>>;
  const base = service(random, "main", "base", ["base"]) as Record<string, Value>;
  delete base["depends_on"];
  const target = services["web"];
  if (target === undefined) return;
  if (random.chance(0.5)) {
    services["base"] = base;
    target["extends"] = random.pick<Value>(["base", { service: "base" }]);
  } else {
    files["common/base.yaml"] = write(
      {
        services: {
          base: {
            ...base,
            extends: random.chance(0.4) ? { service: "root" } : { file: "deeper/root.yaml", service: "root" },
          },
          root: { image: "root", labels: ["root=1"], env_file: ["../env/a.env"], volumes: ["./r:/r:ro"] },
        },
      },
      random,
    );
    files["common/deeper/root.yaml"] = write(
      {
        services: {
          root: { image: "deep", build: { context: "./ctx", args: ["A=1", "SHELL_VAR"] }, volumes: ["../x:/x"] },
        },
      },
      random,
    );
    target["extends"] = { file: random.pick(["common/base.yaml", "./common/base.yaml"]), service: "base" };
  }
}

/** Values of service keys. Those that Docker Compose refuses stand among those that it takes. */
const attributes: Readonly<Record<string, readonly (Value | Refused)[]>> = {
  annotations: [["a=b", "c"], { a: "b", c: null, d: 1 }],
  attach: [true, "false", raw("no")],
  blkio_config: [
    { weight: 300, device_read_bps: [{ path: "/dev/sda", rate: "12mb" }] },
    { weight_device: [{ path: "/d", weight: 10 }] },
  ],
  build: [
    "./dir",
    { context: ".", args: { A: 1, SHELL_VAR: null, NOPE: null, T: true } },
    { context: "https://github.com/a/b.git", labels: ["x=1"], tags: ["t:1"], platforms: ["linux/amd64"] },
    { dockerfile_inline: "FROM x\nRUN echo ${DOT:-a}\n", no_cache: raw("yes"), shm_size: "1g" },
    { additional_contexts: ["c=./x", "d=docker-image://y"], extra_hosts: ["a:1.1.1.1"], ulimits: { nofile: 10 } },
    { context: "sub", ssh: ["default"], secrets: ["token"], provenance: true, sbom: "false" },
    { ssh: { default: null } },
    bad({ target: "t", unknown_key: 1 }),
  ],
  cap_add: [["NET_ADMIN"], ["ALL", "SYS_TIME"]],
  cap_drop: [["ALL"], ["A", "B"]],
  cgroup: ["host", "private", bad("other")],
  command: [
    "echo hello",
    ["echo", "${DOT:-x}"],
    'sh -c "echo $$HOME"',
    null,
    raw("[]"),
    "",
    bad("echo 'unclosed"),
    raw(">-\n  folded\n  text"),
  ],
  container_name: ["fixed", bad("a")],
  cpu_count: [2, "${NUM}"],
  cpu_shares: [raw("73"), "10", 1.5],
  cpus: [0.5, "1.5", raw("2"), "${NUM}", bad("x")],
  cpuset: ["0-1", raw("0,1")],
  configs: [
    ["conf"],
    [{ source: "conf", target: "/etc/c", mode: raw("0440"), uid: "1" }],
    [{ source: "conf", mode: "0777" }],
    bad(["missing"]),
  ],
  deploy: [
    { replicas: 2 },
    { replicas: "${NUM}", resources: { limits: { cpus: "0.5", memory: "50M" } } },
    { mode: "global", labels: { a: 1 }, placement: { constraints: ["node.role==manager"] } },
    { restart_policy: { condition: "on-failure", delay: "5s", max_attempts: "3", window: "1m30s" } },
    { update_config: { parallelism: 2, delay: "10s", order: "start-first", max_failure_ratio: "0.3" } },
    { resources: { reservations: { devices: [{ capabilities: ["gpu"], count: "all" }], memory: "1g" } } },
    { resources: { reservations: { generic_resources: [{ discrete_resource_spec: { kind: "g", value: 2 } }] } } },
    raw("{}"),
    null,
  ],
  develop: [
    { watch: [{ path: "./src", action: "sync", target: "/app", ignore: ["node_modules/"] }] },
    { watch: [{ path: ".", action: "rebuild" }] },
    bad({ watch: [{ path: "x", action: "sync" }] }),
  ],
  devices: [["/dev/a:/dev/b:rw", "/dev/c"], [{ source: "/dev/a", target: "/dev/z" }], bad(["a:b:c:d"])],
  dns: ["1.1.1.1", ["8.8.8.8", "", "9.9.9.9"]],
  dns_opt: [["use-vc", "ndots:1"]],
  dns_search: ["example.com", ["a.b", "c.d"]],
  domainname: ["foo.com"],
  entrypoint: ["/bin/entry --flag", ["/e"], null, raw("[]")],
  env_file: [
    "env/a.env",
    ["env/a.env", "env/b.env"],
    [{ path: "env/missing.env", required: false }, "env/b.env"],
    [{ path: "env/raw.env", format: "raw" }],
    bad("missing.env"),
  ],
  environment: [
    { A: "x", B: null, SHELL_VAR: null, N: 1, F: 1.0, T: true, D: "${DOT:-dd}" },
    ["A=1", "SHELL_VAR", "E=", "X=${UNSET}", "MISSING"],
    ["NUM=${NUM:+set}", "R=${SHELL_VAR:?must}", "N=${EMPTY:-e}${EMPTY-f}"],
    {
      BIG: 1e6,
      OCT: raw("0777"),
      HEX: raw("0x1F"),
      DATE: raw("2001-01-01"),
      NIL: raw("~"),
      Y: raw("yes"),
      UND: raw("1_000"),
    },
    { P: "p$$w", Q: "${A:-${B:-nested}}", R: "a${DOT}b${NUM}c" },
    bad({ BAD: "${" }),
    bad(["TRAILING =1"]),
  ],
  expose: [["80", 443], ["3000-3005/tcp"], [80, "80"]],
  external_links: [["other:alias"]],
  extra_hosts: [["a:1.1.1.1", "b=::1"], { a: "1.1.1.1", c: ["2.2.2.2", "[::2]"] }, bad(["bad"])],
  group_add: [["mail", 1000]],
  gpus: [
    "all",
    [{ driver: "nvidia", count: 2 }],
    [{ capabilities: ["gpu"], device_ids: ["0"] }],
    bad([{ count: 1, device_ids: ["0"] }]),
  ],
  healthcheck: [
    { test: "curl -f x", interval: "1m30s", timeout: "10s", retries: 3, start_period: "1.5h" },
    { test: ["CMD", "true"], retries: "${NUM}", start_interval: "1d" },
    { disable: true },
    { disable: raw("on"), test: ["NONE"] },
    bad({ test: ["bad"] }),
    bad({ interval: "nonsense" }),
  ],
  hostname: ["h1"],
  init: [true, "${FLAG}", raw("off")],
  ipc: ["host", "shareable", bad("service:nowhere")],
  labels: [{ a: "b", c: 1, "d.e": "${DOT:-x}" }, ["a=z", "k", "k2="], { a: null, f: 1.5, t: raw("True") }],
  label_file: ["labels.txt", ["./labels.txt"]],
  links: [bad(["db:alias"]), bad(["db"])],
  logging: [
    { driver: "json-file", options: { "max-size": "10m", "max-file": 3 } },
    { driver: "none" },
    { options: { tag: null } },
  ],
  mac_address: ["02:42:ac:11:00:02"],
  mem_limit: ["512m", 1073741824, "1.5gb", bad("bad"), raw("1e9")],
  mem_reservation: ["64k"],
  mem_swappiness: [60, "10"],
  memswap_limit: [-1, "2g"],
  network_mode: ["host", "none", "container:x", bad("service:db")],
  networks: [
    ["front"],
    { front: { aliases: ["al", "al2"], ipv4_address: "172.28.0.9", priority: 10 }, back: null },
    ["front", "back"],
    { back: { driver_opts: { k: 1 }, gw_priority: 1 } },
    bad(["nope"]),
    raw("{}"),
  ],
  oom_kill_disable: [true, "${FLAG}"],
  oom_score_adj: [-500, "100", bad(5000)],
  pid: ["host"],
  pids_limit: [100, "-1"],
  platform: ["linux/amd64"],
  ports: [
    ["80", "8080:80", "127.0.0.1:9000:90/udp"],
    [80, raw("22:22"), "3000-3002:4000-4002"],
    ["8000-8010:80", "[::1]:443:443"],
    [{ target: 80, published: "${PORT:-8080}", protocol: "tcp", mode: "host" }, { target: "90" }],
    [{ target: 80, published: 8080, host_ip: "0.0.0.0", name: "web", app_protocol: "http" }],
    ["8080:80", "8080:80/tcp", "8081:80"],
    bad(["99999:1"]),
    bad(["1-2:1-3"]),
    bad(["bad:port"]),
  ],
  post_start: [[{ command: "echo hi", user: "root" }], [{ command: ["a"], environment: { K: null } }]],
  pre_start: [[{ command: "init" }, { image: "other", per_replica: false }]],
  pre_stop: [[{ command: "bye", privileged: "true", working_dir: "/" }]],
  privileged: [true, "${FLAG}", raw("yes"), bad("maybe")],
  profiles: [["dev"], ["dev", "test"], raw("[]")],
  pull_policy: ["always", "if_not_present", "every_12h", bad("bogus")],
  read_only: [true, "false"],
  restart: ["always", raw("no"), "on-failure:3", "no"],
  runtime: ["runc"],
  scale: [1, "${NUM}", bad(-1)],
  secrets: [
    ["token"],
    [{ source: "token", target: "t", mode: raw("0400") }],
    ["token", { source: "token", target: "/run/secrets/token", uid: "1" }],
  ],
  security_opt: [["no-new-privileges:true"], ["label=disable"]],
  shm_size: ["64m", 67108864],
  stdin_open: [true],
  stop_grace_period: ["1m", "90s", "1d", bad("-1")],
  stop_signal: ["SIGINT"],
  storage_opt: [{ size: "1G" }],
  sysctls: [{ "net.core.somaxconn": 1024 }, ["net.ipv4.ip_forward=1"]],
  tmpfs: ["/run", ["/tmp:size=64m", "/run"], bad(["/run", "/run"])],
  tty: [true, raw("y")],
  ulimits: [
    { nproc: 65535, nofile: { soft: 20000, hard: "40000" } },
    { nofile: "${NUM}" },
    { core: 0 },
    bad({ nofile: { soft: 1 } }),
  ],
  use_api_socket: [true],
  user: ["1000:1000", "root"],
  userns_mode: ["host"],
  uts: ["host"],
  volumes: [
    ["data:/data", "./rel:/rel:ro", "/abs:/abs:rw,z", "/anon"],
    ["~/home:/h", "cache:/cache:nocopy", "./x:/x:rshared,cached"],
    [{ type: "bind", source: "./b", target: "/b", bind: { propagation: "rprivate", selinux: "z" } }],
    [{ type: "volume", source: "data", target: "/data/", volume: { nocopy: true, subpath: "s", labels: ["a=b"] } }],
    [
      { type: "tmpfs", target: "/t", tmpfs: { size: "10m", mode: raw("0755") } },
      { type: "image", source: "img", target: "/i" },
    ],
    [{ type: "bind", source: "/s", target: "/s", read_only: "${FLAG}", bind: { create_host_path: false } }],
    bad(["data:/d", "cache:/d"]),
    bad(["undefined-volume:/u"]),
    bad([":/x"]),
    bad([{ type: "bind", target: "/nosource" }]),
  ],
  volumes_from: [["container:c"], bad(["web:ro"])],
  working_dir: ["/app/${DOT:-w}"],
  "x-extra": [{ a: 1 }],
  bogus_key: [bad("x")],
};

function write(value: Record<string, Value>, random: Random): string {
  return `${block(value, 0, random).replace(/^\n/, "")}\n`;
}

function block(value: Value, indent: number, random: Random): string {
  if (value instanceof Raw) return ` ${value.text.replaceAll("\n", `\n${" ".repeat(indent)}`)}`;
  if (value === null) return random.chance(0.5) ? "" : " null";
  if (typeof value === "string") return ` ${quote(value, random)}`;
  if (typeof value !== "object") return ` ${String(value)}`;
  const margin = `\n${" ".repeat(indent)}`;
  if (Array.isArray(value)) {
    const items = value as readonly Value[];
    if (items.length === 0) return " []";
    return items.map((item) => `${margin}-${beside(block(item, indent + 2, random))}`).join("");
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return " {}";
  return entries.map(([key, inner]) => `${margin}${key}:${block(inner, indent + 2, random)}`).join("");
}

function beside(text: string): string {
  return text.startsWith("\n") ? ` ${text.trimStart()}` : text === "" ? " null" : text;
}

function quote(text: string, random: Random): string {
  const plain = /^[A-Za-z/.$][A-Za-z0-9_./${}-]*$/.test(text) && !/^(?:yes|no|on|off|true|false|null|y|n)$/i.test(text);
  if (plain && random.chance(0.6)) return text;
  if (!text.includes("\n") && !text.includes("'") && random.chance(0.5)) return `'${text}'`;
  return JSON.stringify(text);
}
