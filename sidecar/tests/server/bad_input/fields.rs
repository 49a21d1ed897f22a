//! Fields that make no sense, one a row: method, place, value, and what is said about it.
//!
//! A value is JSON (without spaces outside of lists), or `text*N` for N letters, or `list*N` for N
//! words. Null takes the field away.

use serde_json::Value;

/// A field that makes no sense.
pub(super) struct Row {
    /// The method, as `Authorize`.
    pub(super) method: &'static str,
    /// The place in a body that is otherwise right.
    pub(super) place: &'static str,
    /// What stands there.
    pub(super) value: Value,
    /// How the message begins.
    pub(super) says: &'static str,
}

impl Row {
    /// The field that is at fault.
    pub(super) fn field(&self) -> &'static str {
        self.says.split('`').nth(1).unwrap()
    }
}

/// All rows.
pub(super) fn rows() -> impl Iterator<Item = Row> {
    ROWS.trim().lines().map(row)
}

fn row(line: &'static str) -> Row {
    let (method, rest) = line.split_once(' ').unwrap();
    let (place, rest) = rest.trim_start().split_once(' ').unwrap();
    let (value, says) = rest.split_once(" `").unwrap();
    Row {
        method,
        place,
        value: value_of(value.trim()),
        says: &rest[rest.len() - says.len() - 1..],
    }
}

fn value_of(text: &str) -> Value {
    match text.split_once('*') {
        Some(("text", count)) => "x".repeat(count.parse().unwrap()).into(),
        Some(("list", count)) => vec!["x"; count.parse().unwrap()].into(),
        _ => serde_json::from_str(text).unwrap(),
    }
}

