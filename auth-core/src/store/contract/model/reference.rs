//! The obvious store: a list that is searched from the start and changed in place.

use super::{Answer, Seen, Summary, act::Act};
use crate::{
    clock::Timestamp,
    session::{Expiry, Revocation, RevocationCause, SessionId, TokenHash},
    store::{
        BeyondLimit, CreateError, Death, Ending, NewSession, Rotation, TokenRole, UpdateError,
        contract::{OVERLAP, everywhere, object, operator, principal},
        rules::{REQUEST_WINDOW, TOMBSTONE_RETENTION},
    },
};

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Current,
    Fresh,
    Old(Option<Timestamp>),
    Dead(Timestamp),
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    new: NewSession,
    summary: Summary,
    tokens: Vec<(TokenHash, Token)>,
    ended: Option<Death>,
    swept: bool,
}

impl Session {
    pub(super) fn tokens(&self) -> impl Iterator<Item = TokenHash> {
        self.tokens.iter().map(|(hash, _)| *hash)
    }

    fn death(&self, now: Timestamp) -> Option<Death> {
        let idle_end = self.summary.last_seen.plus(self.new.idle);
        match () {
            () if self.ended.is_some() => self.ended.clone(),
            () if now >= self.new.expires_at => Some(expired(Expiry::Lifetime)),
            () if now >= idle_end => Some(expired(Expiry::Idle)),
            () => None,
        }
    }

    fn role(&self, token: &TokenHash, now: Timestamp) -> Option<TokenRole> {
        let (_, state) = self.tokens.iter().find(|(hash, _)| hash == token)?;
        match state {
            Token::Current => Some(TokenRole::Current),
            Token::Fresh => Some(TokenRole::Fresh),
            Token::Old(Some(until)) if now >= *until => None,
            Token::Old(_) => Some(TokenRole::Predecessor),
            Token::Dead(_) => None,
        }
    }
}

fn expired(limit: Expiry) -> Death {
    Death::Expired { limit }
}

fn revoked(ending: Ending, now: Timestamp) -> Death {
    Death::Revoked(Revocation {
        at: now,
        by: ending.by,
        cause: ending.cause,
        reason: ending.reason,
    })
}

#[derive(Clone, Debug, Default)]
pub(super) struct Reference {
    sessions: Vec<Session>,
    /// Tokens of sessions that are forgotten.
    forgotten: Vec<TokenHash>,
    requests: Vec<(TokenHash, SessionId, Timestamp)>,
    highest: Timestamp,
}

impl Reference {
    /// The time to decide by.
    pub(super) fn see(&mut self, now: Timestamp) -> Timestamp {
        self.highest = self.highest.max(now);
        self.highest
    }

    pub(super) fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = TokenHash> {
        let held = self.sessions.iter().flat_map(Session::tokens);
        held.chain(self.forgotten.iter().copied())
    }

    /// Some session, some token of it, and its version.
    pub(super) fn pick(&self, choice: usize) -> Option<(SessionId, TokenHash, u64)> {
        let recent = self.sessions.iter().rev().take(6).count();
        let session = self.sessions.iter().rev().nth(choice % recent.max(1))?;
        // The newest tokens are the most telling ones.
        let tokens = session.tokens.len();
        let index = tokens - 1 - (choice / 8 % 3).min(tokens - 1);
        let (token, _) = session.tokens[index];
        Some((session.new.id, token, session.summary.version))
    }

    pub(super) fn count(&self, subject: &str, now: Timestamp) -> u64 {
        let now = now.max(self.highest);
        self.live_of(Some(subject), now).len() as u64
    }

    pub(super) fn load(&self, token: &TokenHash, now: Timestamp) -> Seen {
        let owns = |session: &&Session| session.tokens().any(|hash| hash == *token);
        let Some(session) = self.sessions.iter().find(owns) else {
            return Seen::Unknown;
        };
        match (session.death(now), session.role(token, now)) {
            (Some(death), _) => Seen::Dead(session.new.id, death),
            (None, Some(role)) => Seen::Live(role, session.summary.clone()),
            (None, None) => Seen::Dead(session.new.id, Death::Superseded),
        }
    }

