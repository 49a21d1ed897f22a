//! The sealed handle of a call: "the wire I was called on" (R26).
//!
//! It goes to the app with an allow and comes back to read or change the session. Nobody outside
//! can read or make one, only the caller it names may use it, and it ends after five minutes.

use std::{sync::Arc, time::Duration};

use crate::{
    caller::Caller,
    clock::Timestamp,
    keys::Keyring,
    random::Random,
    session::{SessionId, Tenant, TokenHash},
    store::ForeignSession,
    wire::{Deliverable, WireKind},
};

/// The longest handle accepted, in bytes: claims of a foreign token may be in it.
const MAX_SEALED_BYTES: usize = 24 * 1024;

/// How long a handle is good.
pub const CALL_LIFETIME: Duration = Duration::from_secs(300);

/// Whose session a call has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallSession {
    /// Nobody's.
    Anonymous,
    /// One of our store.
    Stored {
        /// The session.
        id: SessionId,
        /// The hash of the token that was presented.
        token: TokenHash,
    },
    /// One of an external issuer.
    External {
        /// The session at the issuer.
        session: ForeignSession,
        /// The token's id (`jti`); empty when it has none.
        token_id: String,
        /// When the token ends.
        expires_at: Timestamp,
        /// When the certificate ends that it is bound to, where that is known.
        proven_until: Option<Timestamp>,
        /// Who it is for, as JSON: the token is not there when the handle comes back.
        identity: String,
    },
    /// One of an API key of ours, which cannot be changed.
    ApiKey {
        /// The key.
        id: SessionId,
        /// The hash of the key, by which the store finds it.
        hash: TokenHash,
        /// Who it is for, as JSON: what its strategy made of the key's scopes is in it.
        identity: String,
    },
    /// One that cannot be changed: of a static token or a native strategy.
    Fixed {
        /// What it is of, in words.
        of: String,
        /// When it ends, where that is known.
        expires_at: Option<Timestamp>,
        /// Who it is for, as JSON.
        identity: String,
    },
}

/// The form of what is sealed: one of another form is no good.
const FORMAT: u8 = 3;

/// What a handle says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallHandle {
    /// When it was made.
    pub issued_at: Timestamp,
    /// What ends its subject's sessions from then on ends this one: when the token or certificate
    /// was issued, else when the call was allowed. Renewal does not move it.
    pub since: Timestamp,
    /// The caller that may use it.
    pub caller: Arc<str>,
    /// Whose sessions count.
    pub tenant: Tenant,
    /// The kind of wire.
    pub kind: WireKind,
    /// The app.
    pub app: Arc<str>,
    /// The operation.
    pub operation: Arc<str>,
    /// The strategy that found the session; empty when anonymous.
    pub strategy: Arc<str>,
    /// The connection, where there is one.
    pub connection_id: String,
    /// What the edge can deliver.
    pub deliverable: Deliverable,
    /// Whether it only tells if a call that lasts may go on, and neither reads nor writes. Such a
    /// handle is renewed for as long as the session lives, which one that writes must not be.
    pub continues: bool,
    /// Whose session it is.
    pub session: CallSession,
}

impl CallHandle {
    /// Seals the handle; `None` when no randomness can be had.
    #[must_use]
    pub fn seal(&self, keys: &Keyring, random: &dyn Random) -> Option<Vec<u8>> {
        keys.seal(random, &self.encode())
    }

    /// Opens a handle that `caller` presents at `now`; `None` when it is not good, for whatever
    /// reason.
    #[must_use]
    pub fn open(sealed: &[u8], keys: &Keyring, caller: &Caller, now: Timestamp) -> Option<Self> {
        if sealed.len() > MAX_SEALED_BYTES {
            return None;
        }
        let handle = Self::decode(&keys.open(sealed, now)?)?;
        let good = *handle.caller == *caller.name
            && handle.tenant == caller.tenant
            && now < handle.ends_at()
            && handle.issued_at <= now.plus(Duration::from_secs(60));
        good.then_some(handle)
    }

