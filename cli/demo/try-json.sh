#!/bin/sh
# The book shop by the API, as JSON over HTTP: what an app does that asks Sidegate itself.
# Signs in, sees an allow and a deny, is revoked and refused. The caller's token is read from
# {dir}/shop.curl and stands in no argument.
ask() { printf '%s' "$2" | curl -sS -K '{dir}/shop.curl' "{http}/sidegate.v1.$1" --data-binary @-; echo; }
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

# 1. Rita signs in: the shop asks about POST /login, checks her password itself, and sets the session.
call=$(ask AuthorizationService/Authorize '{"wire": {"kind": "WIRE_KIND_HTTP", "authority": "localhost",
  "method": "POST", "target": "/login", "acceptedUpdates": ["WIRE_UPDATE_KIND_TOKEN"]}}' | field call)
token=$(ask SessionService/SetSession '{"call": "'"$call"'", "signIn": {
  "subject": {"namespace": "local", "id": "rita"}, "authTime": "'"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'",
  "claims": {"role": "reader"}}}' | field token)

# 2. May Rita do this? The end user's credential goes along as the shop received it.
may() {
  ask AuthorizationService/Authorize '{"wire": {"kind": "WIRE_KIND_HTTP", "authority": "localhost",
    "method": "'"${1%% *}"'", "target": "'"${1#* }"'", "credentials": [{"source": "CREDENTIAL_SOURCE_AUTHORIZATION",
    "text": "Bearer '"$token"'"}]}}' | sed 's/"call": *"[^"]*"/"call":"..."/'
}
echo "# she reviews b1, so she may delete it:"
may "DELETE /books/b1"
echo "# b2 is not hers, and the reason says what was missing:"
may "DELETE /books/b2"

echo "# 3. An operator logs her out everywhere, and the next call is refused:"
{sidegate} session revoke --subject rita --reason "lost her key" --addr '{admin}'
may "DELETE /books/b1"