    pub(super) fn apply(&mut self, act: &Act, now: Timestamp) -> Answer {
        match act {
            Act::Create(new) => self.create(new, now),
            Act::Touch { id, token } => self.touch(id, token, now),
            Act::Rotate {
                id,
                expected,
                token,
                rotation,
            } => {
                let version = *expected;
                told(self.rotate(id, version, *token, *rotation, now))
            }
            Act::Patch { id, expected, key } => told(self.patch(id, *expected, key, now)),
            Act::Revoke(id) => Answer::Ended(self.revoke(id, operator(), now)),
            Act::RevokeSubject { subject, except } => {
                Answer::Number(Ok(self.revoke_subject(subject, except.as_ref(), now)))
            }
            Act::RevokeAll(expected) => Answer::Number(self.revoke_all(*expected, now)),
            Act::Sweep => Answer::Number(Ok(self.sweep(now))),
        }
    }

    fn create(&mut self, new: &NewSession, now: Timestamp) -> Answer {
        let exists = Answer::Record(Err(CreateError::Exists.to_string()));
        let first = self
            .requests
            .iter()
            .find(|(request, _, until)| Some(*request) == new.request && now < *until);
        if let Some((_, first, _)) = first {
            let first = *first;
            let subject = &new.identity.subject;
            let same = self
                .live(&first, now)
                .is_some_and(|session| session.new.identity.subject == *subject);
            if !same {
                return exists;
            }
            return told(self.rotate(&first, None, new.token, Rotation::Immediate, now));
        }
        if new
            .replaces
            .is_some_and(|old| self.live(&old, now).is_none())
        {
            return Answer::Record(Err(CreateError::Gone.to_string()));
        }
        let subject = new.identity.subject.as_ref().unwrap().id().to_owned();
        let mut live = self.live_of(Some(&subject), now);
        live.retain(|(_, id)| Some(*id) != new.replaces);
        let mut evicted = Vec::new();
        if let Some(limit) = new.limit {
            let surplus = (live.len() + 1).saturating_sub(limit.max as usize);
            if surplus > 0 && limit.beyond == BeyondLimit::Refuse {
                let refused = CreateError::LimitReached(limit.max);
                return Answer::Record(Err(refused.to_string()));
            }
            evicted.extend(live.iter().take(surplus).map(|(_, id)| *id));
        }
        for (id, cause) in new
            .replaces
            .map(|id| (id, RevocationCause::Replaced))
            .into_iter()
            .chain(evicted.into_iter().map(|id| (id, RevocationCause::Evicted)))
        {
            let ending = Ending {
                by: new.by.clone(),
                cause,
                reason: String::new(),
            };
            self.revoke(&id, ending, now);
        }
        if let Some(request) = new.request {
            self.requests.retain(|(held, ..)| *held != request);
            self.requests
                .push((request, new.id, now.plus(REQUEST_WINDOW)));
        }
        let summary = Summary {
            id: new.id,
            version: 1,
            attributes: new.attributes.len(),
            created_at: now,
            expires_at: new.expires_at,
            last_seen: now,
            token_issued_at: now,
        };
        self.sessions.push(Session {
            new: new.clone(),
            summary: summary.clone(),
            tokens: vec![(new.token, Token::Current)],
            ended: None,
            swept: false,
        });
        Answer::Record(Ok(summary))
    }

    fn touch(&mut self, id: &SessionId, token: &TokenHash, now: Timestamp) -> Answer {
        if let Some(session) = self.live(id, now)
            && let Some(role) = session.role(token, now)
        {
            session.summary.last_seen = session.summary.last_seen.max(now);
            for (_, state) in &mut session.tokens {
                match (role, &state) {
                    (TokenRole::Fresh, Token::Fresh) => *state = Token::Current,
                    (TokenRole::Fresh, Token::Old(None)) => {
                        *state = Token::Old(Some(now.plus(OVERLAP)));
                    }
                    _ => {}
                }
            }
        }
        Answer::Done
    }

    fn rotate(
        &mut self,
        id: &SessionId,
        expected: Option<u64>,
        token: TokenHash,
        rotation: Rotation,
        now: Timestamp,
    ) -> Result<Summary, UpdateError> {
        let session = self.live_at(id, expected, now)?;
        let mut kept = None;
        if let Rotation::Renewal { presented } = rotation {
            let owned = session.tokens.iter().find(|(hash, _)| *hash == presented);
            match owned {
                Some((_, Token::Old(Some(_)))) => {
                    let current = session.summary.version;
                    return Err(UpdateError::Conflict { current });
                }
                Some((_, Token::Dead(_))) | None => return Err(UpdateError::Gone),
                Some(_) => kept = Some(presented),
            }
        }
        for (hash, state) in &mut session.tokens {
            match state {
                _ if Some(*hash) == kept => *state = Token::Old(None),
                Token::Dead(_) => {}
                _ => *state = Token::Dead(now),
            }
        }
        let state = match kept {
            Some(_) => Token::Fresh,
            None => Token::Current,
        };
        session.tokens.push((token, state));
        session.summary.version += 1;
        session.summary.token_issued_at = now;
        Ok(session.summary.clone())
    }