    /// When the handle ends: five minutes after it was made, and with a foreign token or a
    /// certificate before that.
    fn ends_at(&self) -> Timestamp {
        let end = self.issued_at.plus(CALL_LIFETIME);
        match &self.session {
            CallSession::External {
                expires_at,
                proven_until,
                ..
            } => end.min(*expires_at).min(proven_until.unwrap_or(end)),
            CallSession::Fixed { expires_at, .. } => end.min(expires_at.unwrap_or(end)),
            CallSession::Anonymous | CallSession::Stored { .. } | CallSession::ApiKey { .. } => end,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer(Vec::with_capacity(160));
        out.byte(FORMAT);
        out.time(self.issued_at);
        out.time(self.since);
        out.text(&self.caller);
        out.text(self.tenant.as_str());
        out.text(self.kind.as_str());
        out.text(&self.app);
        out.text(&self.operation);
        out.text(&self.strategy);
        out.text(&self.connection_id);
        let Deliverable {
            cookie,
            token,
            connection,
        } = self.deliverable;
        let deliverable = u8::from(cookie) | u8::from(token) << 1 | u8::from(connection) << 2;
        out.byte(deliverable | u8::from(self.continues) << 3);
        match &self.session {
            CallSession::Anonymous => out.byte(0),
            CallSession::Stored { id, token } => {
                out.byte(1);
                out.0.extend_from_slice(id.as_bytes());
                out.0.extend_from_slice(token.as_bytes());
            }
            CallSession::External {
                session,
                token_id,
                expires_at,
                proven_until,
                identity,
            } => {
                out.byte(2);
                out.text(&session.issuer);
                out.text(&session.subject);
                out.text(&session.discriminator);
                out.text(token_id);
                out.time(*expires_at);
                out.end(*proven_until);
                out.text(identity);
            }
            CallSession::ApiKey { id, hash, identity } => {
                out.byte(4);
                out.0.extend_from_slice(id.as_bytes());
                out.0.extend_from_slice(hash.as_bytes());
                out.text(identity);
            }
            CallSession::Fixed {
                of,
                expires_at,
                identity,
            } => {
                out.byte(3);
                out.text(of);
                out.end(*expires_at);
                out.text(identity);
            }
        }
        out.0
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader(bytes);
        if input.byte()? != FORMAT {
            return None;
        }
        let (issued_at, since) = (input.time()?, input.time()?);
        let caller = input.text()?.into();
        let tenant = Tenant::new(&input.text()?)?;
        let kind = WireKind::parse(&input.text()?)?;
        let (app, operation) = (input.text()?.into(), input.text()?.into());
        let (strategy, connection_id) = (input.text()?.into(), input.text()?);
        let bits = input.byte()?;
        let handle = Self {
            issued_at,
            since,
            caller,
            tenant,
            kind,
            app,
            operation,
            strategy,
            connection_id,
            deliverable: Deliverable {
                cookie: bits & 1 != 0,
                token: bits & 2 != 0,
                connection: bits & 4 != 0,
            },
            continues: bits & 8 != 0,
            session: input.session()?,
        };
        input.0.is_empty().then_some(handle)
    }
}

/// Writes fields with their lengths in front.
struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn time(&mut self, time: Timestamp) {
        self.0.extend_from_slice(&time.as_micros().to_be_bytes());
    }

    /// A time that may be none.
    fn end(&mut self, time: Option<Timestamp>) {
        self.byte(u8::from(time.is_some()));
        if let Some(time) = time {
            self.time(time);
        }
    }

    fn text(&mut self, text: &str) {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let text = text.as_bytes().get(..usize::from(length));
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(text.unwrap_or_default());
    }
}

