// A server on the official TypeScript SDK 1.25.3 over HTTP: `ts1_server.cjs WAY PORT`.
//
// Without sessions: `shared` has one server and transport for all requests, `each` a pair for each of
// them. With sessions, each of which has a server of its own: `notes` keeps what a session remembers
// with the session, `file` keeps what all of them remember in one file (STORE), which it reads,
// changes and writes without a lock.

const { randomUUID } = require('node:crypto');
const { readFileSync, writeFileSync, appendFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { createRequire } = require('node:module');
const { join } = require('node:path');

// The packages lie where `cargo xtask setup` installs them, not beside this file.
const installed = createRequire(join(__dirname, '.installed/npm/package.json'));
const { Server } = installed('sdk-1-25/server/index.js');
const { StreamableHTTPServerTransport } = installed('sdk-1-25/server/streamableHttp.js');
const { CallToolRequestSchema, ListToolsRequestSchema } = installed('sdk-1-25/types.js');

const soon = () => new Promise((resolve) => setTimeout(resolve, 5));
const text = { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] };

const echo = {
  name: 'echo',
  description: 'Says the message back, after 5 ms.',
  annotations: { readOnlyHint: true },
  inputSchema: text,
};
const remember = { name: 'remember', description: 'Keeps a message.', inputSchema: text };
const recall = {
  name: 'recall',
  description: 'Answers every message kept.',
  annotations: { readOnlyHint: true },
  inputSchema: { type: 'object' },
};

// Of one session.
function notes() {
  const kept = [];
  return { add: async (message) => kept.push(message), all: () => kept };
}

// Of all sessions. A file that a write leaves half written is no JSON.
function file(path) {
  writeFileSync(path, '[]');
  const all = () => JSON.parse(readFileSync(path, 'utf8'));
  return {
    all,
    add: async (message) => {
      const written = JSON.stringify([...all(), message]);
      await soon();
      writeFileSync(path, written.slice(0, 1));
      await soon();
      appendFileSync(path, written.slice(1));
    },
  };
}

async function made(store, sessionIdGenerator) {
  const server = new Server(
    { name: 'ts1-test-server', version: '1.0.0' },
    { capabilities: { tools: {} } },
  );
  const tools = store ? [echo, remember, recall] : [echo];
  server.setRequestHandler(ListToolsRequestSchema, async () => ({ tools }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
    const said = (text) => ({ content: [{ type: 'text', text }] });
    try {
      switch (params.name) {
        case 'remember':
          await store.add(params.arguments.message);
          return said('kept');
        case 'recall':
          return said(store.all().join('\n'));
        default:
          await soon();
          return said(params.arguments.message);
      }
    } catch (error) {
      return { ...said(error.message), isError: true };
    }
  });
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator });
  await server.connect(transport);
  return transport;
}

const [way, port] = process.argv.slice(2);
const shared = way === 'shared' ? made() : undefined;
const sessions = new Map();
const stores = { notes, file: () => inFile };
const inFile = way === 'file' ? file(process.env.STORE) : undefined;

async function transportOf(request) {
  if (!(way in stores)) return shared ?? made();
  const known = sessions.get(request.headers['mcp-session-id']);
  if (known) return known;
  const id = randomUUID();
  const transport = await made(stores[way](), () => id);
  sessions.set(id, transport);
  transport.onclose = () => sessions.delete(id);
  return transport;
}

createServer(async (request, response) => {
  const transport = await transportOf(request);
  await transport.handleRequest(request, response);
}).listen(Number(port), '127.0.0.1');
