//! API keys: made, listed and revoked. A key itself is in the answer to its making and nowhere else.

use auth_core::{
    caller::Caller,
    grammar::ApiKeyText,
    keys::Keyring,
    principal::Principal,
    session::{MAX_RECORD_BYTES, RevocationCause, SessionId, Tenant, TokenHash},
    store::{ApiKey, Ending},
    text::is_hidden,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proto::{
    admin::v1,
    core::{ConvertError, json, managed, name, reason, session, time},
};
use tonic::{Code, Response, Status};

use super::AdminParts;
use crate::edge::{
    access,
    status::{create_error, random_error, refusal, store_error},
};

const MAX_NAME_CHARS: usize = 100;
const MAX_PAGE: i32 = 1000;
const DEFAULT_PAGE: usize = 50;
/// How many bytes a signature takes.
const SIGNATURE: usize = 32;

pub(super) async fn create(
    parts: &AdminParts,
    caller: &Caller,
    request: v1::CreateApiKeyRequest,
) -> Result<Response<v1::CreateApiKeyResponse>, Status> {
    let random = parts.engine.random();
    let now = parts.engine.clock().now();
    let mut secret = [0; 32];
    random.fill(&mut secret).map_err(|_| random_error())?;
    let text = ApiKeyText::new(&secret);
    let subject = request
        .subject
        .as_ref()
        .ok_or_else(|| ConvertError::new("subject", "is required"))?;
    session::scopes(&request.scopes)?;
    let ttl = request
        .ttl
        .map(|ttl| time::span_from_message("ttl", ttl))
        .transpose()?;
    let key = ApiKey {
        id: SessionId::generate(&**random, now).map_err(|_| random_error())?,
        tenant: tenant(caller, &request.parent)?,
        hash: TokenHash::of(&secret),
        name: display_name(request.display_name)?,
        subject: Principal::try_from(subject).map_err(|error| error.under("subject"))?,
        claims: json::object("claims_json", &request.claims_json, MAX_RECORD_BYTES)?,
        scopes: request.scopes,
        all_scopes: request.all_scopes,
        created_at: now,
        created_by: caller.name.to_string(),
        expires_at: ttl.map(|ttl| now.plus(ttl)),
        revoked: None,
    };
    let shown = message(&key);
    let made = parts.engine.store().create_key(key).await;
    made.map_err(create_error)?;
    Ok(Response::new(v1::CreateApiKeyResponse {
        api_key: Some(shown),
        key: text.as_str().to_owned(),
    }))
}

pub(super) async fn list(
    parts: &AdminParts,
    caller: &Caller,
    request: v1::ListApiKeysRequest,
) -> Result<Response<v1::ListApiKeysResponse>, Status> {
    let tenant = tenant(caller, &request.parent)?;
    let limit = page_size(request.page_size)?;
    let keyring = parts.engine.keys();
    let after = match &*request.page_token {
        "" => None,
        token => Some(read_page(keyring, &tenant, token)?),
    };
    let store = parts.engine.store();
    // One more than asked for tells whether there is a next page.
    let mut found = store
        .list_keys(&tenant, after.as_ref(), limit + 1)
        .await
        .map_err(|error| store_error(&error))?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more);
    Ok(Response::new(v1::ListApiKeysResponse {
        next_page_token: last
            .map(|last| write_page(keyring, &tenant, &last.id))
            .unwrap_or_default(),
        api_keys: found.iter().map(message).collect(),
    }))
}

pub(super) async fn revoke(
    parts: &AdminParts,
    caller: &Caller,
    request: v1::RevokeApiKeyRequest,
) -> Result<Response<v1::RevokeApiKeyResponse>, Status> {
    let (tenant, id) = parse_name(&request.name)?;
    access::tenant(caller, &tenant)?;
    let ending = Ending {
        by: caller.name.to_string(),
        cause: RevocationCause::Revoked,
        reason: managed::reason(request.reason)?,
    };
    let now = parts.engine.clock().now();
    let revoked = parts
        .engine
        .store()
        .revoke_key(&tenant, &id, ending, now)
        .await;
    let was_live = revoked
        .map_err(|error| store_error(&error))?
        .ok_or_else(not_found)?;
    Ok(Response::new(v1::RevokeApiKeyResponse { was_live }))
}

