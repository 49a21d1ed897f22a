//! What the second tenant tries on what the first one has, by method.

use serde_json::{Value, json};

use super::{Facts, api_key, bearer, me};

/// One attempt, and what must come of it.
pub(super) struct Attempt {
    pub(super) what: &'static str,
    pub(super) body: Value,
    /// Why it is refused; empty when it is answered.
    pub(super) reason: &'static str,
    /// How the answer has it, where there is one: the value at this place begins like this.
    pub(super) answers: Option<(&'static str, &'static str)>,
}

fn refused(what: &'static str, reason: &'static str, body: Value) -> Attempt {
    Attempt {
        what,
        body,
        reason,
        answers: None,
    }
}

fn answered(
    what: &'static str,
    pointer: &'static str,
    value: &'static str,
    body: Value,
) -> Attempt {
    Attempt {
        what,
        body,
        reason: "",
        answers: Some((pointer, value)),
    }
}

/// The attempts by a method. None at all is a method that nobody thought of.
pub(super) fn attempts(method: &str, facts: &Facts) -> Vec<Attempt> {
    match method {
        "Authorize" | "BatchAuthorize" | "GetWireProfile" | "ExplainDecision" => {
            decisions(method, facts)
        }
        "ContinueCall" | "GetSession" | "SetSession" | "ClearSession" => by_handle(method, facts),
        "ReadSession" | "UpdateSession" | "RotateSession" | "RevokeSession" => {
            by_name(method, facts)
        }
        "CreateSession" | "RevokeSubject" | "RevokeAllSessions" => by_subject(method, facts),
        "ListSessions" | "WatchSessions" => lists(method, facts),
        "CreateApiKey" | "ListApiKeys" | "RevokeApiKey" => keys(method, facts),
        "GetStatus" => vec![answered(
            "counts its own",
            "/liveSessionCount",
            "null",
            json!({}),
        )],
        // The policy is everyone's, and names nobody.
        "ReloadPolicy" => vec![answered(
            "reloads",
            "/policy/operationCount",
            "2",
            json!({}),
        )],
        _ => vec![],
    }
}

/// Whose session a request says it wants.
fn in_alpha(mut body: Value) -> Value {
    body["tenant"] = "alpha".into();
    body
}

fn batch(body: &Value) -> Value {
    let mut caller = body["wire"].clone();
    let item =
        json!({ "method": caller["method"], "target": caller["target"], "dataComplete": true });
    let fields = caller.as_object_mut().unwrap();
    fields.remove("method");
    fields.remove("target");
    json!({ "caller": caller, "items": [item] })
}

fn explain(mut body: Value) -> Value {
    body.as_object_mut().unwrap().remove("sessionView");
    body
}

fn decisions(method: &str, facts: &Facts) -> Vec<Attempt> {
    const OUTCOME: &str = "OUTCOME_UNAUTHENTICATED";
    const DENIED: &str = "TENANT_NOT_ALLOWED";
    let with_token = me(&bearer(&facts.token));
    let with_key = me(&api_key(&facts.key_text));
    match method {
        "Authorize" => vec![
            refused("in its name", DENIED, in_alpha(with_token.clone())),
            answered("with its token", "/outcome", OUTCOME, with_token.clone()),
            answered(
                "with its token",
                "/credentialState",
                "CREDENTIAL_STATE_REJECTED",
                with_token,
            ),
            answered("with its key", "/outcome", OUTCOME, with_key.clone()),
            answered(
                "with its key",
                "/credentialState",
                "CREDENTIAL_STATE_REJECTED",
                with_key,
            ),
        ],
        "BatchAuthorize" => vec![
            refused("in its name", DENIED, in_alpha(batch(&with_token))),
            answered(
                "with its token",
                "/responses/0/outcome",
                OUTCOME,
                batch(&with_token),
            ),
            answered(
                "with its key",
                "/responses/0/outcome",
                OUTCOME,
                batch(&with_key),
            ),
        ],
        // What to send is everyone's, and names nobody.
        "GetWireProfile" => {
            vec![answered(
                "a profile",
                "/credentials/0/source",
                "CREDENTIAL",
                json!({ "kind": 1 }),
            )]
        }
        _ => vec![
            answered(
                "with its token",
                "/decision/outcome",
                OUTCOME,
                explain(with_token),
            ),
            answered(
                "with its key",
                "/decision/outcome",
                OUTCOME,
                explain(with_key),
            ),
        ],
    }
}

fn sign_in() -> Value {
    json!({
        "subject": { "namespace": "local", "id": "beta-person" },
        "authTime": "2026-01-01T00:00:00Z",
    })
}

fn by_handle(method: &str, facts: &Facts) -> Vec<Attempt> {
    const REASON: &str = "CALL_INVALID";
    let (call, etag) = (&facts.call, &facts.etag);
    match method {
        "ContinueCall" | "GetSession" => {
            vec![refused("by its handle", REASON, json!({ "call": call }))]
        }
        "SetSession" => vec![
            refused(
                "signs in",
                REASON,
                json!({ "call": call, "signIn": sign_in() }),
            ),
            refused(
                "patches",
                REASON,
                json!({ "call": call, "etag": etag, "patch": { "set": { "a": 1 } } }),
            ),
        ],
        _ => vec![
            refused(
                "this",
                REASON,
                json!({ "call": call, "scope": "CLEAR_SCOPE_THIS" }),
            ),
            refused(
                "others",
                REASON,
                json!({ "call": call, "scope": "CLEAR_SCOPE_OTHERS" }),
            ),
            refused(
                "all",
                REASON,
                json!({ "call": call, "scope": "CLEAR_SCOPE_ALL" }),
            ),
        ],
    }
}

