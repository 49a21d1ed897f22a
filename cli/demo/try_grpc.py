# The book shop over gRPC, with messages learnt by reflection.
# Needs: pip install grpcio grpcio-reflection
import json
import time

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

token = open("{dir}/shop.token").read().strip()
channel = grpc.insecure_channel("{grpc}")
pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))


def ask(service, method, request):
    found = pool.FindServiceByName(f"sidegate.v1.{service}").FindMethodByName(method)
    call = channel.unary_unary(
        f"/sidegate.v1.{service}/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(found.output_type).FromString,
    )
    message = ParseDict(request, GetMessageClass(found.input_type)())
    return MessageToDict(call(message, metadata=[("authorization", f"Bearer {token}")], timeout=5))


def base64(text):
    import base64
    return base64.b64encode(text.encode()).decode()


def authorize(line, credential=None):
    method, target = line.split(" ")
    wire = {"kind": "WIRE_KIND_HTTP", "authority": "localhost", "method": method, "target": target,
            "acceptedUpdates": ["WIRE_UPDATE_KIND_TOKEN"]}
    if credential:
        wire["credentials"] = [{"source": "CREDENTIAL_SOURCE_AUTHORIZATION", "value": base64(f"Bearer {credential}")}]
    return ask("AuthorizationService", "Authorize", {"wire": wire})


login = authorize("POST /login")
signed_in = ask("SessionService", "SetSession", {"call": login["call"], "signIn": {
    "subject": {"namespace": "local", "id": "rita"},
    "claimsJson": base64(json.dumps({"role": "reader"})),
    "authTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
}})
credential = signed_in["updates"][0]["issueToken"]["token"]
for line in ["DELETE /books/b1", "DELETE /books/b2"]:
    answer = authorize(line, credential)
    print(line, answer["decision"], answer["reason"])
