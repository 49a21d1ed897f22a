//! Logging out.

use super::{CLOCK_LEEWAY, bind, identity_of, read_only};
use crate::{
    call::{CallHandle, CallSession},
    caller::Caller,
    clock::Timestamp,
    decision_point::{ClearScope, SessionCleared, SessionError},
    engine::{Engine, render},
    observe::SessionEvent,
    session::{RevocationCause, SessionId},
    store::{Ending, ForeignHandle, ForeignSession, ForeignTokenStore as _, SessionStore as _},
    wire_update::WireUpdate,
};

impl Engine {
    /// Logs out.
    pub(in crate::engine) async fn clear_session(
        &self,
        caller: &Caller,
        sealed: &[u8],
        scope: ClearScope,
    ) -> Result<SessionCleared, SessionError> {
        let handle = self.open(caller, sealed)?;
        let now = self.clock.now();
        let cause = match scope {
            ClearScope::This => RevocationCause::Logout,
            ClearScope::Others | ClearScope::All => RevocationCause::LogoutElsewhere,
        };
        let ending = Ending {
            by: caller.name.to_string(),
            cause,
            reason: String::new(),
        };
        let ended = match &handle.session {
            CallSession::Anonymous => 0,
            CallSession::Stored { id, .. } => {
                self.clear_stored(&handle, id, scope, ending, now).await?
            }
            CallSession::External { .. } => self.clear_foreign(&handle, scope, ending, now).await?,
            CallSession::ApiKey { .. } => return Err(read_only("API key")),
            CallSession::Fixed { of, .. } => return Err(read_only(of)),
        };
        if ended > 0 {
            let event = SessionEvent::Ended {
                cause,
                count: ended,
            };
            self.observer.session_changed(&caller.name, &event);
        }
        Ok(SessionCleared {
            updates: self.cleared(&handle, scope),
            ended,
        })
    }

    async fn clear_stored(
        &self,
        handle: &CallHandle,
        id: &SessionId,
        scope: ClearScope,
        ending: Ending,
        now: Timestamp,
    ) -> Result<u64, SessionError> {
        if scope == ClearScope::This {
            let live = self.store.revoke(&handle.tenant, id, ending, now).await?;
            return Ok(u64::from(live == Some(true)));
        }
        let listed = self.store.get(&handle.tenant, id, now).await?;
        let record = listed
            .filter(|listed| listed.death.is_none())
            .ok_or(SessionError::Gone)?
            .record;
        let Some(subject) = &record.identity.subject else {
            let live = self.store.revoke(&handle.tenant, id, ending, now).await?;
            return Ok(u64::from(live == Some(true) && scope == ClearScope::All));
        };
        let except = (scope == ClearScope::Others).then_some(id);
        Ok(self
            .store
            .revoke_subject(&handle.tenant, subject, except, ending, now)
            .await?)
    }

    /// Ends the use of a foreign token with us: of this one, or of all that its subject has (R18).
    async fn clear_foreign(
        &self,
        handle: &CallHandle,
        scope: ClearScope,
        ending: Ending,
        now: Timestamp,
    ) -> Result<u64, SessionError> {
        let CallSession::External {
            session,
            token_id,
            expires_at,
            identity,
            ..
        } = &handle.session
        else {
            return Ok(0);
        };
        match (scope, identity_of(identity)?.subject) {
            (ClearScope::This, _) => {
                let named = foreign_handle(session, token_id);
                let named = named.ok_or(SessionError::ReadOnly("foreign token"))?;
                let until = expires_at.plus(CLOCK_LEEWAY);
                let (tenant, issuer) = (&handle.tenant, &session.issuer);
                self.store
                    .revoke_foreign(tenant, issuer, named, until, ending, now)
                    .await?;
                Ok(1)
            }
            (ClearScope::All, Some(subject)) => {
                let (tenant, subject) = (&handle.tenant, &subject);
                Ok(self
                    .store
                    .revoke_subject(tenant, subject, None, ending, now)
                    .await?
                    .max(1))
            }
            // Which of the issuer's other sessions live only the issuer knows.
            (ClearScope::Others, _) | (ClearScope::All, None) => {
                Err(SessionError::ReadOnly("foreign token"))
            }
        }
    }

    /// What must happen on the wire after a log-out.
    fn cleared(&self, handle: &CallHandle, scope: ClearScope) -> Vec<WireUpdate> {
        if scope == ClearScope::Others {
            return Vec::new();
        }
        let policy = self.policy.load();
        let cookie = policy
            .strategies
            .cookies()
            .find(|own| *own.name == *handle.strategy);
        let mut updates: Vec<_> = cookie
            .filter(|_| handle.deliverable.cookie)
            .into_iter()
            .flat_map(render::expire)
            .collect();
        updates.extend(bind(handle, None));
        updates
    }
}

fn foreign_handle(session: &ForeignSession, token_id: &str) -> Option<ForeignHandle> {
    if token_id.is_empty() {
        let sid = session.discriminator.strip_prefix("sid:")?;
        return Some(ForeignHandle::Sid(sid.to_owned()));
    }
    Some(ForeignHandle::Jti(token_id.to_owned()))
}
