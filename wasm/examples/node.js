// Built by `wasm/examples/build node`.
const { tour } = require("./pkg/node/volt_wasm_examples.js");

tour().then((lines) => console.log(lines));
