// A server on the official TypeScript SDK 2.x (both protocol eras): `ts2_server.cjs stdio | http PORT`.

const { createServer } = require('node:http');
const { createRequire } = require('node:module');
const { join } = require('node:path');

// The packages lie where `cargo xtask setup` installs them, not beside this file.
const installed = createRequire(join(__dirname, '.installed/npm/package.json'));
const { toNodeHandler } = installed('@modelcontextprotocol/node');
const { createMcpHandler, fromJsonSchema, McpServer } = installed('@modelcontextprotocol/server');
const { serveStdio } = installed('@modelcontextprotocol/server/stdio');

const inputSchema = fromJsonSchema({
  type: 'object',
  properties: { message: { type: 'string' } },
  required: ['message'],
});

function made() {
  const server = new McpServer({ name: 'ts2-test-server', version: '1.0.0' });
  server.registerTool(
    'echo',
    { description: 'Says the message back.', annotations: { readOnlyHint: true }, inputSchema },
    async ({ message }) => ({ content: [{ type: 'text', text: message }] }),
  );
  return server;
}

const [transport, port] = process.argv.slice(2);
if (transport === 'stdio') {
  serveStdio(made);
} else {
  createServer(toNodeHandler(createMcpHandler(made))).listen(Number(port), '127.0.0.1');
}
