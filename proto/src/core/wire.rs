//! Calls, credentials and what changes on the wire.

use auth_core::{
    cross_site,
    principal::Principal,
    session::Tenant,
    text::is_hidden,
    wire::{
        self, Attribute, Call, Credential, CredentialSource, Deliverable, Peer, SessionView,
        WireKind,
    },
    wire_update::WireUpdate,
};
use bytes::Bytes;

use super::{ConvertError, at_most, known, name, text, time, too_long, unspecified};
use crate::v1;

/// The longest authority, method and connection id accepted, in bytes.
pub const MAX_NAME_BYTES: usize = 255;
/// The longest identity of a peer accepted, in bytes (SPIFFE-ID section 2.3).
pub const MAX_IDENTITY_BYTES: usize = 2048;
/// The most calls accepted in a batch.
pub const MAX_BATCH: usize = 1000;

/// The call of a request; `own` is the tenant when the request names none.
///
/// # Errors
///
/// Returns [`ConvertError`] when a required field is missing or unknown, or a limit of
/// [`auth_core::wire`] is passed.
pub fn call(request: v1::AuthorizeRequest, own: &Tenant) -> Result<Call, ConvertError> {
    let wire = request
        .wire
        .ok_or_else(|| ConvertError::new("wire", "is required"))?;
    let view = view(request.session_view)?;
    let tenant = tenant(&request.tenant, own)?;
    let call = context(wire, tenant).map_err(|error| error.under("wire"))?;
    if request.data_pending && request.data_complete {
        let problem = "cannot be together with `data_complete`";
        return Err(ConvertError::new("data_pending", problem));
    }
    Ok(Call {
        data_json: data("data_json", request.data_json)?,
        data_complete: request.data_complete,
        data_pending: request.data_pending,
        view,
        advisory: request.advisory,
        ..call
    })
}

/// The request that asks for this call.
#[must_use]
pub fn request(call: Call) -> v1::AuthorizeRequest {
    let (kind, custom_kind) = kind_to_message(&call.kind);
    v1::AuthorizeRequest {
        wire: Some(v1::WireContext {
            kind: kind.into(),
            custom_kind,
            authority: call.authority,
            method: call.method,
            target: call.target,
            credentials: call.credentials.into_iter().map(Into::into).collect(),
            peer: Some(call.peer.into()),
            connection_id: call.connection_id,
            attributes: call.attributes.into_iter().map(Into::into).collect(),
            accepted_updates: accepted_updates(call.deliverable),
        }),
        data_json: call.data_json,
        data_complete: call.data_complete,
        // One that is complete is not pending, whatever it says.
        data_pending: call.data_pending && !call.data_complete,
        session_view: v1::SessionView::from(call.view).into(),
        advisory: call.advisory,
        tenant: call.tenant.as_str().to_owned(),
    }
}

/// The calls of a batch, in order, all of them advisory and without a view of the session.
///
/// # Errors
///
/// As [`call`], and when there are more than [`MAX_BATCH`].
pub fn batch(request: v1::BatchAuthorizeRequest, own: &Tenant) -> Result<Vec<Call>, ConvertError> {
    at_most("items", request.items.len(), MAX_BATCH)?;
    let client = request
        .caller
        .ok_or_else(|| ConvertError::new("caller", "is required"))?;
    for (field, value) in [("method", &client.method), ("target", &client.target)] {
        if !value.is_empty() {
            let problem = "must be empty: each item has its own";
            return Err(ConvertError::new(field, problem).under("caller"));
        }
    }
    let tenant = tenant(&request.tenant, own)?;
    let mut shared = Call {
        advisory: true,
        ..context(client, tenant).map_err(|error| error.under("caller"))?
    };
    // They tell of the request for the page, not of what its buttons will send.
    let is_of_items = |attribute: &Attribute| !cross_site::ATTRIBUTES.contains(&&*attribute.name);
    shared.attributes.retain(is_of_items);
    let items = request.items.into_iter().enumerate();
    items
        .map(|(index, item)| {
            batch_item(&shared, item).map_err(|error| error.under(&format!("items[{index}]")))
        })
        .collect()
}

fn batch_item(shared: &Call, item: v1::BatchAuthorizeItem) -> Result<Call, ConvertError> {
    Ok(Call {
        method: bounded("method", item.method)?,
        target: bounded_target(item.target)?,
        data_json: data("data_json", item.data_json)?,
        data_complete: item.data_complete,
        ..shared.clone()
    })
}

/// The tenant named `name`, or `own` when it is empty.
fn tenant(name: &str, own: &Tenant) -> Result<Tenant, ConvertError> {
    if name.is_empty() {
        return Ok(own.clone());
    }
    Tenant::new(name).ok_or_else(|| ConvertError::new("tenant", "is no name of a tenant"))
}

