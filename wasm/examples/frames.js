// Opens the page in a headless Chromium, and checks that it keeps its frame rate while its tasks
// run. Built by `wasm/examples/build browser`; run by `ci/wasm`.
//
//   node wasm/examples/frames.js CHROMIUM [SCREENSHOT]
const { spawn } = require("child_process");
const fs = require("fs");
const http = require("http");
const os = require("os");
const path = require("path");

const [chromium, screenshot] = process.argv.slice(2);
if (!chromium) {
  console.error("usage: node wasm/examples/frames.js CHROMIUM [SCREENSHOT]");
  process.exit(2);
}

// Sixty frames in a second, and room for a machine that does other things besides.
const MEDIAN = 20; // milliseconds
const P95 = 50;

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const profile = fs.mkdtempSync(path.join(os.tmpdir(), "volt-frames-"));
let browser;

let hasEnded = false;

async function end(error) {
  if (hasEnded) return;
  hasEnded = true;
  if (error) {
    console.error(`frames: FAILED, ${error}`);
  }
  if (browser?.exitCode === null && browser.pid) {
    // In good order: its processes write to the profile until they have ended.
    const exit = new Promise((resolve) => browser.once("exit", resolve));
    ask("Browser.close");
    await Promise.race([exit, new Promise((resolve) => setTimeout(resolve, 5_000))]);
    browser.kill("SIGKILL");
  }
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  process.exit(error ? 1 : 0);
}

function judge(figures) {
  const { tasks, frames, median, p95, worst, movesPerSecond } = figures;
  console.log(
    `frames: ${tasks} tasks, ${movesPerSecond} steps a second; ${frames} frames, median ` +
      `${median.toFixed(1)} ms, 95 % within ${p95.toFixed(1)} ms, worst ${worst.toFixed(1)} ms`,
  );
  if (frames < 50) return "there are too few frames";
  if (movesPerSecond < tasks) return "the tasks do not run";
  if (median > MEDIAN) return `the median is above ${MEDIAN} ms`;
  if (p95 > P95) return `one frame in twenty takes more than ${P95} ms`;
  return null;
}

let commands = 0;
const answers = new Map();

/** Asks the browser, by the protocol of its developer tools. */
function ask(method, params, sessionId) {
  const id = ++commands;
  browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
  return new Promise((resolve) => answers.set(id, resolve));
}

function listen() {
  let text = "";
  browser.stdio[4].on("data", (part) => {
    const messages = (text + part).split("\0");
    text = messages.pop();
    for (const { id, result } of messages.map((message) => JSON.parse(message))) {
      answers.get(id)?.(result);
    }
  });
}

/** Saves what the page looks like. */
async function save() {
  const { targetInfos } = await ask("Target.getTargets");
  const { targetId } = targetInfos.find(({ type }) => type === "page");
  const { sessionId } = await ask("Target.attachToTarget", { targetId, flatten: true });
  const { data } = await ask("Page.captureScreenshot", { format: "png" }, sessionId);
  fs.writeFileSync(screenshot, Buffer.from(data, "base64"));
}

const server = http.createServer((request, response) => {
  if (request.method === "POST") {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      response.end();
      const verdict = judge(JSON.parse(body));
      const saved = screenshot ? save() : Promise.resolve();
      saved.then(() => end(verdict), (error) => end(error.message));
    });
    return;
  }
  const name = request.url === "/" ? "/index.html" : path.normalize(request.url);
  fs.readFile(path.join(__dirname, name), (error, bytes) => {
    response.writeHead(error ? 404 : 200, { "Content-Type": TYPES[path.extname(name)] ?? "" });
    response.end(error ? "" : bytes);
  });
});

server.listen(0, "127.0.0.1", () => {
  // No sandbox: it cannot be had as root in a container.
  const flags = [
    "--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${profile}`,
    "--window-size=900,800", "--remote-debugging-pipe",
  ];
  const url = `http://127.0.0.1:${server.address().port}/`;
  const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"];
  browser = spawn(chromium, [...flags, url], { stdio });
  browser.on("error", (error) => end(error.message));
  browser.on("exit", (code) => end(`Chromium ended with ${code}, and told no frames`));
  listen();
  setTimeout(() => end("Chromium takes more than a minute"), 60_000);
});
