import { describe, expect, test } from "vitest";

import type { ContainerCreateBody } from "../../../src/api/wire.ts";
import { createBody, type CreateBodyInput } from "../../../src/planner/create-body/create-body.ts";
import { injectedFiles } from "../../../src/planner/create-body/injected-files.ts";
import { networkCreateBody, volumeCreateBody } from "../../../src/planner/create-body/resources-of-project.ts";
import { describeDrift } from "../../../src/planner/drift.ts";
import type { ContainerInspect } from "../../../src/api/wire.ts";
import type { Service } from "../../../src/spec/model.ts";
import { aContainer, anImage, aProject, fakeId, type ProjectParts } from "../../support/planner-fixtures.ts";

function bodyOf(
  spec: Partial<Service>,
  parts: Partial<CreateBodyInput> = {},
  rest: Partial<ProjectParts> = {},
): ContainerCreateBody {
  const project = aProject({ services: { web: spec }, ...rest });
  return createBody({
    project,
    service: "web",
    spec: project.services["web"] as Service,
    number: 1,
    name: "app-web-1",
    inherit: [],
    imageVolumes: [],
    profiles: new Map(),
    linked: new Map(),
    labels: {},
    ...parts,
  });
}

const hostOf = (spec: Partial<Service>, rest: Partial<ProjectParts> = {}): ContainerCreateBody["HostConfig"] =>
  bodyOf(spec, {}, rest).HostConfig;