fn data(field: &str, json: Bytes) -> Result<Bytes, ConvertError> {
    if json.len() > wire::MAX_DATA_BYTES {
        return Err(too_long(field, json.len(), wire::MAX_DATA_BYTES));
    }
    Ok(json)
}

/// What the target means is for the decision point to say; only its size is judged here.
fn bounded_target(target: String) -> Result<String, ConvertError> {
    if target.len() > wire::MAX_TARGET_BYTES {
        return Err(too_long("target", target.len(), wire::MAX_TARGET_BYTES));
    }
    Ok(target)
}

/// A call without data.
fn context(wire: v1::WireContext, tenant: Tenant) -> Result<Call, ConvertError> {
    at_most("credentials", wire.credentials.len(), wire::MAX_CREDENTIALS)?;
    at_most("attributes", wire.attributes.len(), wire::MAX_ATTRIBUTES)?;
    Ok(Call {
        kind: kind(wire.kind, &wire.custom_kind)?,
        authority: bounded("authority", wire.authority)?,
        method: bounded("method", wire.method)?,
        target: bounded_target(wire.target)?,
        credentials: each("credentials", wire.credentials)?,
        peer: wire
            .peer
            .map_or(Ok(Peer::default()), Peer::try_from)
            .map_err(|error| error.under("peer"))?,
        connection_id: text("connection_id", wire.connection_id, MAX_NAME_BYTES)?,
        attributes: each("attributes", wire.attributes)?,
        deliverable: deliverable(&wire.accepted_updates),
        tenant,
        data_json: Bytes::new(),
        data_complete: false,
        data_pending: false,
        view: SessionView::None,
        advisory: false,
    })
}

/// As for the target: what is odd about the text is a verdict about the client and no error here.
fn bounded(field: &str, value: String) -> Result<String, ConvertError> {
    if value.len() > MAX_NAME_BYTES {
        return Err(too_long(field, value.len(), MAX_NAME_BYTES));
    }
    Ok(value)
}

fn each<M, T>(field: &str, messages: Vec<M>) -> Result<Vec<T>, ConvertError>
where
    T: TryFrom<M, Error = ConvertError>,
{
    let messages = messages.into_iter().enumerate();
    messages
        .map(|(index, message)| {
            T::try_from(message).map_err(|error| error.under(&format!("{field}[{index}]")))
        })
        .collect()
}

/// The kind of a wire, given by number and, where it is a custom one, by name.
///
/// # Errors
///
/// Returns [`ConvertError`] when the number is not known, a custom kind has no name of its own, or
/// another kind has one.
pub fn kind(number: i32, custom: &str) -> Result<WireKind, ConvertError> {
    let known = known::<v1::WireKind>(number).ok_or_else(|| unspecified("kind", number))?;
    let built_in = match known {
        v1::WireKind::Unspecified => return Err(unspecified("kind", number)),
        v1::WireKind::Http => WireKind::Http,
        v1::WireKind::Grpc => WireKind::Grpc,
        v1::WireKind::Websocket => WireKind::WebSocket,
        v1::WireKind::Cli => WireKind::Cli,
        v1::WireKind::Mcp => WireKind::Mcp,
        v1::WireKind::Queue => WireKind::Queue,
        v1::WireKind::Schedule => WireKind::Schedule,
        v1::WireKind::Rpc => WireKind::Rpc,
        v1::WireKind::Custom => {
            return match WireKind::parse(custom) {
                Some(kind @ WireKind::Custom(_)) => Ok(kind),
                Some(_) => Err(ConvertError::new(
                    "custom_kind",
                    "is the name of a built-in kind: send that kind",
                )),
                None => Err(ConvertError::new(
                    "custom_kind",
                    "is no name: 1 to 64 lower-case letters, digits, `-`, `_` or `.`, starting \
                     with a letter",
                )),
            };
        }
    };
    if custom.is_empty() {
        Ok(built_in)
    } else {
        let problem = "must be empty unless `kind` is `WIRE_KIND_CUSTOM`";
        Err(ConvertError::new("custom_kind", problem))
    }
}

/// The kind by number and, where it is a custom one, by name.
#[must_use]
pub fn kind_to_message(kind: &WireKind) -> (v1::WireKind, String) {
    let number = match kind {
        WireKind::Http => v1::WireKind::Http,
        WireKind::Grpc => v1::WireKind::Grpc,
        WireKind::WebSocket => v1::WireKind::Websocket,
        WireKind::Cli => v1::WireKind::Cli,
        WireKind::Mcp => v1::WireKind::Mcp,
        WireKind::Queue => v1::WireKind::Queue,
        WireKind::Schedule => v1::WireKind::Schedule,
        WireKind::Rpc => v1::WireKind::Rpc,
        WireKind::Custom(name) => return (v1::WireKind::Custom, name.to_string()),
    };
    (number, String::new())
}

