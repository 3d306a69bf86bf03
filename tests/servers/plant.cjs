// Plants a wait and memory in a Node.js server without touching its files:
// NODE_OPTIONS="--require /path/to/plant.cjs".
//
//   MCPGATE_TEST_TOOL      calls of this tool wait 5 ms more
//   MCPGATE_TEST_SLOW      a factor on those 5 ms
//   MCPGATE_TEST_BLOAT_MB  megabytes that are kept, touched, from the start on
//
// Node.js passes NODE_OPTIONS on to every Node.js process, npm and npx among them: only the
// server itself is changed, told by the package that its entry file lies in.
"use strict";

const fs = require("node:fs");

const WAIT_MS = 5;
const neverNotified = new Int32Array(new SharedArrayBuffer(4));

function isServer() {
  try {
    return /[\\/]@modelcontextprotocol[\\/]server-[^\\/]+[\\/]/.test(fs.realpathSync(process.argv[1]));
  } catch {
    return false;
  }
}

// A wait, as for a database, and no work: how fast a machine works changes from one second to the
// next, how long it waits hardly does, and what was planted has to be beyond doubt.
function wait(milliseconds) {
  Atomics.wait(neverNotified, 0, 0, milliseconds);
}

function plant() {
  const tool = process.env.MCPGATE_TEST_TOOL;
  const slow = Number(process.env.MCPGATE_TEST_SLOW ?? 1);
  const bloat = Number(process.env.MCPGATE_TEST_BLOAT_MB ?? 0);

  if (bloat > 0) {
    globalThis[Symbol("mcpgate-test-bloat")] = Buffer.alloc(bloat * 1_000_000, 1);
  }

  // Each message, over stdio and HTTP alike, is parsed exactly once before it is handled.
  if (tool) {
    const parse = JSON.parse;
    JSON.parse = function (text, reviver) {
      const message = parse(text, reviver);
      if (message?.method === "tools/call" && message.params?.name === tool) {
        wait(WAIT_MS * slow);
      }
      return message;
    };
  }
}

if (isServer()) plant();
