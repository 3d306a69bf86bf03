"""A server that shakes hands as it should, and answers calls as no server may.

    hostile.py stdio HOW        over its pipes
    hostile.py http HOW PORT    over streamable HTTP, on 127.0.0.1

HOW names a function below, without `stdio_` or `http_`. Standard library only.
"""

import gzip
import json
import os
import socket
import sys
import threading
import time

CHUNK = b"x" * (1 << 20)
TOOL = {"name": "echo", "inputSchema": {"type": "object", "properties": {}}}
DEEP = b"[" * 200_000


def result(method, request):
    """The result of a request that is no call; None for one that has none."""
    if method == "initialize":
        return {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "hostile", "version": "1"},
        }
    if method == "tools/list":
        if HOW == "endless_pages":
            cursor = request.get("params", {}).get("cursor", "0")
            return {"tools": [], "nextCursor": str(int(cursor) + 1)}
        return {"tools": [TOOL]}
    return None


def reply(request, text="here"):
    answer = {"content": [{"type": "text", "text": text}]}
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": answer}).encode()


# ---------------------------------------------------------------------------------- over its pipes


def write(data):
    """All of it, as long as somebody reads."""
    while data:
        data = data[os.write(1, data) :]


def stdio_endless_line(request):
    write(b'{"jsonrpc":"2.0","result":"')
    while True:
        write(CHUNK)


def stdio_endless_notifications(request):
    line = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x" * 1000}})
    lines = (line + "\n").encode() * 100
    while True:
        write(lines)


def stdio_endless_requests(request):
    lines = b"".join(
        b'{"jsonrpc":"2.0","id":"p%d","method":"ping"}\n' % number for number in range(1000)
    )
    while True:
        write(lines)


def stdio_blank_lines(request):
    while True:
        write(b"\n" * (1 << 16))


def stdio_invalid_utf8(request):
    write(reply(request).replace(b"here", b"\xff\xfe\xc3") + b"\n")


def stdio_deep(request):
    write(b'{"jsonrpc":"2.0","id":%d,"result":' % request["id"] + DEEP + b"\n")


def stdio_nul_bytes(request):
    write(b"\0" * 100 + b"\n")


def stdio_closed_output(request):
    os.close(1)
    threading.Event().wait()


def stdio_late(request):
    """After the time-out, and in a thread, so that the next call is read meanwhile."""
    threading.Timer(1.2, lambda: write(reply(request) + b"\n")).start()


def stdio_twice(request):
    write((reply(request) + b"\n") * 2)


def stdio_stderr_flood(request):
    flood = CHUNK * 13
    while flood:
        flood = flood[os.write(2, flood) :]
    write(reply(request) + b"\n")


def stdio_long_names(request):
    write(
        b'{"jsonrpc":"2.0","id":%d,"error":{"code":1,"message":"%s"}}\n'
        % (request["id"], CHUNK[:200_000])
    )


def serve_pipes():
    answer = globals()["stdio_" + HOW]
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if "id" not in request:
            continue
        if request.get("method") == "tools/call":
            answer(request)
            continue
        found = result(request.get("method"), request)
        body = {"jsonrpc": "2.0", "id": request["id"]}
        if found is None:
            body["error"] = {"code": -32601, "message": "no such method"}
        else:
            body["result"] = found
        write(json.dumps(body).encode() + b"\n")


# ---------------------------------------------------------------------------------------- over HTTP

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def whole(body, head=JSON):
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def http_endless_headers(connection, request):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    number = 0
    while True:
        number += 1
        connection.sendall(b"X-%d: %s\r\n" % (number, b"y" * 1000))


def http_endless_header(connection, request):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    while True:
        connection.sendall(CHUNK)


def http_endless_continue(connection, request):
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def http_endless_events(connection, request):
    event = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n'
    connection.sendall(EVENTS)
    while True:
        connection.sendall(chunk(event * 1000))


def http_endless_event(connection, request):
    connection.sendall(EVENTS + chunk(b"data: "))
    while True:
        connection.sendall(chunk(CHUNK))


def http_endless_comments(connection, request):
    connection.sendall(EVENTS)
    while True:
        connection.sendall(chunk(b": still here\n" * 1000))


