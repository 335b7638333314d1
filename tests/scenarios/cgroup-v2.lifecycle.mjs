// Runs in the guest of scripts/vm, beside cgroup-v2.job.sh: lifecycle, memory, pauses, exec and logs of containers, over the engine's
// socket, in one process, for every start of Node costs seconds there. Prints "ok   NAME" or "FAIL NAME: ...".
import { existsSync, readFileSync } from "node:fs";
import { request } from "node:http";

const socketPath = "/run/tscompose/docker.sock";

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? "" : JSON.stringify(body);
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) };
    const sent = request({ socketPath, method, path: `/v1.51${path}`, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const answer = Buffer.concat(chunks);
        if (response.statusCode > 299)
          reject(new Error(`${method} ${path}: ${response.statusCode} ${answer.toString()}`));
        else resolve(/json/.test(response.headers["content-type"] ?? "") ? parse(answer) : answer);
      });
    });
    sent.on("error", reject);
    sent.end(text);
  });
}
const parse = (answer) => (answer.length === 0 ? undefined : JSON.parse(answer.toString().trim().split("\n").at(-1)));

async function run(name, Cmd, HostConfig = {}) {
  const body = { Image: "busybox", Cmd, HostConfig: { NetworkMode: "none", ...HostConfig } };
  await call("POST", `/containers/create?name=${name}`, body);
  await call("POST", `/containers/${name}/start`);
}
const inspect = (name) => call("GET", `/containers/${name}/json`);
const wait = async (name) => (await call("POST", `/containers/${name}/wait`)).StatusCode;
const linesOf = async (name) =>
  (await call("GET", `/containers/${name}/logs?stdout=1`)).toString("latin1").split("\n").length - 1;
const nap = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
async function until(condition) {
  for (let i = 0; i < 300; i++) {
    if (await condition()) return true;
    await nap(100);
  }
  return false;
}
const groupOf = (pid) => `/sys/fs/cgroup${readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().slice(3)}`;

function check(name, expected, actual) {
  const [wanted, got] = [JSON.stringify(expected), JSON.stringify(actual)];
  console.log(wanted === got ? `ok   ${name}` : `FAIL ${name}: expected ${wanted}, got ${got}`);
}

const checks = {
  "out of memory": async () => {
    const begin = Math.floor(Date.now() / 1000);
    const memory = 16 * 1024 * 1024;
    await run("hog", ["tail", "/dev/zero"], { Memory: memory, MemorySwap: memory });
    check("the kernel ends who takes too much memory", 137, await wait("hog"));
    const { State } = await inspect("hog");
    check("and it is said to be out of memory", [true, "exited"], [State.OOMKilled, State.Status]);
    const query = `since=${begin}&until=${Math.ceil(Date.now() / 1000) + 1}&filters=${encodeURIComponent('{"container":["hog"],"event":["oom"]}')}`;
    check("as an event tells", "oom", (await call("GET", `/events?${query}`))?.Action);
  },
  pause: async () => {
    await run("counter", ["sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done"], { PidsLimit: 30 });
    await until(async () => (await linesOf("counter")) > 3);
    const { Pid } = (await inspect("counter")).State;
    await call("POST", "/containers/counter/pause");
    check("a paused container is frozen by the kernel", "frozen 1", frozenLine(Pid));
    const before = await linesOf("counter");
    await nap(500);
    check("and writes nothing", before, await linesOf("counter"));
    await call("POST", "/containers/counter/unpause");
    check("until it goes on", true, await until(async () => (await linesOf("counter")) > before));
    const stats = await call("GET", "/containers/counter/stats?stream=0&one-shot=1");
    check("statistics have the limit of processes", 30, stats.pids_stats.limit);
    check("and what is used", true, stats.memory_stats.usage > 0 && stats.cpu_stats.cpu_usage.total_usage > 0);
    const { Id } = await call("POST", "/containers/counter/exec", { Cmd: ["sh", "-c", "exit 4"] });
    await call("POST", `/exec/${Id}/start`, { Detach: true });
    check(
      "exec ends with its own code",
      true,
      await until(async () => (await call("GET", `/exec/${Id}/json`)).ExitCode === 4),
    );
    const group = groupOf(Pid);
    await call("POST", "/containers/counter/stop?t=0");
    check("nothing is left of its group", [137, false], [(await inspect("counter")).State.ExitCode, existsSync(group)]);
  },
  stop: async () => {
    await run("handling", ["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done"]);
    await run("deaf", ["sleep", "1000"]);
    await call("POST", "/containers/handling/stop");
    check("a program that handles the signal ends by itself", 5, (await inspect("handling")).State.ExitCode);
    await call("POST", "/containers/deaf/stop");
    const { StartedAt, FinishedAt, ExitCode } = (await inspect("deaf")).State;
    const seconds = (Date.parse(FinishedAt) - Date.parse(StartedAt)) / 1000;
    check("who cannot hear is not waited for", [137, true], [ExitCode, seconds < 9]);
  },
  restart: async () => {
    await run("failing", ["sh", "-c", "exit 3"], { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 } });
    check("a policy gives up after its retries", 3, await wait("failing"));
    check("having counted them", 2, (await inspect("failing")).RestartCount);
  },
  bomb: async () => {
    await run("bomb", ["sh", "-c", "f() { f & f & sleep 1000; }; f"], { PidsLimit: 25 });
    await until(async () => (await call("GET", "/containers/bomb/stats?stream=0&one-shot=1")).pids_stats.current >= 25);
    const { Pid } = (await inspect("bomb")).State;
    const group = groupOf(Pid);
    await call("POST", "/containers/bomb/kill");
    check("a fork bomb is killed whole", [137, false], [(await inspect("bomb")).State.ExitCode, existsSync(group)]);
  },
};

const frozenLine = (pid) =>
  readFileSync(`${groupOf(pid)}/cgroup.events`, "utf8")
    .split("\n")
    .find((line) => line.startsWith("frozen"));

for (const [name, part] of Object.entries(checks)) {
  try {
    await part();
  } catch (error) {
    console.log(`FAIL ${name}: ${error.message}`);
  }
}
for (const { Id } of await call("GET", "/containers/json?all=1&filters=%7B%22network%22%3A%5B%22none%22%5D%7D")) {
  await call("DELETE", `/containers/${Id}?force=1`);
}