describe("labels", () => {
  test("are Docker Compose's", () => {
    const { Labels: labels } = bodyOf({
      labels: { mine: "1" },
      depends_on: { db: { condition: "service_healthy", required: true, restart: true } },
    });
    expect(labels).toEqual({
      mine: "1",
      "com.docker.compose.project": "app",
      "com.docker.compose.service": "web",
      "com.docker.compose.container-number": "1",
      "com.docker.compose.oneoff": "False",
      "com.docker.compose.version": "5.5.0",
      "com.docker.compose.project.working_dir": "/srv/app",
      "com.docker.compose.project.config_files": "/srv/app/compose.yaml",
      "com.docker.compose.depends_on": "db:service_healthy:true",
      "com.docker.compose.config-hash": expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
  });

  test("of a one-off have no number", () => {
    const { Labels: labels } = bodyOf({}, { number: 0 });
    expect(labels).toMatchObject({ "com.docker.compose.oneoff": "True" });
    expect(labels).not.toHaveProperty(["com.docker.compose.container-number"]);
  });
});

describe("the body", () => {
  test("says only what the compose file says", () => {
    const { Labels: _labels, ...body } = bodyOf({});
    expect(body).toEqual({
      AttachStdout: true,
      AttachStderr: true,
      Image: "busybox",
      HostConfig: { NetworkMode: "app_default" },
      NetworkingConfig: { EndpointsConfig: { app_default: { Aliases: ["app-web-1", "web"] } } },
    });
  });

  test("carries variables, and names of those to take away", () => {
    expect(bodyOf({ environment: { A: "1", B: null, C: "" } }).Env).toEqual(["A=1", "B", "C="]);
  });

  test("turns durations into nanoseconds and seconds", () => {
    const body = bodyOf({
      healthcheck: { test: ["CMD", "true"], interval: "1m30s", retries: 3, start_period: "2s" },
      stop_grace_period: "1.5s",
    });
    expect(body.Healthcheck).toEqual({ Test: ["CMD", "true"], Interval: 90e9, Retries: 3, StartPeriod: 2e9 });
    expect(body.StopTimeout).toBe(1);
  });

  test("switches a healthcheck off", () => {
    expect(bodyOf({ healthcheck: { disable: true } }).Healthcheck).toEqual({ Test: ["NONE"] });
  });

  test("keeps an emptied command apart from none", () => {
    expect(bodyOf({ command: [] }).Cmd).toEqual([]);
    expect(bodyOf({ command: null })).not.toHaveProperty("Cmd");
  });

  test("lets replicas share fixed ports of mode ingress, keeps those of mode host apart, and one-offs out of it", () => {
    const ports = [
      { target: 80, published: "8080" },
      { target: 53, published: "53", protocol: "udp", mode: "host" },
    ];
    expect(hostOf({ ports, annotations: { a: "1" } })?.Annotations).toEqual({
      a: "1",
      "io.tscompose.publish.group": "app/web",
      "io.tscompose.publish.exclusive": "53/udp",
    });
    expect(hostOf({ ports: ports.slice(1) })).not.toHaveProperty("Annotations");
    expect(bodyOf({ ports }, { number: 0 }).HostConfig).not.toHaveProperty("Annotations");
  });

  test("asks for ports of the host, and so has another hash than without", () => {
    const spec = { "x-host-access": [5432, "53/udp"] };
    expect(hostOf(spec)?.Annotations).toEqual({ "io.tscompose.host-access": "5432/tcp,53/udp" });
    const hash = (body: ContainerCreateBody): string | undefined => body.Labels?.["com.docker.compose.config-hash"];
    expect(hash(bodyOf(spec))).not.toBe(hash(bodyOf({})));
    expect(hash(bodyOf({ "x-other": [1] }))).toBe(hash(bodyOf({})));
  });

  test("publishes and exposes ports", () => {
    const body = bodyOf({
      expose: ["99", "3000-3001/udp"],
      ports: [
        { target: 80, published: "8080", protocol: "tcp", mode: "ingress" },
        { target: 80, published: "8081", host_ip: "127.0.0.1", protocol: "tcp" },
        { target: 53, protocol: "udp" },
      ],
    });
    expect(Object.keys(body.ExposedPorts ?? {})).toEqual(["99/tcp", "3000/udp", "3001/udp", "80/tcp", "53/udp"]);
    expect(body.HostConfig?.PortBindings).toEqual({
      "80/tcp": [
        { HostIp: "", HostPort: "8080" },
        { HostIp: "127.0.0.1", HostPort: "8081" },
      ],
      "53/udp": [{ HostIp: "", HostPort: "" }],
    });
  });

  test("prefers deploy limits to the older keys", () => {
    const host = hostOf({
      mem_limit: "1",
      cpus: 2,
      pids_limit: 9,
      deploy: {
        resources: { limits: { cpus: 0.5, memory: "67108864", pids: 50 }, reservations: { memory: "16777216" } },
        placement: {},
      },
    });
    expect(host).toMatchObject({ NanoCpus: 5e8, Memory: 67_108_864, MemoryReservation: 16_777_216, PidsLimit: 50 });
  });

  test("knows both forms of ulimits", () => {
    expect(hostOf({ ulimits: { nproc: 50, nofile: { soft: 1, hard: 2 } } })?.Ulimits).toEqual([
      { Name: "nofile", Soft: 1, Hard: 2 },
      { Name: "nproc", Soft: 50, Hard: 50 },
    ]);
  });

  test("writes hosts with a colon, and tmpfs options apart", () => {
    expect(hostOf({ extra_hosts: ["a=1.2.3.4", "b=::1"], tmpfs: ["/t1", "/t2:size=1m"] })).toMatchObject({
      ExtraHosts: ["a:1.2.3.4", "b:::1"],
      Tmpfs: { "/t1": "", "/t2": "size=1m" },
    });
  });

  test.each([
    ["on-failure:3", { Name: "on-failure", MaximumRetryCount: 3 }],
    ["always", { Name: "always", MaximumRetryCount: 0 }],
    ["no", { Name: "no", MaximumRetryCount: 0 }],
  ])("restart: %s", (restart, expected) => {
    expect(hostOf({ restart })?.RestartPolicy).toEqual(expected);
  });

  test("puts a seccomp profile in", () => {
    const profiles = new Map([["p.json", '{"a":1}']]);
    const body = bodyOf({ security_opt: ["seccomp=p.json", "no-new-privileges:true"] }, { profiles });
    expect(body.HostConfig?.SecurityOpt).toEqual(['seccomp={"a":1}', "no-new-privileges:true"]);
  });

  test("unmasks system paths when asked", () => {
    const host = hostOf({ security_opt: ["systempaths=unconfined"] });
    expect(host).toMatchObject({ MaskedPaths: [], ReadonlyPaths: [] });
    expect(host).not.toHaveProperty("SecurityOpt");
  });

  test("asks for devices, and for those of the Container Device Interface by name", () => {
    const host = hostOf({
      devices: [
        { source: "/dev/null", target: "/dev/x", permissions: "r" },
        { source: "vendor.com/gpu=all", target: "vendor.com/gpu=all" },
      ],
    });
    expect(host?.Devices).toEqual([{ PathOnHost: "/dev/null", PathInContainer: "/dev/x", CgroupPermissions: "r" }]);
    expect(host?.DeviceRequests).toEqual([{ Driver: "cdi", DeviceIDs: ["vendor.com/gpu=all"] }]);
  });
});

describe("networks", () => {
  const networks = { back: {}, front: {} };

  test("the one of highest priority is the main one", () => {
    const body = bodyOf(
      { networks: { back: { aliases: ["w"], ipv4_address: "10.1.0.9" }, front: { priority: 10 } } },
      {},
      { networks },
    );
    expect(body.HostConfig?.NetworkMode).toBe("app_front");
    expect(body.NetworkingConfig?.EndpointsConfig).toEqual({
      app_front: { Aliases: ["app-web-1", "web"] },
      app_back: { Aliases: ["app-web-1", "web", "w"], IPAMConfig: { IPv4Address: "10.1.0.9" } },
    });
  });

  test("a network mode stands for itself", () => {
    const body = bodyOf({ network_mode: "host" });
    expect(body.HostConfig?.NetworkMode).toBe("host");
    expect(body).not.toHaveProperty("NetworkingConfig");
  });

  test("links name each container of the service", () => {
    const linked = new Map([["db", ["app-db-1"]]]);
    expect(bodyOf({ links: ["db:store"] }, { linked }).HostConfig?.Links).toEqual([
      "app-db-1:store",
      "app-db-1:db-1",
      "app-db-1:app-db-1",
    ]);
  });
});

describe("mounts", () => {
  const volumes = { data: {} };

  test("plain ones take the short form", () => {
    const host = hostOf(
      {
        volumes: [
          { type: "volume", source: "data", target: "/data", volume: {} },
          { type: "bind", source: "/srv", target: "/host", read_only: true, bind: {} },
        ],
      },
      { volumes },
    );
    expect(host?.Binds).toEqual(["app_data:/data:rw", "/srv:/host:ro"]);
  });

  test("what the short form cannot say takes the long one", () => {
    const host = hostOf(
      {
        volumes: [
          { type: "bind", source: "/srv", target: "/h", bind: { propagation: "rslave" } },
          { type: "bind", source: "/opt", target: "/o", bind: { create_host_path: false } },
          { type: "bind", source: "/a:b", target: "/c" },
          { type: "volume", source: "data", target: "/d", volume: { nocopy: true } },
          { type: "tmpfs", target: "/t", tmpfs: { size: "1000000", mode: 0o755 } },
          { type: "volume", target: "/anon", volume: {} },
        ],
      },
      { volumes },
    );
    expect(host).not.toHaveProperty("Binds");
    expect(host?.Mounts).toEqual([
      { Type: "bind", Source: "/srv", Target: "/h", BindOptions: { Propagation: "rslave", CreateMountpoint: true } },
      { Type: "bind", Source: "/opt", Target: "/o", BindOptions: {} },
      { Type: "bind", Source: "/a:b", Target: "/c", BindOptions: { CreateMountpoint: true } },
      { Type: "volume", Source: "app_data", Target: "/d", VolumeOptions: { NoCopy: true } },
      { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 1_000_000, Mode: 0o755 } },
      { Type: "volume", Target: "/anon", VolumeOptions: {} },
    ]);
  });

  const anonymous = { Type: "volume", Source: "/var/x", Mode: "", RW: true, Propagation: "" } as const;

  test("anonymous volumes of the container that is replaced go on", () => {
    const inherit = [
      { ...anonymous, Name: "a".repeat(64), Destination: "/image" },
      { ...anonymous, Name: "b".repeat(64), Destination: "/anon" },
      { ...anonymous, Name: "c".repeat(64), Destination: "/neither" },
    ];
    const body = bodyOf({ volumes: [{ type: "volume", target: "/anon" }] }, { inherit, imageVolumes: ["/image"] });
    expect(body.HostConfig?.Mounts).toEqual([
      { Type: "volume", Source: "a".repeat(64), Target: "/image" },
      { Type: "volume", Source: "b".repeat(64), Target: "/anon" },
    ]);
  });

  test("a volume the file mounts now takes the place of an anonymous one", () => {
    const inherit = [{ ...anonymous, Name: "a".repeat(64), Destination: "/data" }];
    const body = bodyOf(
      { volumes: [{ type: "volume", source: "data", target: "/data" }] },
      { inherit, imageVolumes: ["/data"] },
      { volumes },
    );
    expect(body.HostConfig).toMatchObject({ Binds: ["app_data:/data:rw"] });
    expect(body.HostConfig).not.toHaveProperty("Mounts");
  });
});

describe("secrets and configs", () => {
  const parts = {
    secrets: { key: { file: "/srv/key" }, token: { environment: "TOKEN" } },
    configs: { text: { content: "hello" }, empty: { content: "" } },
  };

  test("files are bound read-only, and never made", () => {
    expect(hostOf({ secrets: [{ source: "key" }] }, parts)?.Mounts).toEqual([
      { Type: "bind", Source: "/srv/key", Target: "/run/secrets/key", ReadOnly: true, BindOptions: {} },
    ]);
  });

  test("texts are put in before the start, with owner and mode", () => {
    const project = {
      ...aProject({
        services: {
          web: {
            configs: [{ source: "text", target: "/etc/t", uid: "7", mode: "0600" }, { source: "empty" }],
            secrets: [{ source: "token" }],
          },
        },
        ...parts,
      }),
      environment: { TOKEN: "s3cret" },
    };
    expect(injectedFiles(project, "web", project.services["web"] as Service)).toEqual([
      { path: "/run/secrets/token", content: "s3cret", mode: 0o444, uid: 0, gid: 0 },
      { path: "/etc/t", content: "hello", mode: 0o600, uid: 7, gid: 0 },
    ]);
  });

  test("a variable that is not set is named", () => {
    const project = aProject({ services: { web: { secrets: [{ source: "token" }] } }, ...parts });
    expect(() => injectedFiles(project, "web", project.services["web"] as Service)).toThrow(
      'environment variable "TOKEN" required by secret "token" is not set',
    );
  });

  test("a text cannot go into a read-only root", () => {
    const project = aProject({ services: { web: { read_only: true, configs: [{ source: "text" }] } }, ...parts });
    expect(() => injectedFiles(project, "web", project.services["web"] as Service)).toThrow("its root is read-only");
  });

  test("external ones are refused", () => {
    expect(() => bodyOf({ secrets: [{ source: "x" }] }, {}, { secrets: { x: { external: true } } })).toThrow(
      'secret x: "external" needs a swarm',
    );
  });
});

test("networks and volumes are labelled with their key and hash", () => {
  const project = aProject({
    services: {},
    networks: { back: { internal: true } },
    volumes: { data: { driver_opts: { a: "b" } } },
  });
  expect(networkCreateBody(project, "back", project.networks["back"] ?? { ipam: {} })).toMatchObject({
    Name: "app_back",
    Internal: true,
    Labels: { "com.docker.compose.network": "back", "com.docker.compose.project": "app" },
  });
  expect(volumeCreateBody(project, "data", project.volumes["data"] ?? {})).toMatchObject({
    Name: "app_data",
    DriverOpts: { a: "b" },
    Labels: { "com.docker.compose.volume": "data", "com.docker.compose.project": "app" },
  });
});

describe("what changed is told", () => {
  const inspect = (config: object, host: object = {}): ContainerInspect =>
    ({
      Id: fakeId("x"),
      Config: { Image: "busybox", Labels: {}, ...config },
      HostConfig: { NetworkMode: "app_default", ShmSize: 67_108_864, IpcMode: "private", ...host },
      Mounts: [],
      NetworkSettings: { Networks: { app_default: {} } },
    }) as unknown as ContainerInspect;
  const cause = (spec: Partial<Service>, observed: ContainerInspect): string => {
    const project = aProject({ services: { web: spec } });
    return describeDrift({
      project,
      service: "web",
      spec: project.services["web"] as Service,
      container: aContainer({ name: "app-web-1", service: "web", inspect: observed }),
      image: anImage("busybox", { inspect: { Config: { Env: ["PATH=/bin"], Cmd: ["sh"] } } as never }),
    });
  };

  test("a variable, with both values", () => {
    expect(
      cause({ environment: { LOG_LEVEL: "debug" } }, inspect({ Env: ["LOG_LEVEL=info", "PATH=/bin"], Cmd: ["sh"] })),
    ).toBe("environment.LOG_LEVEL: info -> debug");
  });

  test("a secret one, without them", () => {
    expect(cause({ environment: { DB_PASSWORD: "b" } }, inspect({ Env: ["DB_PASSWORD=a"], Cmd: ["sh"] }))).toBe(
      "environment.DB_PASSWORD changed",
    );
  });

  test("what was added and taken away", () => {
    expect(cause({ cap_add: ["NET_ADMIN"] }, inspect({ User: "1000", Cmd: ["sh"] }))).toBe(
      "cap_add: added [NET_ADMIN]; user: removed 1000",
    );
  });

  test("the image", () => {
    expect(cause({ image: "busybox" }, inspect({ Image: "alpine", Cmd: ["sh"] }))).toBe("image: alpine -> busybox");
  });

  test("no more than three things", () => {
    const spec = { environment: { A: "1", B: "1", C: "1", D: "1", E: "1" } };
    expect(cause(spec, inspect({ Cmd: ["sh"] }))).toBe(
      "environment.A: added 1; environment.B: added 1; environment.C: added 1 and 2 more",
    );
  });

  test("something, where nothing is found", () => {
    expect(cause({}, inspect({ Cmd: ["sh"] }))).toBe("configuration changed");
  });
});