    fn patch(
        &mut self,
        id: &SessionId,
        expected: Option<u64>,
        key: &str,
        now: Timestamp,
    ) -> Result<Summary, UpdateError> {
        let session = self.live_at(id, expected, now)?;
        session.new.attributes.extend(object(key, "set"));
        session.summary.attributes = session.new.attributes.len();
        session.summary.version += 1;
        Ok(session.summary.clone())
    }

    fn revoke(&mut self, id: &SessionId, ending: Ending, now: Timestamp) -> Option<bool> {
        self.sessions.iter().find(|session| session.new.id == *id)?;
        let Some(session) = self.live(id, now) else {
            return Some(false);
        };
        session.ended = Some(revoked(ending, now));
        Some(true)
    }

    fn revoke_subject(&mut self, subject: &str, except: Option<&SessionId>, now: Timestamp) -> u64 {
        let mut lived = 0;
        for session in &mut self.sessions {
            if session.new.identity.subject != Some(principal(subject)) {
                continue;
            }
            let death = session.death(now);
            if death.is_none() && except == Some(&session.new.id) {
                continue;
            }
            lived += u64::from(death.is_none());
            session.ended = death.or_else(|| Some(revoked(everywhere(), now)));
        }
        lived
    }

    fn revoke_all(&mut self, expected: Option<u64>, now: Timestamp) -> Result<u64, u64> {
        let live = self.live_of(None, now).len() as u64;
        if expected.is_some_and(|expected| expected != live) {
            return Err(live);
        }
        for session in &mut self.sessions {
            let death = session.death(now);
            session.ended = death.or_else(|| Some(revoked(operator(), now)));
        }
        Ok(live)
    }

    fn sweep(&mut self, now: Timestamp) -> u64 {
        let mut expired = 0;
        for session in &mut self.sessions {
            let death = session.death(now);
            if !session.swept && matches!(death, Some(Death::Expired { .. })) {
                session.ended = death;
                session.swept = true;
                expired += 1;
            }
        }
        let forgotten = &mut self.forgotten;
        self.sessions.retain_mut(|session| {
            let end = session.new.expires_at.plus(TOMBSTONE_RETENTION);
            session.tokens.retain(|(hash, state)| {
                let over = now >= end
                    || matches!(state, Token::Dead(since) if now >= since.plus(TOMBSTONE_RETENTION));
                forgotten.extend(over.then_some(*hash));
                !over
            });
            now < end
        });
        expired
    }

    fn live(&mut self, id: &SessionId, now: Timestamp) -> Option<&mut Session> {
        let mut sessions = self.sessions.iter_mut();
        let session = sessions.find(|session| session.new.id == *id)?;
        session.death(now).is_none().then_some(session)
    }

    fn live_at(
        &mut self,
        id: &SessionId,
        expected: Option<u64>,
        now: Timestamp,
    ) -> Result<&mut Session, UpdateError> {
        let session = self.live(id, now).ok_or(UpdateError::Gone)?;
        let current = session.summary.version;
        match expected {
            Some(expected) if expected != current => Err(UpdateError::Conflict { current }),
            _ => Ok(session),
        }
    }

    /// The live sessions of a subject or of all, oldest first.
    fn live_of(&self, subject: Option<&str>, now: Timestamp) -> Vec<(Timestamp, SessionId)> {
        let subject = subject.map(principal);
        let mut live: Vec<_> = self
            .sessions
            .iter()
            .filter(|session| session.death(now).is_none())
            .filter(|session| subject.is_none() || session.new.identity.subject == subject)
            .map(|session| (session.summary.created_at, session.new.id))
            .collect();
        live.sort();
        live
    }
}

fn told(answer: Result<Summary, UpdateError>) -> Answer {
    Answer::Record(answer.map_err(|error| error.to_string()))
}