def http_endless_requests(connection, request):
    event = b'data: {"jsonrpc":"2.0","id":"p","method":"ping"}\n\n'
    connection.sendall(EVENTS)
    while True:
        connection.sendall(chunk(event * 100))


def http_endless_resumption(connection, request):
    """Every stream ends at once and asks to be resumed."""
    connection.sendall(EVENTS + chunk(b"id: 1\nretry: 0\ndata:\n\n") + b"0\r\n\r\n")


def http_idle_events(connection, request):
    connection.sendall(EVENTS + chunk(b"id: 1\ndata:\n\n"))
    threading.Event().wait()


def http_announced(connection, request):
    connection.sendall(JSON + b"Content-Length: 10000000000\r\n\r\n")
    while True:
        connection.sendall(CHUNK)


def http_announced_and_silent(connection, request):
    connection.sendall(JSON + b"Content-Length: 10000000000\r\n\r\n{")
    threading.Event().wait()


def http_drops(connection, request):
    connection.sendall(JSON + b"Content-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


def http_bomb(connection, request):
    if b"accept-encoding" in request["head"].lower():
        raise SystemExit("a compression was asked for")
    connection.sendall(whole(BOMB, JSON + b"Content-Encoding: gzip\r\n"))


def http_invalid_utf8(connection, request):
    connection.sendall(whole(reply(request).replace(b"here", b"\xff\xfe\xc3")))


def http_deep(connection, request):
    connection.sendall(whole(b'{"jsonrpc":"2.0","id":%d,"result":' % request["id"] + DEEP))


def http_redirect_loop(connection, request):
    connection.sendall(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /mcp\r\nContent-Length: 0\r\n\r\n")


def http_redirect_away(connection, request):
    connection.sendall(
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.test/\r\nContent-Length: 0\r\n\r\n"
    )


def http_two_lengths(connection, request):
    connection.sendall(JSON + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n{}")


def http_no_http(connection, request):
    connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46 SSH-2.0-nothing\r\n\r\n")


def http_bad_chunks(connection, request):
    connection.sendall(EVENTS + b"ffffffffffffffffff\r\nx")


def http_endless_error(connection, request):
    connection.sendall(b"HTTP/1.1 500 Oh\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        connection.sendall(CHUNK)


def http_endless_pages(connection, request):
    connection.sendall(whole(reply(request)))


def http_twice(connection, request):
    event = b"data: " + reply(request) + b"\n\n"
    connection.sendall(EVENTS + chunk(event + event) + b"0\r\n\r\n")


def read_request(connection, held):
    while b"\r\n\r\n" not in held:
        data = connection.recv(1 << 16)
        if not data:
            return None, b""
        held += data
    head, held = held.split(b"\r\n\r\n", 1)
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, value = line.split(b":", 1)
        if name.lower() == b"content-length":
            length = int(value)
    while len(held) < length:
        held += connection.recv(1 << 16)
    body, held = held[:length], held[length:]
    request = json.loads(body) if body else {}
    request["head"] = head
    return request, held


def serve_connection(connection, answer):
    held = b""
    try:
        while True:
            request, held = read_request(connection, held)
            if request is None:
                return
            method = request.get("method")
            is_stream = request["head"].startswith(b"GET") and HOW == "endless_resumption"
            if method == "tools/call" or is_stream:
                answer(connection, request)
                continue
            if "id" not in request:
                connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                continue
            found = result(method, request)
            if found is None:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                continue
            body = {"jsonrpc": "2.0", "id": request["id"], "result": found}
            connection.sendall(whole(json.dumps(body).encode()))
    except OSError:
        pass
    finally:
        connection.close()


def serve_http(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    if HOW == "full_queue":
        # Connections that nobody takes, until the system answers no further one.
        listener.listen(0)
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            waiting.append(one)
        threading.Event().wait()
    listener.listen(100)
    answer = globals()["http_" + HOW]
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_connection, args=(connection, answer), daemon=True).start()


TRANSPORT, HOW, *REST = sys.argv[1:]
# Packed once: it takes its time.
BOMB = gzip.compress(b" " * (30 << 20)) if HOW == "bomb" else b""
if TRANSPORT == "stdio":
    serve_pipes()
else:
    serve_http(int(REST[0]))