/// The same name, as if it were of the second tenant.
fn claimed(name: &str) -> String {
    name.replace("tenants/alpha/", "tenants/beta/")
}

fn by_name(method: &str, facts: &Facts) -> Vec<Attempt> {
    let body = |name: &str, etag: &str| {
        let mut body = json!({ "name": name });
        match method {
            "UpdateSession" => {
                body["patch"] = json!({ "set": { "a": 1 } });
                body["etag"] = etag.into();
            }
            "RotateSession" => body["etag"] = etag.into(),
            _ => {}
        }
        body
    };
    let (name, etag) = (&*facts.session, &*facts.etag);
    let gone = match method {
        "UpdateSession" => "SESSION_GONE",
        _ => "SESSION_NOT_FOUND",
    };
    vec![
        refused("by its name", "TENANT_NOT_ALLOWED", body(name, "")),
        refused(
            "by its name and etag",
            "TENANT_NOT_ALLOWED",
            body(name, etag),
        ),
        refused("by its id", gone, body(&claimed(name), "")),
        refused("by its id and etag", gone, body(&claimed(name), etag)),
    ]
}

fn by_subject(method: &str, facts: &Facts) -> Vec<Attempt> {
    const DENIED: &str = "TENANT_NOT_ALLOWED";
    let parent = "tenants/alpha";
    let subject = json!({ "namespace": "local", "id": "alpha-person" });
    match method {
        "CreateSession" => vec![
            refused(
                "in its name",
                DENIED,
                json!({ "parent": parent, "kind": 2, "signIn": sign_in() }),
            ),
            answered(
                "with the id of its request",
                "/session/session/name",
                "tenants/beta/",
                json!({ "kind": 2, "signIn": sign_in(), "requestId": "request-1" }),
            ),
        ],
        "RevokeSubject" => vec![
            refused(
                "in its name",
                DENIED,
                json!({ "parent": parent, "subject": subject }),
            ),
            refused(
                "all but its one",
                DENIED,
                json!({ "subject": subject, "except": facts.session }),
            ),
            answered(
                "counts its sessions",
                "/revokedCount",
                "null",
                json!({ "subject": subject, "dryRun": true }),
            ),
            answered(
                "of its subject, all but its one",
                "/revokedCount",
                "null",
                json!({ "subject": subject, "except": claimed(&facts.session) }),
            ),
            answered(
                "of its subject",
                "/revokedCount",
                "null",
                json!({ "subject": subject }),
            ),
        ],
        _ => vec![
            refused(
                "in its name",
                DENIED,
                json!({ "parent": parent, "expectedCount": "2" }),
            ),
            refused(
                "counts in its name",
                DENIED,
                json!({ "parent": parent, "dryRun": true }),
            ),
            refused(
                "as many as it has",
                "COUNT_MISMATCH",
                json!({ "expectedCount": "2" }),
            ),
            answered(
                "its own",
                "/revokedCount",
                "1",
                json!({ "expectedCount": "1" }),
            ),
        ],
    }
}

fn lists(method: &str, facts: &Facts) -> Vec<Attempt> {
    const DENIED: &str = "TENANT_NOT_ALLOWED";
    let parent = "tenants/alpha";
    let subject = json!({ "namespace": "local", "id": "alpha-person" });
    if method == "WatchSessions" {
        return vec![
            refused("in its name", DENIED, json!({ "parent": parent })),
            refused(
                "from its position",
                "INVALID_FIELD",
                json!({ "position": facts.position }),
            ),
            answered("its own", "/started", "{}", json!({})),
        ];
    }
    vec![
        refused("in its name", DENIED, json!({ "parent": parent })),
        refused(
            "from its page",
            "INVALID_FIELD",
            json!({ "pageSize": 1, "pageToken": facts.page }),
        ),
        answered(
            "of its subject",
            "/sessions",
            "null",
            json!({ "subject": subject, "includeEnded": true }),
        ),
        answered(
            "all there are",
            "/nextPageToken",
            "null",
            json!({ "pageSize": 1000, "includeEnded": true }),
        ),
    ]
}

fn keys(method: &str, facts: &Facts) -> Vec<Attempt> {
    const DENIED: &str = "TENANT_NOT_ALLOWED";
    let parent = "tenants/alpha";
    match method {
        "CreateApiKey" => {
            let subject = json!({ "namespace": "local", "id": "beta-person" });
            vec![refused(
                "in its name",
                DENIED,
                json!({ "parent": parent, "subject": subject }),
            )]
        }
        "ListApiKeys" => vec![
            refused("in its name", DENIED, json!({ "parent": parent })),
            refused(
                "from its page",
                "INVALID_FIELD",
                json!({ "pageSize": 1, "pageToken": facts.key_page }),
            ),
            answered(
                "all there are",
                "/apiKeys",
                "null",
                json!({ "pageSize": 1000 }),
            ),
        ],
        _ => vec![
            refused("by its name", DENIED, json!({ "name": facts.key })),
            refused(
                "by its id",
                "API_KEY_NOT_FOUND",
                json!({ "name": claimed(&facts.key) }),
            ),
        ],
    }
}
