//! What a schedule does.

use super::{Answer, Bench, Summary, reference::Reference};
use crate::{
    clock::Timestamp,
    session::{SessionId, SessionRecord, TokenHash},
    store::{
        BeyondLimit, Change, NewSession, Rotation, SubjectLimit,
        contract::{OVERLAP, everywhere, object, operator, principal},
    },
};

/// One verb with all it is given.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Create(Box<NewSession>),
    Touch {
        id: SessionId,
        token: TokenHash,
    },
    Rotate {
        id: SessionId,
        expected: Option<u64>,
        token: TokenHash,
        rotation: Rotation,
    },
    Patch {
        id: SessionId,
        expected: Option<u64>,
        key: String,
    },
    Revoke(SessionId),
    RevokeSubject {
        subject: &'static str,
        except: Option<SessionId>,
    },
    RevokeAll(Option<u64>),
    Sweep,
}

impl Act {
    /// The act that a number stands for.
    pub(super) fn resolve(number: u64, bench: &Bench, reference: &Reference) -> Self {
        let choice = usize::try_from(number >> 8 & 0xff_ffff).unwrap_or(0);
        let Some((id, token, version)) = reference.pick(choice) else {
            return Self::create(choice, bench, None);
        };
        // One in four expects a version, at times a stale one.
        let expected = choice
            .is_multiple_of(4)
            .then_some(version.saturating_sub(choice as u64 / 4 % 3));
        match number & 0x1f {
            0..=7 => Self::create(choice, bench, Some(id)),
            8..=13 => Self::Touch { id, token },
            14..=19 => Self::Rotate {
                id,
                expected,
                token: bench.token(),
                rotation: Rotation::Renewal { presented: token },
            },
            20..=21 => Self::Rotate {
                id,
                expected,
                token: bench.token(),
                rotation: Rotation::Immediate,
            },
            22..=25 => Self::Patch {
                id,
                expected,
                key: format!("key{}", choice % 5),
            },
            26..=27 => Self::Revoke(id),
            28..=29 => Self::RevokeSubject {
                subject: SUBJECTS[choice % 3],
                except: choice.is_multiple_of(2).then_some(id),
            },
            30 => Self::RevokeAll(choice.is_multiple_of(3).then_some(choice as u64 % 4)),
            _ => Self::Sweep,
        }
    }

    fn create(choice: usize, bench: &Bench, some: Option<SessionId>) -> Self {
        let subject = SUBJECTS[choice % 3];
        let mut new = bench.draft(subject);
        let beyond = match subject {
            "u2" => Some(BeyondLimit::EvictOldest),
            "u3" => Some(BeyondLimit::Refuse),
            _ => None,
        };
        new.limit = beyond.map(|beyond| SubjectLimit { max: 2, beyond });
        new.replaces = some.filter(|_| choice.is_multiple_of(5));
        if choice % 4 == 1 {
            new.request = Some(TokenHash::of(&[choice as u8 / 4 % 3]));
        }
        Self::Create(Box::new(new))
    }

    /// The token that the act would bring into being.
    pub(super) fn new_token(&self) -> Option<TokenHash> {
        match self {
            Self::Create(new) => Some(new.token),
            Self::Rotate { token, .. } => Some(*token),
            _ => None,
        }
    }
}

const SUBJECTS: [&str; 3] = ["u1", "u2", "u3"];

/// Has the store do it.
pub(super) async fn perform(bench: Bench, act: Act, now: Timestamp) -> Answer {
    let (store, tenant) = (&bench.store, &bench.tenant);
    match act {
        Act::Create(new) => record(store.create(*new, now).await.map(|made| made.record)),
        Act::Touch { id, token } => {
            let answer = store.touch(tenant, &id, &token, OVERLAP, now).await;
            answer.unwrap();
            Answer::Done
        }
        Act::Rotate {
            id,
            expected,
            token,
            rotation,
        } => {
            let answer = store.rotate(tenant, &id, expected, token, rotation, "shop", now);
            record(answer.await)
        }
        Act::Patch { id, expected, key } => {
            let change = Change::PatchAttributes {
                set: object(&key, "set"),
                remove: Vec::new(),
            };
            let answer = store.update(tenant, &id, expected, change, "shop", now);
            record(answer.await)
        }
        Act::Revoke(id) => {
            let answer = store.revoke(tenant, &id, operator(), now).await;
            Answer::Ended(answer.unwrap())
        }
        Act::RevokeSubject { subject, except } => {
            let subject = principal(subject);
            let except = except.as_ref();
            let answer = store.revoke_subject(tenant, &subject, except, everywhere(), now);
            Answer::Number(Ok(answer.await.unwrap()))
        }
        Act::RevokeAll(expected) => {
            let answer = store.revoke_all(tenant, expected, operator(), now).await;
            Answer::Number(answer.unwrap())
        }
        Act::Sweep => {
            let swept = store.sweep(10_000, now).await.unwrap();
            Answer::Number(Ok(swept.expired.len() as u64))
        }
    }
}

fn record<E: ToString>(answer: Result<SessionRecord, E>) -> Answer {
    let answer = answer.as_ref().map(Summary::from);
    Answer::Record(answer.map_err(ToString::to_string))
}
