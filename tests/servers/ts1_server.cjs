// A server on the official TypeScript SDK 1.25.3 over HTTP, without sessions:
// `ts1_server.cjs shared | each PORT`. `shared` has one server and transport for all requests, `each`
// a pair for each of them.

const { createServer } = require('node:http');
const { createRequire } = require('node:module');
const { join } = require('node:path');

// The packages lie where `cargo xtask setup` installs them, not beside this file.
const installed = createRequire(join(__dirname, '.installed/npm/package.json'));
const { Server } = installed('sdk-1-25/server/index.js');
const { StreamableHTTPServerTransport } = installed('sdk-1-25/server/streamableHttp.js');
const { CallToolRequestSchema, ListToolsRequestSchema } = installed('sdk-1-25/types.js');

const tool = {
  name: 'echo',
  description: 'Says the message back, after 5 ms.',
  annotations: { readOnlyHint: true },
  inputSchema: {
    type: 'object',
    properties: { message: { type: 'string' } },
    required: ['message'],
  },
};

async function made() {
  const server = new Server(
    { name: 'ts1-test-server', version: '1.0.0' },
    { capabilities: { tools: {} } },
  );
  server.setRequestHandler(ListToolsRequestSchema, async () => ({ tools: [tool] }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return { content: [{ type: 'text', text: params.arguments.message }] };
  });
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  await server.connect(transport);
  return transport;
}

const [way, port] = process.argv.slice(2);
const shared = way === 'shared' ? made() : undefined;
createServer(async (request, response) => {
  const transport = await (shared ?? made());
  await transport.handleRequest(request, response);
}).listen(Number(port), '127.0.0.1');
