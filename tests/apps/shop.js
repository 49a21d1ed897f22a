// The book shop as an app behind a proxy, with nothing but Node's own library: who calls is read
// from request headers, and the session is changed by response headers; or, where the proxy shows
// nobody its responses, by the session API that a file names: {"url": .., "token": ..}.
//
//     shop.js PORT [FILE]
"use strict";

const fs = require("node:fs");
const http = require("node:http");

const api = process.argv[3] && JSON.parse(fs.readFileSync(process.argv[3], "utf8"));

// The session; null when anonymous. An absent header says the same as an empty one.
const sessionOf = (request) => {
  const encoded = request.headers["sidegate-session"];
  return encoded ? JSON.parse(Buffer.from(encoded, "base64url").toString()) : null;
};

// Headers are ASCII: other characters of the JSON are written as escapes.
const ascii = (value) =>
  JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0"),
  );

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64");

// Changes the session at once; gives the cookies for the answer.
const write = async (call, kind, value) => {
  const body = { call: Buffer.from(call, "base64url").toString("base64") };
  if (kind === "Set") {
    const [namespace, id] = value.subject.split(/\/(.*)/s);
    const authTime = new Date().toISOString();
    body.signIn = { subject: { namespace, id }, claimsJson: encoded(value.claims), authTime };
  } else if (kind === "Patch") {
    body.patch = { setJson: encoded(value) };
  } else {
    body.scope = `CLEAR_SCOPE_${value.toUpperCase()}`;
  }
  const verb = kind === "Clear" ? "ClearSession" : "SetSession";
  const response = await fetch(`${api.url}/sidegate.v1.SessionService/${verb}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${api.token}` },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
  const { updates = [] } = await response.json();
  return updates.flatMap(Object.values).flatMap((update) => update.headerValue ?? []);
};

const fieldsOf = async (request) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const body = Buffer.concat(pieces).toString();
  if (!(request.headers["content-type"] ?? "").startsWith("application/json")) {
    return Object.fromEntries(new URLSearchParams(body));
  }
  try {
    return JSON.parse(body) ?? {};
  } catch {
    return {};
  }
};

const shop = async (request, response) => {
  const fields = await fieldsOf(request);
  const subject = request.headers["sidegate-subject"] ?? "";
  const call = request.headers["sidegate-call"] ?? "";
  const answer = async (status, body, [kind, value] = []) => {
    if (kind && api) {
      response.setHeader("Set-Cookie", await write(call, kind, value));
    } else if (kind) {
      const text = typeof value === "string" ? value : ascii(value);
      response.setHeader(`Sidegate-Session-${kind}`, text);
      response.setHeader("Sidegate-Call", call);
    }
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(body));
  };
  const path = request.url.split("?")[0];
  const book = /^\/books\/([^/]+)$/.exec(path);
  switch (`${request.method} ${book ? "/books/" : path}`) {
    case "POST /login": {
      const { user } = fields;
      if (typeof user !== "string" || user === "") {
        return answer(400, { error: "who is it?" });
      }
      const role = user === "admin" ? "admin" : "user";
      const signIn = { subject: `local/${user}`, claims: { role } };
      return answer(200, { signed_in: user }, ["Set", signIn]);
    }
    case "GET /me":
      return answer(200, { app: "node", subject, session: sessionOf(request) });
    case "PATCH /me/theme": {
      const theme = { theme: fields.theme ?? null };
      return answer(200, theme, ["Patch", theme]);
    }
    case "POST /logout":
      return answer(200, { signed_out: subject }, ["Clear", "this"]);
    case "DELETE /books/":
      return answer(200, { deleted: book[1], by: subject });
    default:
      return answer(404, { error: "no such page" });
  }
};

const server = http.createServer(shop);
server.listen(Number(process.argv[2]), "127.0.0.1", () => {
  console.log(`ready http://127.0.0.1:${server.address().port}`);
});
