// Plants work and memory in a Node.js server without touching its files:
// NODE_OPTIONS="--require /path/to/plant.cjs".
//
//   MCPGATE_TEST_TOOL      calls of this tool use 3 ms more of CPU time
//   MCPGATE_TEST_SLOW      a factor on those 3 ms
//   MCPGATE_TEST_BLOAT_MB  megabytes that are kept, touched, from the start on
//
// Node.js passes NODE_OPTIONS on to every Node.js process, npm and npx among them: only the
// server itself is changed, told by the package that its entry file lies in.
"use strict";

const fs = require("node:fs");

const WORK_MICROSECONDS = 3000;

function isServer() {
  try {
    return /[\\/]@modelcontextprotocol[\\/]server-[^\\/]+[\\/]/.test(fs.realpathSync(process.argv[1]));
  } catch {
    return false;
  }
}

function cpuMicroseconds() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

// CPU time, not wall time: a busy machine makes the call longer but never the work less.
function work(microseconds) {
  const end = cpuMicroseconds() + microseconds;
  while (cpuMicroseconds() < end);
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
        work(WORK_MICROSECONDS * slow);
      }
      return message;
    };
  }
}

if (isServer()) plant();
