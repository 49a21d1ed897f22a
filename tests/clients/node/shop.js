// The book shop's story over gRPC, as a Node service would tell it. Prints one JSON object of what
// it saw.
//
//     shop.js ADDRESS TOKEN_FILE PROTO_DIR
"use strict";

const fs = require("node:fs");
const { promisify } = require("node:util");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, tokenFile, protoDir] = process.argv.slice(2);
const definition = loader.loadSync(
  ["sidegate/v1/authorization.proto", "sidegate/v1/session.proto"],
  { includeDirs: [protoDir], enums: String, longs: Number, defaults: true, oneofs: true },
);
const { sidegate } = grpc.loadPackageDefinition(definition);
const metadata = new grpc.Metadata();
metadata.set("authorization", `Bearer ${fs.readFileSync(tokenFile, "ascii").trim()}`);

const insecure = grpc.credentials.createInsecure();
const authorization = new sidegate.v1.AuthorizationService(address, insecure);
const sessions = new sidegate.v1.SessionService(address, insecure);
const rpc = (client, method) => {
  const call = promisify(client[method].bind(client));
  return (request) => call(request, metadata);
};

const authorize = (method, target, cookie, more = {}) =>
  rpc(authorization, "Authorize")({
    wire: {
      kind: "WIRE_KIND_HTTP",
      authority: "localhost",
      method,
      target,
      credentials: cookie
        ? [{ source: "CREDENTIAL_SOURCE_COOKIE", value: Buffer.from(cookie) }]
        : [],
      attributes: [{ name: "sec-fetch-site", value: Buffer.from("same-origin") }],
      acceptedUpdates: ["WIRE_UPDATE_KIND_COOKIE"],
    },
    dataComplete: true,
    ...more,
  });

async function story() {
  const seen = {};
  const login = await authorize("POST", "/login");
  const changed = await rpc(sessions, "SetSession")({
    call: login.call,
    signIn: {
      subject: { namespace: "local", id: "u1" },
      claimsJson: Buffer.from(JSON.stringify({ role: "user" })),
      authTime: { seconds: Math.floor(Date.now() / 1000), nanos: 0 },
    },
  });
  const cookie = changed.updates[0].setCookie.headerValue.split(";")[0];
  seen.signed_in = changed.session.subject.id;

  const profile = await authorize("GET", "/me", cookie, { sessionView: "SESSION_VIEW_FULL" });
  seen.profile = profile.outcome;
  seen.claims = JSON.parse(profile.session.claimsJson.toString());

  const refused = await authorize("DELETE", "/books/b2", cookie);
  seen.delete = refused.outcome;
  seen.requirement = refused.reason.requirement;
  seen.checks = refused.reason.checks;

  const logout = await authorize("POST", "/logout", cookie);
  const cleared = await rpc(sessions, "ClearSession")({
    call: logout.call,
    scope: "CLEAR_SCOPE_THIS",
  });
  seen.ended = cleared.endedCount;
  seen.after = (await authorize("GET", "/me", cookie)).outcome;

  try {
    await rpc(sessions, "GetSession")({ call: Buffer.from("forged") });
  } catch (error) {
    seen.error = Object.keys(grpc.status).find((name) => grpc.status[name] === error.code);
    // The details hold an ErrorInfo, whose reason stands in it as plain text.
    const details = error.metadata.get("grpc-status-details-bin").map(String).join("");
    seen.error_reason = /CALL_INVALID/.exec(details)?.[0];
  }
  console.log(JSON.stringify(seen));
}

story().catch((error) => {
  console.error(error);
  process.exit(1);
});
