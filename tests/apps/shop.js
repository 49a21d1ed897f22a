// The book shop as an app behind a proxy, with nothing but Node's own library: who calls is read
// from request headers, and the session is changed by response headers.
//
//     shop.js PORT
"use strict";

const http = require("node:http");

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
  const answer = (status, body, [name, value] = []) => {
    if (name) {
      response.setHeader(`Sidegate-Session-${name}`, value);
      response.setHeader("Sidegate-Call", request.headers["sidegate-call"] ?? "");
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
      return answer(200, { signed_in: user }, ["Set", ascii(signIn)]);
    }
    case "GET /me":
      return answer(200, { app: "node", subject, session: sessionOf(request) });
    case "PATCH /me/theme": {
      const theme = { theme: fields.theme ?? null };
      return answer(200, theme, ["Patch", ascii(theme)]);
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
