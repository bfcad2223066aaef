"""An HTTPS server on 127.0.0.1 for tests: makes its own certificate in FOLDER/cert.pem, prints its port,
answers every request with "secret" and ends with its standard input. Usage: tls_server.py FOLDER [h2]
With h2 it agrees to HTTP/2 only, prints what was agreed on, and hangs up."""

import os
import socket
import ssl
import subprocess
import sys
import threading


def serve(listener, context, h2):
    while True:
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as tls:
                if h2:
                    print(tls.selected_alpn_protocol(), flush=True)
                    continue
                while data := tls.recv(65536):
                    if b"\r\n\r\n" in data:
                        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
        except (ssl.SSLError, OSError):
            pass


folder = sys.argv[1]
certificate, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
     "-out", certificate, "-days", "2", "-subj", "/CN=dln test", "-addext", "subjectAltName=IP:127.0.0.1"],
    check=True, capture_output=True)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
context.set_alpn_protocols(["h2"] if "h2" in sys.argv else ["http/1.1"])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=serve, args=(listener, context, "h2" in sys.argv), daemon=True).start()
sys.stdin.read()
