// Prints nanoseconds a task, medians over turns in which every contender has one, and what of
// wasm-bindgen-futures' time Volt takes. Built and run by `ci/wasm --bench`.
//
//   node wasm/benches/run.js [--quick]
const { Contenders } = require("./pkg/volt_wasm_benches.js");

const quick = process.argv.includes("--quick");
const TURNS = quick ? 3 : 15;
const NAMES = [
  "volt_host", "wasm_bindgen_futures", "volt", "volt_joined", "async_executor", "futures", "tokio",
];

function median(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

async function row(title, tasks, yields) {
  const contenders = new Contenders();
  const samples = Object.fromEntries(NAMES.map((name) => [name, []]));
  // The first two turns are for V8's compilers.
  for (let turn = -2; turn < TURNS; turn++) {
    for (const name of NAMES) {
      const began = performance.now();
      await contenders[name](tasks, yields);
      const took = performance.now() - began;
      if (turn >= 0) {
        samples[name].push((took * 1e6) / tasks);
      }
    }
  }
  const medians = NAMES.map((name) => median(samples[name]));
  const ratio = medians[0] / medians[1];
  const best = Math.min(...medians.filter((_, at) => !NAMES[at].startsWith("volt")));
  console.log([
    title.padEnd(14),
    ...medians.map((ns, at) => ns.toFixed(1).padStart(NAMES[at].length)),
    ratio.toFixed(2).padStart(10),
    (medians[2] / best).toFixed(2).padStart(10),
  ].join("  "));
  contenders.free();
}

(async () => {
  console.log(`node ${process.version}, ${require("os").cpus()[0].model}; ns a task`);
  console.log(["row".padEnd(14), ...NAMES, "host:peer", "volt:best"].join("  "));
  for (const tasks of quick ? [1_000, 100_000] : [1_000, 10_000, 100_000, 1_000_000]) {
    await row(`ready_${tasks}`, tasks, false);
  }
  const tasks = quick ? 100_000 : 1_000_000;
  await row(`yield_${tasks}`, tasks, true);
})();