/// The view asked for; one that is unspecified is none.
fn view(number: i32) -> Result<SessionView, ConvertError> {
    match v1::SessionView::try_from(number) {
        Ok(v1::SessionView::Unspecified | v1::SessionView::None) => Ok(SessionView::None),
        Ok(v1::SessionView::Basic) => Ok(SessionView::Basic),
        Ok(v1::SessionView::Full) => Ok(SessionView::Full),
        Err(_) => Err(unspecified("session_view", number)),
    }
}

impl From<SessionView> for v1::SessionView {
    fn from(view: SessionView) -> Self {
        match view {
            SessionView::None => Self::None,
            SessionView::Basic => Self::Basic,
            SessionView::Full => Self::Full,
        }
    }
}

/// What an edge delivers; a kind that is not known here is one that is never sent to it.
fn deliverable(kinds: &[i32]) -> Deliverable {
    let accepts = |kind: v1::WireUpdateKind| kinds.contains(&kind.into());
    Deliverable {
        cookie: accepts(v1::WireUpdateKind::Cookie),
        token: accepts(v1::WireUpdateKind::Token),
        connection: accepts(v1::WireUpdateKind::Connection),
    }
}

fn accepted_updates(deliverable: Deliverable) -> Vec<i32> {
    [
        (deliverable.cookie, v1::WireUpdateKind::Cookie),
        (deliverable.token, v1::WireUpdateKind::Token),
        (deliverable.connection, v1::WireUpdateKind::Connection),
    ]
    .into_iter()
    .filter(|(accepted, _)| *accepted)
    .map(|(_, kind)| kind.into())
    .collect()
}

/// A number of the contract as the place of a credential.
pub(super) fn source(number: i32) -> Result<CredentialSource, ConvertError> {
    match known::<v1::CredentialSource>(number) {
        Some(v1::CredentialSource::Authorization) => Ok(CredentialSource::Authorization),
        Some(v1::CredentialSource::Cookie) => Ok(CredentialSource::Cookie),
        Some(v1::CredentialSource::Header) => Ok(CredentialSource::Header),
        Some(v1::CredentialSource::Envelope) => Ok(CredentialSource::Envelope),
        Some(v1::CredentialSource::Unspecified) | None => Err(unspecified("source", number)),
    }
}

impl From<CredentialSource> for v1::CredentialSource {
    fn from(source: CredentialSource) -> Self {
        match source {
            CredentialSource::Authorization => Self::Authorization,
            CredentialSource::Cookie => Self::Cookie,
            CredentialSource::Header => Self::Header,
            CredentialSource::Envelope => Self::Envelope,
        }
    }
}

impl TryFrom<v1::Credential> for Credential {
    type Error = ConvertError;

    fn try_from(message: v1::Credential) -> Result<Self, ConvertError> {
        let source = source(message.source)?;
        match source {
            CredentialSource::Header | CredentialSource::Envelope => lower_name(&message.name)?,
            CredentialSource::Authorization | CredentialSource::Cookie => {
                if !message.name.is_empty() {
                    let problem = "must be empty for this source";
                    return Err(ConvertError::new("name", problem));
                }
            }
        }
        if message.value.len() > wire::MAX_CREDENTIAL_BYTES {
            let length = message.value.len();
            return Err(too_long("value", length, wire::MAX_CREDENTIAL_BYTES));
        }
        Ok(Self {
            source,
            name: message.name,
            value: message.value,
        })
    }
}

impl From<Credential> for v1::Credential {
    fn from(credential: Credential) -> Self {
        Self {
            source: v1::CredentialSource::from(credential.source).into(),
            name: credential.name,
            value: credential.value,
        }
    }
}

/// Names are compared as they are, so that one in capitals would silently match nothing.
fn lower_name(name: &str) -> Result<(), ConvertError> {
    let problem = if name.is_empty() {
        "is required"
    } else if name.len() > MAX_NAME_BYTES {
        return Err(too_long("name", name.len(), MAX_NAME_BYTES));
    } else if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        "must be lower case"
    } else if name.contains(|c| is_hidden(c) || c == ' ') {
        "holds a space or a control character"
    } else {
        return Ok(());
    };
    Err(ConvertError::new("name", problem))
}

