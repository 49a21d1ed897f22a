# The book shop as an app behind a proxy, with nothing but Python's own library: who calls is read
# from request headers, and the session is changed by response headers.
#
#     shop.py PORT
import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def session(self):
        """The session; None when anonymous. An absent header says the same as an empty one."""
        encoded = self.headers.get("Sidegate-Session", "")
        padded = encoded + "=" * (-len(encoded) % 4)
        return json.loads(base64.urlsafe_b64decode(padded)) if encoded else None

    def read(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get_content_type() == "application/json":
            try:
                fields = json.loads(body)
            except ValueError:
                return {}
            return fields if isinstance(fields, dict) else {}
        return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}

    def answer(self, status, fields, change=None):
        body = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if change:
            name, value = change
            self.send_header("Sidegate-Session-" + name, value)
            self.send_header("Sidegate-Call", self.headers.get("Sidegate-Call", ""))
        self.end_headers()
        self.wfile.write(body)

    def act(self):
        fields = self.read()
        subject = self.headers.get("Sidegate-Subject", "")
        path = self.path.split("?")[0]
        match self.command, path.split("/")[1:]:
            case "POST", ["login"]:
                user = fields.get("user")
                if not isinstance(user, str) or not user:
                    return self.answer(400, {"error": "who is it?"})
                role = "admin" if user == "admin" else "user"
                sign_in = {"subject": "local/" + user, "claims": {"role": role}}
                self.answer(200, {"signed_in": user}, ("Set", json.dumps(sign_in)))
            case "GET", ["me"]:
                self.answer(200, {"app": "python", "subject": subject, "session": self.session()})
            case "PATCH", ["me", "theme"]:
                theme = {"theme": fields.get("theme")}
                self.answer(200, theme, ("Patch", json.dumps(theme)))
            case "POST", ["logout"]:
                self.answer(200, {"signed_out": subject}, ("Clear", "this"))
            case "DELETE", ["books", book]:
                self.answer(200, {"deleted": book, "by": subject})
            case _:
                self.answer(404, {"error": "no such page"})

    do_GET = do_POST = do_PATCH = do_DELETE = act

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop)
print(f"ready http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
