"""A proxy that breaks the network: broken_proxy.py UPSTREAM_PORT MODE_FILE CERTIFICATE KEY.

Prints its HTTP port and its HTTPS port. For each connection, MODE_FILE says what happens: pass, error, forbidden, portal,
redirect, truncated, closed or hang.
"""

import socket
import ssl
import sys
import threading

PORTAL = b"<html><body>Welcome to the hotel. Please log in.</body></html>"


def answer(status, body, *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


ANSWERS = {
    "error": answer("500 Internal Server Error", b'{"error":"INTERNAL"}', "Content-Type: application/json"),
    "forbidden": answer("403 Forbidden", b'{"valid":false,"error":"LICENSE_REVOKED"}', "Content-Type: application/json"),
    "portal": answer("200 OK", PORTAL, "Content-Type: text/html"),
    "redirect": answer("302 Found", b"", "Location: http://portal.example/login"),
    "truncated": b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"valid":tr',
    "closed": b"",
}


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(connection, upstream, mode_file):
    with connection:
        with open(mode_file) as file:
            mode = file.read().strip()
        if mode == "pass":
            with socket.create_connection(("127.0.0.1", upstream)) as server:
                threading.Thread(target=copy, args=(connection, server), daemon=True).start()
                copy(server, connection)
            return
        connection.recv(65536)
        if mode == "hang":
            # The client gives up first.
            connection.recv(65536)
            return
        connection.sendall(ANSWERS[mode])


def listen(upstream, mode_file, context):
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            connection, _ = listener.accept()
            try:
                if context:
                    connection = context.wrap_socket(connection, server_side=True)
            except OSError:
                # The client refuses the certificate.
                connection.close()
                continue
            threading.Thread(target=serve, args=(connection, upstream, mode_file), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def main():
    upstream, mode_file, certificate, key = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    ports = [listen(int(upstream), mode_file, tls) for tls in (None, context)]
    print(*ports, flush=True)
    threading.Event().wait()


main()