/// The tenant that `parent` names, if it is the caller's.
fn tenant(caller: &Caller, parent: &str) -> Result<Tenant, Status> {
    let tenant = name::parse_parent("parent", parent, &caller.tenant)?;
    access::tenant(caller, &tenant)?;
    Ok(tenant)
}

fn display_name(text: String) -> Result<String, ConvertError> {
    let field = "display_name";
    if text.chars().count() > MAX_NAME_CHARS {
        let problem = format!("has more than {MAX_NAME_CHARS} characters");
        return Err(ConvertError::new(field, problem));
    }
    if text.contains(is_hidden) {
        return Err(ConvertError::new(field, "holds a control character"));
    }
    Ok(text)
}

fn page_size(asked: i32) -> Result<usize, ConvertError> {
    match asked {
        0 => Ok(DEFAULT_PAGE),
        1..=MAX_PAGE => Ok(usize::try_from(asked).unwrap_or(DEFAULT_PAGE)),
        _ => Err(ConvertError::new(
            "page_size",
            format!("must be 0 to {MAX_PAGE}"),
        )),
    }
}

fn key_name(tenant: &Tenant, id: &SessionId) -> String {
    format!("tenants/{tenant}/apiKeys/{id}")
}

fn parse_name(text: &str) -> Result<(Tenant, SessionId), ConvertError> {
    let parsed = text
        .strip_prefix("tenants/")
        .and_then(|rest| rest.split_once("/apiKeys/"))
        .and_then(|(tenant, id)| Some((Tenant::new(tenant)?, SessionId::parse(id)?)))
        // One key has one name: other spellings of its id are refused.
        .filter(|(tenant, id)| key_name(tenant, id) == text);
    parsed.ok_or_else(|| ConvertError::new("name", "is not `tenants/{tenant}/apiKeys/{id}`"))
}

fn not_found() -> Status {
    let message = "there is no such API key";
    refusal(Code::NotFound, reason::API_KEY_NOT_FOUND, message, &[])
}

/// A key as lists show it.
fn message(key: &ApiKey) -> v1::ApiKey {
    let revoked = key.revoked.as_ref();
    v1::ApiKey {
        name: key_name(&key.tenant, &key.id),
        display_name: key.name.clone(),
        subject: Some((&key.subject).into()),
        scopes: key.scopes.clone(),
        all_scopes: key.all_scopes,
        claims_json: json::bytes(&key.claims),
        create_time: Some(time::to_message(key.created_at)),
        creator: key.created_by.clone(),
        expire_time: key.expires_at.map(time::to_message),
        revoke_time: revoked.map(|revoked| time::to_message(revoked.at)),
        revocation: revoked.map_or_else(String::new, |revoked| {
            let words = if revoked.reason.is_empty() { "" } else { ": " };
            format!("by {}{words}{}", revoked.by, revoked.reason)
        }),
    }
}

/// What the signature of a page token is over.
fn signed(tenant: &Tenant, id: &SessionId) -> Vec<u8> {
    [
        b"api keys\0",
        id.as_bytes().as_slice(),
        tenant.as_str().as_bytes(),
    ]
    .concat()
}

fn write_page(keys: &Keyring, tenant: &Tenant, id: &SessionId) -> String {
    let signature = keys.sign(&signed(tenant, id));
    URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), &signature].concat())
}

fn read_page(keys: &Keyring, tenant: &Tenant, token: &str) -> Result<SessionId, ConvertError> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, signature) = bytes.split_first_chunk::<16>()?;
        let id = SessionId::from_bytes(*id);
        let is_ours = signature.len() == SIGNATURE && keys.verify(&signed(tenant, &id), signature);
        is_ours.then_some(id)
    };
    read().ok_or_else(|| ConvertError::new("page_token", "is no page token of this list"))
}