const ROWS: &str = r#"
Authorize          /wire                   null                 `wire`: is required
Authorize          /wire/kind              0                    `wire.kind`: is required
Authorize          /wire/kind              99                   `wire.kind`: `99` is no value
Authorize          /wire/kind              9                    `wire.custom_kind`: is no name
Authorize          /wire/customKind        "x"                  `wire.custom_kind`: must be empty
Authorize          /wire/authority         text*256             `wire.authority`: takes 256 bytes
Authorize          /wire/method            text*256             `wire.method`: takes 256 bytes
Authorize          /wire/target            text*8193            `wire.target`: takes 8193 bytes
Authorize          /wire/credentials/0     {"source":0}         `wire.credentials[0].source`: is required
Authorize          /wire/credentials/0     {"source":9}         `wire.credentials[0].source`: `9` is no
Authorize          /wire/credentials/0     {"source":1,"name":"x"} `wire.credentials[0].name`: must be empty
Authorize          /wire/credentials/0     {"source":3}         `wire.credentials[0].name`: is required
Authorize          /wire/credentials/0     {"source":3,"name":"A"} `wire.credentials[0].name`: must be lower
Authorize          /wire/credentials/16    {"source":1}         `wire.credentials`: has 17 entries
Authorize          /wire/attributes/32     {"name":"a"}         `wire.attributes`: has 33 entries
Authorize          /wire/attributes/0      {"name":"A"}         `wire.attributes[0].name`: must be lower
Authorize          /wire/peer/certificateSha256 "AAAA"          `wire.peer.certificate_sha256`: is no SHA-256
Authorize          /wire/connectionId      text*256             `wire.connection_id`: takes 256 bytes
Authorize          /sessionView            9                    `session_view`: `9` is no value
Authorize          /tenant                 "No_Name"            `tenant`: is no name of a tenant
Authorize          /data/n                 text*65536           `data_json`: takes 65544 bytes
BatchAuthorize     /caller                 null                 `caller`: is required
BatchAuthorize     /caller/method          "GET"                `caller.method`: must be empty
BatchAuthorize     /caller/target          "/hello"             `caller.target`: must be empty
BatchAuthorize     /items/1000             {}                   `items`: has 1001 entries
BatchAuthorize     /items/0/method         text*256             `items[0].method`: takes 256 bytes
BatchAuthorize     /items/0/target         text*8193            `items[0].target`: takes 8193 bytes
BatchAuthorize     /items/0/data/n         text*65536           `items[0].data_json`: takes 65544 bytes
GetWireProfile     /kind                   0                    `kind`: is required
GetWireProfile     /customKind             "x"                  `custom_kind`: must be empty
SetSession         /signIn                 null                 `change`: one of `sign_in` and `patch` is
SetSession         /signIn/subject         null                 `sign_in.subject`: is required
SetSession         /signIn/subject/id      ""                   `sign_in.subject`: a principal id has 1 to 255
SetSession         /signIn/subject/id      text*256             `sign_in.subject`: a principal id has 1 to 255
SetSession         /signIn/subject/namespace "Local"            `sign_in.subject`: `Local` is no namespace
SetSession         /signIn/actor           {}                   `sign_in.actor`: `` is no namespace
SetSession         /signIn/authTime        null                 `sign_in.auth_time`: is required
SetSession         /signIn/authTime        "9999-01-01T00:00:00Z" `sign_in.auth_time`: lies in the future
SetSession         /signIn/ttl             "0s"                 `sign_in.ttl`: must be longer than zero
SetSession         /signIn/ttl             "-1s"                `sign_in.ttl`: must be longer than zero
SetSession         /signIn/scopes          list*257             `sign_in.scopes`: has 257 entries
SetSession         /signIn/scopes          ["ok","a b"]         `sign_in.scopes[1]`: is empty, too long, or
SetSession         /signIn/amr             [""]                 `sign_in.amr[0]`: is empty
SetSession         /signIn/acr             text*256             `sign_in.acr`: takes 256 bytes
SetSession         /signIn/claims/role     text*16385           `sign_in.claims_json`: takes
SetSession         /signIn/attributes/a    text*16385           `sign_in.attributes_json`: takes
SetSession         /requestId              text*129             `request_id`: takes 129 bytes
SetSession         /etag                   text*256             `etag`: takes 256 bytes
ClearSession       /scope                  0                    `scope`: is required
ClearSession       /scope                  4                    `scope`: `4` is no value
CreateSession      /parent                 "default"            `parent`: is not `tenants/{tenant}`
CreateSession      /kind                   0                    `kind`: is required
CreateSession      /signIn                 null                 `sign_in`: is required
CreateSession      /signIn/subject/id      ""                   `sign_in.subject`: a principal id has 1 to 255
CreateSession      /signIn/authTime        null                 `sign_in.auth_time`: is required
CreateSession      /signIn/ttl             "9999999s"           `sign_in.ttl`: is longer than
CreateSession      /requestId              text*129             `request_id`: takes 129 bytes
ReadSession        /name                   ""                   `name`: is not `tenants/{tenant}/sessions/{id}`
ReadSession        /name                   "tenants/Default/sessions/1" `name`: names a malformed tenant
UpdateSession      /name                   "tenants/default/sessions/1" `name`: names a malformed session id
UpdateSession      /patch                  null                 `patch`: is required
UpdateSession      /patch/remove           ["a"]                `patch.remove[0]`: is a key of `set_json`
UpdateSession      /patch/remove           list*257             `patch.remove`: has 257 entries
UpdateSession      /patch/set/a            text*16385           `patch.set_json`: takes
UpdateSession      /etag                   "*"                  `etag`: is not an etag
RotateSession      /etag                   "-1"                 `etag`: is not an etag
RotateSession      /name                   "x"                  `name`: is not
RevokeSession      /name                   "x"                  `name`: is not
RevokeSession      /reason                 text*201             `reason`: has 201 characters
RevokeSubject      /subject                null                 `subject`: is required
RevokeSubject      /except                 "x"                  `except`: is not
RevokeSubject      /parent                 "tenants/"           `parent`: is not
RevokeSubject      /reason                 text*201             `reason`: has 201 characters
RevokeAllSessions  /expectedCount          null                 `expected_count`: is required
RevokeAllSessions  /expectedCount          "-1"                 `expected_count`: is less than zero
RevokeAllSessions  /reason                 text*201             `reason`: has 201 characters
ListSessions       /pageSize               -1                   `page_size`: must be 0 to 1000
ListSessions       /pageSize               2147483647           `page_size`: must be 0 to 1000
ListSessions       /pageSize               -2147483648          `page_size`: must be 0 to 1000
ListSessions       /pageToken              "AAAA"               `page_token`: is no page token
ListSessions       /pageToken              text*100000          `page_token`: is no page token
ListSessions       /subject                {}                   `subject`: `` is no namespace
WatchSessions      /position               "AAAA"               `position`: is no position
WatchSessions      /position               text*100000          `position`: is no position
WatchSessions      /parent                 "x"                  `parent`: is not
CreateApiKey       /subject                null                 `subject`: is required
CreateApiKey       /displayName            text*101             `display_name`: has more than 100
CreateApiKey       /scopes                 ["a b"]              `scopes[0]`: is empty, too long, or
CreateApiKey       /scopes                 list*257             `scopes`: has 257 entries
CreateApiKey       /claims/role            text*16385           `claims_json`: takes
CreateApiKey       /ttl                    "-1s"                `ttl`: must be longer than zero
CreateApiKey       /parent                 "x"                  `parent`: is not
ListApiKeys        /pageSize               1001                 `page_size`: must be 0 to 1000
ListApiKeys        /pageSize               -1                   `page_size`: must be 0 to 1000
ListApiKeys        /pageToken              "AAAA"               `page_token`: is no page token
ListApiKeys        /pageToken              text*100000          `page_token`: is no page token
RevokeApiKey       /name                   "x"                  `name`: is not `tenants/{tenant}/apiKeys/{id}`
RevokeApiKey       /reason                 text*201             `reason`: has 201 characters
ExplainDecision    /wire                   null                 `wire`: is required
ExplainDecision    /wire/kind              99                   `wire.kind`: `99` is no value
ExplainDecision    /data/n                 text*65536           `data_json`: takes 65544 bytes
"#;