/// Reads what [`Writer`] wrote.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.take()
            .map(|bytes| Timestamp::from_micros(i64::from_be_bytes(bytes)))
    }

    /// A time that may be none; the outer `None` is no time at all.
    fn end(&mut self) -> Option<Option<Timestamp>> {
        match self.byte()? {
            0 => Some(None),
            1 => self.time().map(Some),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(u16::from_be_bytes(self.take()?));
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        String::from_utf8(head.to_vec()).ok()
    }

    fn session(&mut self) -> Option<CallSession> {
        Some(match self.byte()? {
            0 => CallSession::Anonymous,
            1 => CallSession::Stored {
                id: SessionId::from_bytes(self.take()?),
                token: TokenHash::from_bytes(self.take()?),
            },
            2 => CallSession::External {
                session: ForeignSession {
                    issuer: self.text()?,
                    subject: self.text()?,
                    discriminator: self.text()?,
                },
                token_id: self.text()?,
                expires_at: self.time()?,
                proven_until: self.end()?,
                identity: self.text()?,
            },
            3 => CallSession::Fixed {
                of: self.text()?,
                expires_at: self.end()?,
                identity: self.text()?,
            },
            4 => CallSession::ApiKey {
                id: SessionId::from_bytes(self.take()?),
                hash: TokenHash::from_bytes(self.take()?),
                identity: self.text()?,
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys::MasterKey, random::SystemRandom};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn handle(session: CallSession) -> CallHandle {
        CallHandle {
            issued_at: NOW,
            since: NOW.minus(Duration::from_secs(9)),
            caller: "shop".into(),
            tenant: Tenant::default(),
            kind: WireKind::Http,
            app: "shop".into(),
            operation: "login".into(),
            strategy: "cookie".into(),
            connection_id: String::new(),
            deliverable: Deliverable {
                cookie: true,
                token: false,
                connection: true,
            },
            continues: false,
            session,
        }
    }

    fn external(expires_at: Timestamp) -> CallSession {
        CallSession::External {
            session: ForeignSession {
                issuer: "https://id.example".into(),
                subject: "u1".into(),
                discriminator: "s".into(),
            },
            token_id: "j".into(),
            expires_at,
            proven_until: None,
            identity: "{}".into(),
        }
    }

    fn bound(proven_until: Timestamp) -> CallSession {
        let token_ends = NOW.plus(CALL_LIFETIME);
        match external(token_ends) {
            CallSession::External {
                session,
                token_id,
                expires_at,
                identity,
                ..
            } => CallSession::External {
                session,
                token_id,
                expires_at,
                proven_until: Some(proven_until),
                identity,
            },
            other => other,
        }
    }

    fn fixed(expires_at: Option<Timestamp>) -> CallSession {
        CallSession::Fixed {
            of: "static token".into(),
            expires_at,
            identity: "{}".into(),
        }
    }

    fn keys() -> Keyring {
        Keyring::new(&MasterKey::from_bytes([7; 32]), &[])
    }

    #[test]
    fn a_handle_comes_back_as_it_went() {
        for session in [
            CallSession::Anonymous,
            CallSession::Stored {
                id: SessionId::from_bytes([1; 16]),
                token: TokenHash::from_bytes([2; 32]),
            },
            external(NOW.plus(CALL_LIFETIME)),
            CallSession::ApiKey {
                id: SessionId::from_bytes([3; 16]),
                hash: TokenHash::from_bytes([4; 32]),
                identity: "{}".into(),
            },
            bound(NOW.plus(CALL_LIFETIME)),
            fixed(None),
            fixed(Some(NOW.plus(CALL_LIFETIME))),
        ] {
            let sent = CallHandle {
                continues: matches!(session, CallSession::Fixed { .. }),
                ..handle(session)
            };
            let sealed = sent.seal(&keys(), &SystemRandom).unwrap();
            assert_eq!(
                CallHandle::open(&sealed, &keys(), &Caller::new("shop"), NOW),
                Some(sent)
            );
        }
    }

    #[test]
    fn a_handle_ends_with_its_foreign_token_or_its_certificate() {
        let end = NOW.plus(Duration::from_secs(60));
        for session in [external(end), bound(end), fixed(Some(end))] {
            let sealed = handle(session).seal(&keys(), &SystemRandom).unwrap();
            for (seconds, good) in [(59, true), (60, false)] {
                let now = NOW.plus(Duration::from_secs(seconds));
                let opened = CallHandle::open(&sealed, &keys(), &Caller::new("shop"), now);
                assert_eq!(opened.is_some(), good, "after {seconds} s");
            }
        }
    }

    #[test]
    fn a_handle_is_good_for_its_caller_and_five_minutes_only() {
        let sealed = handle(CallSession::Anonymous)
            .seal(&keys(), &SystemRandom)
            .unwrap();
        let open =
            |caller: &str, now| CallHandle::open(&sealed, &keys(), &Caller::new(caller), now);
        assert!(open("shop", NOW.plus(Duration::from_millis(299_999))).is_some());
        assert!(open("shop", NOW.plus(Duration::from_secs(300))).is_none());
        assert!(open("other", NOW).is_none());
    }
}
