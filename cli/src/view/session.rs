//! Sessions as they are printed.

use proto::v1;
use serde::Serialize;
use serde_json::Value;

use super::{json, non_empty, principal, short_name, short_time, time};
use crate::output;

/// A session.
#[derive(Clone, Debug, Serialize)]
pub struct SessionView {
    /// Its public handle.
    pub id: String,
    /// Its resource name.
    pub name: String,
    /// Whether it lives, as `live` or `revoked`.
    pub state: &'static str,
    /// Who is signed in.
    pub subject: Option<String>,
    /// Who acts on the subject's behalf.
    pub actor: Option<String>,
    /// What carries its token.
    pub kind: String,
    /// Facts from sign-in.
    pub claims: Value,
    /// The app's own data.
    pub attributes: Value,
    /// The scopes granted.
    pub scopes: Vec<String>,
    /// Whether every scope counts as granted.
    pub all_scopes: bool,
    /// Changes with the session.
    pub etag: String,
    /// When it was made.
    pub create_time: Option<String>,
    /// When it was last used, as far as written.
    pub last_seen_time: Option<String>,
    /// When the subject proved who they are.
    pub auth_time: Option<String>,
    /// When it ends if it is not used again.
    pub idle_expire_time: Option<String>,
    /// When it ends at the latest.
    pub expire_time: Option<String>,
    /// Who ended it, when and why.
    pub revocation: Option<RevocationView>,
}

/// Who ended a session, when and why.
#[derive(Clone, Debug, Serialize)]
pub struct RevocationView {
    /// When.
    pub revoke_time: Option<String>,
    /// Who asked.
    pub by: String,
    /// The kind of act.
    pub cause: String,
    /// Words given with it.
    pub reason: String,
}

/// The name of a state in output.
#[must_use]
pub const fn state_name(state: v1::SessionState) -> &'static str {
    match state {
        v1::SessionState::Unspecified => "unknown",
        v1::SessionState::Live => "live",
        v1::SessionState::IdleExpired => "idle_expired",
        v1::SessionState::LifetimeExpired => "lifetime_expired",
        v1::SessionState::Revoked => "revoked",
    }
}

impl From<v1::ManagedSession> for SessionView {
    fn from(managed: v1::ManagedSession) -> Self {
        let state = state_name(managed.state());
        let session = managed.session.unwrap_or_default();
        Self {
            id: short_name(&session.name).to_owned(),
            name: session.name,
            state,
            subject: principal(session.subject),
            actor: principal(session.actor),
            kind: managed.kind,
            claims: json(&session.claims_json),
            attributes: json(&session.attributes_json),
            scopes: session.scopes,
            all_scopes: session.all_scopes,
            etag: session.etag,
            create_time: time(managed.create_time),
            last_seen_time: time(managed.last_seen_time),
            auth_time: time(session.auth_time),
            idle_expire_time: time(session.idle_expire_time),
            expire_time: time(session.expire_time),
            revocation: managed.revocation.map(Into::into),
        }
    }
}

impl From<v1::Revocation> for RevocationView {
    fn from(revocation: v1::Revocation) -> Self {
        Self {
            revoke_time: time(revocation.revoke_time),
            by: revocation.by,
            cause: revocation.cause,
            reason: revocation.reason,
        }
    }
}

impl SessionView {
    /// The session in full, for people.
    #[must_use]
    pub fn people(&self) -> String {
        let scopes = match self.all_scopes {
            true => "all".to_owned(),
            false => self.scopes.join(" "),
        };
        output::pairs([
            ("session", self.id.clone()),
            ("state", self.state.to_owned()),
            ("subject", self.subject_text()),
            ("actor", self.actor.clone().unwrap_or_default()),
            ("kind", self.kind.clone()),
            ("claims", object_text(&self.claims)),
            ("attributes", object_text(&self.attributes)),
            ("scopes", scopes),
            ("created", short_time(self.create_time.as_ref())),
            ("last seen", short_time(self.last_seen_time.as_ref())),
            ("idle end", short_time(self.idle_expire_time.as_ref())),
            ("ends", short_time(self.expire_time.as_ref())),
            ("etag", self.etag.clone()),
            (
                "fate",
                self.revocation
                    .as_ref()
                    .map(|_| self.why())
                    .unwrap_or_default(),
            ),
        ])
    }

    /// Who is signed in, for people.
    #[must_use]
    pub fn subject_text(&self) -> String {
        self.subject
            .clone()
            .unwrap_or_else(|| "(anonymous)".to_owned())
    }

