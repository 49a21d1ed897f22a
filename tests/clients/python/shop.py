"""The book shop's story over gRPC, as a Python service would tell it.

Stubs are generated from the .proto files into STUBS. Prints one JSON object of what it saw.

    shop.py ADDRESS TOKEN_FILE PROTO_DIR STUBS
"""

import json
import os
import sys
from datetime import datetime, timezone

from grpc_tools import protoc

address, token_file, proto_dir, stubs = sys.argv[1:5]
os.makedirs(stubs, exist_ok=True)
files = ["wire", "session", "authorization"]
well_known = os.path.join(os.path.dirname(protoc.__file__), "_proto")
arguments = ["protoc", f"-I{proto_dir}", f"-I{well_known}", f"--python_out={stubs}", f"--grpc_python_out={stubs}"]
if protoc.main(arguments + [f"sidegate/v1/{name}.proto" for name in files]) != 0:
    sys.exit("the .proto files do not compile")
sys.path.insert(0, stubs)

import grpc  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from sidegate.v1 import (  # noqa: E402
    authorization_pb2,
    authorization_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    wire_pb2,
)

with open(token_file, encoding="ascii") as file:
    metadata = [("authorization", f"Bearer {file.read().strip()}")]
channel = grpc.insecure_channel(address)
authorization = authorization_pb2_grpc.AuthorizationServiceStub(channel)
sessions = session_pb2_grpc.SessionServiceStub(channel)
seen = {}


def authorize(method, target, cookie=None, **more):
    credentials = []
    if cookie:
        source = wire_pb2.CREDENTIAL_SOURCE_COOKIE
        credentials.append(wire_pb2.Credential(source=source, value=cookie.encode()))
    wire = wire_pb2.WireContext(
        kind=wire_pb2.WIRE_KIND_HTTP,
        authority="localhost",
        method=method,
        target=target,
        credentials=credentials,
        attributes=[wire_pb2.Attribute(name="sec-fetch-site", value=b"same-origin")],
        accepted_updates=[wire_pb2.WIRE_UPDATE_KIND_COOKIE],
    )
    request = authorization_pb2.AuthorizeRequest(wire=wire, data_complete=True, **more)
    return authorization.Authorize(request, metadata=metadata, timeout=5)


def outcome(response):
    return authorization_pb2.Outcome.Name(response.outcome)


login = authorize("POST", "/login")
sign_in = session_pb2.SignIn(
    subject=session_pb2.Principal(namespace="local", id="u1"),
    claims_json=json.dumps({"role": "user"}).encode(),
)
sign_in.auth_time.FromDatetime(datetime.now(timezone.utc))
changed = sessions.SetSession(
    session_pb2.SetSessionRequest(call=login.call, sign_in=sign_in), metadata=metadata, timeout=5
)
cookie = changed.updates[0].set_cookie.header_value.split(";")[0]
seen["signed_in"] = changed.session.subject.id

profile = authorize(
    "GET", "/me", cookie, session_view=authorization_pb2.SESSION_VIEW_FULL
)
seen["profile"] = outcome(profile)
seen["claims"] = json.loads(profile.session.claims_json)

refused = authorize("DELETE", "/books/b2", cookie)
seen["delete"] = outcome(refused)
seen["requirement"] = refused.reason.requirement
seen["checks"] = list(refused.reason.checks)

logout = authorize("POST", "/logout", cookie)
cleared = sessions.ClearSession(
    session_pb2.ClearSessionRequest(call=logout.call, scope=session_pb2.CLEAR_SCOPE_THIS),
    metadata=metadata,
    timeout=5,
)
seen["ended"] = cleared.ended_count
seen["after"] = outcome(authorize("GET", "/me", cookie))

try:
    sessions.GetSession(session_pb2.GetSessionRequest(call=b"forged"), metadata=metadata, timeout=5)
except grpc.RpcError as error:
    seen["error"] = error.code().name
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    for detail in status_pb2.Status.FromString(details).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            seen["error_reason"] = info.reason

print(json.dumps(seen))