impl TryFrom<v1::Attribute> for Attribute {
    type Error = ConvertError;

    fn try_from(message: v1::Attribute) -> Result<Self, ConvertError> {
        lower_name(&message.name)?;
        if message.value.len() > wire::MAX_CREDENTIAL_BYTES {
            let length = message.value.len();
            return Err(too_long("value", length, wire::MAX_CREDENTIAL_BYTES));
        }
        Ok(Self {
            name: message.name,
            value: message.value,
        })
    }
}

impl From<Attribute> for v1::Attribute {
    fn from(attribute: Attribute) -> Self {
        Self {
            name: attribute.name,
            value: attribute.value,
        }
    }
}

impl TryFrom<v1::Peer> for Peer {
    type Error = ConvertError;

    fn try_from(message: v1::Peer) -> Result<Self, ConvertError> {
        if !matches!(message.certificate_sha256.len(), 0 | 32) {
            let problem = "is no SHA-256: it has neither 0 nor 32 bytes";
            return Err(ConvertError::new("certificate_sha256", problem));
        }
        Ok(Self {
            address: text("address", message.address, MAX_NAME_BYTES)?,
            identity: text("identity", message.identity, MAX_IDENTITY_BYTES)?,
            certificate_sha256: message.certificate_sha256,
            not_before: message
                .not_before
                .map(|at| time::from_message("not_before", at))
                .transpose()?,
            not_after: message
                .not_after
                .map(|at| time::from_message("not_after", at))
                .transpose()?,
        })
    }
}

impl From<Peer> for v1::Peer {
    fn from(peer: Peer) -> Self {
        Self {
            address: peer.address,
            identity: peer.identity,
            certificate_sha256: peer.certificate_sha256,
            not_before: peer.not_before.map(time::to_message),
            not_after: peer.not_after.map(time::to_message),
        }
    }
}

impl From<&Principal> for v1::Principal {
    fn from(principal: &Principal) -> Self {
        Self {
            namespace: principal.namespace().to_owned(),
            id: principal.id().to_owned(),
        }
    }
}

impl TryFrom<&v1::Principal> for Principal {
    type Error = ConvertError;

    fn try_from(message: &v1::Principal) -> Result<Self, ConvertError> {
        Self::new(&message.namespace, &message.id)
            .map_err(|error| ConvertError::new("", error.to_string()))
    }
}

/// The update as a message; `tenant` is whose the session is.
#[must_use]
pub fn update_to_message(update: WireUpdate, tenant: &Tenant) -> v1::WireUpdate {
    use v1::wire_update::Kind;
    let kind = match update {
        WireUpdate::SetCookie { name, header_value } => {
            Kind::SetCookie(v1::SetCookie { name, header_value })
        }
        WireUpdate::ExpireCookie { name, header_value } => {
            Kind::ExpireCookie(v1::ExpireCookie { name, header_value })
        }
        WireUpdate::IssueToken { token, expires_at } => Kind::IssueToken(v1::IssueToken {
            token,
            expire_time: Some(time::to_message(expires_at)),
        }),
        WireUpdate::BindConnection {
            connection_id,
            session,
        } => Kind::BindConnection(v1::BindConnection {
            connection_id,
            session: session.map_or_else(String::new, |id| name::session(tenant, &id)),
        }),
    };
    v1::WireUpdate { kind: Some(kind) }
}

impl TryFrom<v1::WireUpdate> for WireUpdate {
    type Error = ConvertError;

    fn try_from(message: v1::WireUpdate) -> Result<Self, ConvertError> {
        use v1::wire_update::Kind;
        let kind = message.kind.ok_or_else(|| {
            ConvertError::new("kind", "is missing, or of a kind that was not accepted")
        })?;
        Ok(match kind {
            Kind::SetCookie(v1::SetCookie { name, header_value }) => {
                Self::SetCookie { name, header_value }
            }
            Kind::ExpireCookie(v1::ExpireCookie { name, header_value }) => {
                Self::ExpireCookie { name, header_value }
            }
            Kind::IssueToken(v1::IssueToken { token, expire_time }) => Self::IssueToken {
                token,
                expires_at: time::from_message(
                    "issue_token.expire_time",
                    expire_time.ok_or_else(|| {
                        ConvertError::new("issue_token.expire_time", "is required")
                    })?,
                )?,
            },
            Kind::BindConnection(v1::BindConnection {
                connection_id,
                session,
            }) => Self::BindConnection {
                connection_id,
                session: if session.is_empty() {
                    None
                } else {
                    let field = "bind_connection.session";
                    Some(name::parse_session(field, &session)?.1)
                },
            },
        })
    }
}

#[cfg(test)]
mod tests;