    /// Why the session lives no longer, or that it lives, as a sentence.
    #[must_use]
    pub fn why(&self) -> String {
        match (self.state, &self.revocation) {
            ("revoked", Some(end)) => {
                let at = short_time(end.revoke_time.as_ref());
                let reason = match end.reason.as_str() {
                    "" => String::new(),
                    words => format!(", saying \"{words}\""),
                };
                format!("{} by {} at {at}{reason}", cause_words(&end.cause), end.by)
            }
            ("idle_expired", _) => format!(
                "not used in time: last seen {}, idle limit reached {}",
                short_time(self.last_seen_time.as_ref()),
                short_time(self.idle_expire_time.as_ref())
            ),
            ("lifetime_expired", _) => format!(
                "reached the end of its lifetime at {}",
                short_time(self.expire_time.as_ref())
            ),
            ("live", _) => format!(
                "it lives: until {} if not used again, until {} at most",
                short_time(self.idle_expire_time.as_ref()),
                short_time(self.expire_time.as_ref())
            ),
            (state, _) => state.to_owned(),
        }
    }
}

/// The sessions as a table.
#[must_use]
pub fn table(sessions: &[SessionView]) -> String {
    output::table(
        [
            "SESSION",
            "SUBJECT",
            "STATE",
            "KIND",
            "CREATED",
            "LAST SEEN",
            "ENDS",
        ],
        sessions.iter().map(|session| {
            [
                session.id.clone(),
                session.subject_text(),
                session.state.to_owned(),
                session.kind.clone(),
                short_time(session.create_time.as_ref()),
                short_time(session.last_seen_time.as_ref()),
                short_time(session.idle_expire_time.as_ref()),
            ]
        }),
    )
}

fn cause_words(cause: &str) -> &str {
    match cause {
        "logout" => "logged out",
        "logout_elsewhere" => "logged out from another session",
        "replaced" => "replaced by a new sign-in",
        "evicted" => "evicted, since the subject had too many",
        "revoked" => "revoked",
        "subject_revoked" => "revoked with all of the subject's",
        "all_revoked" => "revoked with everyone's",
        other => other,
    }
}

fn object_text(value: &Value) -> String {
    match value {
        Value::Object(object) if !object.is_empty() => value.to_string(),
        _ => String::new(),
    }
}

/// Something that happened to a session, or the word that events were lost.
#[derive(Clone, Debug, Serialize)]
pub struct EventView {
    /// What: `session_revoked` and its like; `watch_started`; `reset` when events may be lost.
    #[serde(rename = "type")]
    pub kind: String,
    /// When.
    pub event_time: Option<String>,
    /// The session's name.
    pub session: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// Who asked.
    pub by: Option<String>,
    /// The kind of act.
    pub cause: Option<String>,
    /// Words given with it.
    pub reason: Option<String>,
    /// Where to go on from after a break.
    pub position: String,
}

impl EventView {
    /// The event of a message; `None` for a kind that this build does not know.
    #[must_use]
    pub fn of(message: v1::WatchSessionsResponse) -> Option<Self> {
        use v1::watch_sessions_response::Item;
        let empty = |kind: &str| Self {
            kind: kind.to_owned(),
            event_time: None,
            session: None,
            subject: None,
            by: None,
            cause: None,
            reason: None,
            position: message.position.clone(),
        };
        Some(match message.item? {
            Item::Started(_) => empty("watch_started"),
            Item::Reset(_) => empty("reset"),
            Item::Event(event) => Self {
                event_time: time(event.event_time),
                session: non_empty(event.session),
                subject: principal(event.subject),
                by: non_empty(event.by),
                cause: non_empty(event.cause),
                reason: non_empty(event.reason),
                ..empty(&event.r#type)
            },
        })
    }

    /// The event as a line.
    #[must_use]
    pub fn line(&self) -> String {
        let parts = [
            short_time(self.event_time.as_ref()),
            self.kind.clone(),
            self.session
                .as_deref()
                .map(short_name)
                .unwrap_or_default()
                .to_owned(),
            self.subject.clone().unwrap_or_default(),
            self.cause.clone().unwrap_or_default(),
            self.by
                .as_ref()
                .map(|by| format!("by {by}"))
                .unwrap_or_default(),
            self.reason
                .as_ref()
                .map(|words| format!("\"{words}\""))
                .unwrap_or_default(),
        ];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        output::printable(&parts.join("  "))
    }
}
