# The book shop as an app behind a proxy, with nothing but Python's own library: who calls is read
# from request headers, and the session is changed by response headers; or, where the proxy shows
# nobody its responses, by the session API that a file names: {"url": .., "token": ..}.
#
#     shop.py PORT [FILE]
import base64
import datetime
import json
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

API = json.load(open(sys.argv[2])) if len(sys.argv) > 2 else None


def encoded(value):
    return base64.b64encode(json.dumps(value).encode()).decode()


def write(call, kind, value):
    """Changes the session at once; gives the cookies for the answer."""
    body = {"call": call.replace("-", "+").replace("_", "/") + "=" * (-len(call) % 4)}
    verb = "ClearSession" if kind == "Clear" else "SetSession"
    if kind == "Set":
        namespace, name = value["subject"].split("/", 1)
        body["signIn"] = {
            "subject": {"namespace": namespace, "id": name},
            "claimsJson": encoded(value["claims"]),
            "authTime": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        }
    elif kind == "Patch":
        body["patch"] = {"setJson": encoded(value)}
    else:
        body["scope"] = "CLEAR_SCOPE_" + value.upper()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + API["token"]}
    url = API["url"] + "/sidegate.v1.SessionService/" + verb
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:
        updates = json.load(response).get("updates", [])
    return [update["headerValue"] for one in updates for update in one.values() if "headerValue" in update]


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

    def changes(self, kind, value):
        """The headers of an answer that changes the session."""
        call = self.headers.get("Sidegate-Call", "")
        if API:
            return [("Set-Cookie", cookie) for cookie in write(call, kind, value)]
        text = value if isinstance(value, str) else json.dumps(value)
        return [("Sidegate-Session-" + kind, text), ("Sidegate-Call", call)]

    def answer(self, status, fields, change=None):
        body = json.dumps(fields).encode()
        headers = self.changes(*change) if change else []
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
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
                self.answer(200, {"signed_in": user}, ("Set", sign_in))
            case "GET", ["me"]:
                self.answer(200, {"app": "python", "subject": subject, "session": self.session()})
            case "PATCH", ["me", "theme"]:
                theme = {"theme": fields.get("theme")}
                self.answer(200, theme, ("Patch", theme))
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
