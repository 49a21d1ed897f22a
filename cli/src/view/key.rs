//! API keys as they are printed.

use std::time::SystemTime;

use proto::admin::v1;
use serde::Serialize;
use serde_json::Value;

use super::{json, non_empty, principal, short_name, short_time, time};
use crate::output;

/// An API key; never the key itself.
#[derive(Clone, Debug, Serialize)]
pub struct KeyView {
    /// Its public handle.
    pub id: String,
    /// Its resource name.
    pub name: String,
    /// `live`, `expired` by this machine's clock, or `revoked`.
    pub state: &'static str,
    /// What people call it.
    pub display_name: String,
    /// For whom it acts.
    pub subject: Option<String>,
    /// The scopes granted.
    pub scopes: Vec<String>,
    /// Whether every scope counts as granted.
    pub all_scopes: bool,
    /// Facts about the holder.
    pub claims: Value,
    /// When it was made.
    pub create_time: Option<String>,
    /// Who made it.
    pub creator: String,
    /// When it ends.
    pub expire_time: Option<String>,
    /// When it was revoked.
    pub revoke_time: Option<String>,
    /// Who revoked it and why.
    pub revocation: Option<String>,
}

impl From<v1::ApiKey> for KeyView {
    fn from(key: v1::ApiKey) -> Self {
        Self {
            id: short_name(&key.name).to_owned(),
            state: state(&key, SystemTime::now()),
            name: key.name,
            display_name: key.display_name,
            subject: principal(key.subject),
            scopes: key.scopes,
            all_scopes: key.all_scopes,
            claims: json(&key.claims_json),
            create_time: time(key.create_time),
            creator: key.creator,
            expire_time: time(key.expire_time),
            revoke_time: time(key.revoke_time),
            revocation: non_empty(key.revocation),
        }
    }
}

fn state(key: &v1::ApiKey, now: SystemTime) -> &'static str {
    let is_over =
        |end: prost_types::Timestamp| SystemTime::try_from(end).is_ok_and(|end| end <= now);
    if key.revoke_time.is_some() {
        "revoked"
    } else if key.expire_time.is_some_and(is_over) {
        "expired"
    } else {
        "live"
    }
}

impl KeyView {
    fn scopes_text(&self) -> String {
        match self.all_scopes {
            true => "all".to_owned(),
            false => self.scopes.join(" "),
        }
    }

    /// The key in full, for people.
    #[must_use]
    pub fn people(&self) -> String {
        output::pairs([
            ("key", self.id.clone()),
            ("name", self.display_name.clone()),
            ("subject", self.subject.clone().unwrap_or_default()),
            ("scopes", self.scopes_text()),
            ("created", short_time(self.create_time.as_ref())),
            ("ends", short_time(self.expire_time.as_ref())),
        ])
    }
}

/// The keys as a table.
#[must_use]
pub fn table(keys: &[KeyView]) -> String {
    output::table(
        [
            "KEY", "STATE", "NAME", "SUBJECT", "SCOPES", "CREATED", "ENDS", "REVOKED",
        ],
        keys.iter().map(|key| {
            [
                key.id.clone(),
                key.state.to_owned(),
                key.display_name.clone(),
                key.subject.clone().unwrap_or_default(),
                key.scopes_text(),
                short_time(key.create_time.as_ref()),
                short_time(key.expire_time.as_ref()),
                short_time(key.revoke_time.as_ref()),
            ]
        }),
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_key_lives_until_it_ends_or_is_revoked() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        for (expire_time, revoke_time, expected) in [
            (None, None, "live"),
            (at(11), None, "live"),
            (at(10), None, "expired"),
            (at(10), at(9), "revoked"),
        ] {
            let key = v1::ApiKey {
                expire_time,
                revoke_time,
                ..v1::ApiKey::default()
            };
            assert_eq!(state(&key, UNIX_EPOCH + Duration::from_secs(10)), expected);
        }
    }
}
