// Keeps a server in Node.js that would listen on every interface to the loopback:
// `node --require loopback.cjs SERVER`.
"use strict";

const net = require("node:net");

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (where, ...rest) {
  const port = typeof where === "object" && where !== null ? where.port : where;
  if (port === undefined) throw new Error("only listening on a port is foreseen here");
  const ready = rest.find((argument) => typeof argument === "function");
  return listen.call(this, { port: Number(port), host: "127.0.0.1" }, ready);
};
