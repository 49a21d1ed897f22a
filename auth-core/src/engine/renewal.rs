//! What the use of a token leaves behind: a note that it was used, and a new one when that is due.

use super::{Engine, RENEWAL_OVERLAP, authenticate::Token, render};
use crate::{
    caller::Caller,
    clock::Timestamp,
    grammar::TokenText,
    live::Origin,
    observe::SessionEvent,
    policy::Policy,
    session::{SessionRecord, SessionToken, TokenKind},
    store::{Rotation, SessionStore as _, TokenRole},
    wire::Call,
    wire_update::WireUpdate,
};

impl Engine {
    /// Writes that a token was used.
    pub(super) async fn note_use(&self, call: &Call, token: &Token, now: Timestamp) {
        let Origin::Stored(record) = &token.cached.session.origin else {
            return;
        };
        let fresh = token.cached.role == TokenRole::Fresh;
        if fresh || token.cached.claim_touch(now) {
            let touched = self
                .store
                .touch(&call.tenant, &record.id, &token.hash, RENEWAL_OVERLAP, now)
                .await;
            // The session was good when it was loaded; that its use could not be written makes it
            // end earlier, not later.
            if touched.is_err() {
                token.cached.unclaim_touch();
            }
        }
    }

    /// Renews a token when that is due, else hands out the CSRF token that its client lacks.
    pub(super) async fn hand_out_due(
        &self,
        policy: &Policy,
        caller: &Caller,
        call: &Call,
        token: &Token,
        now: Timestamp,
    ) -> Vec<WireUpdate> {
        let Origin::Stored(record) = &token.cached.session.origin else {
            return Vec::new();
        };
        let renewed = match self.renewal_is_due(record, token, now) {
            true => Box::pin(self.renew(policy, caller, call, token, record, now)).await,
            false => None,
        };
        renewed.unwrap_or_else(|| {
            let repaired = self.repair_csrf(policy, call, token, record, now);
            repaired.into_iter().collect()
        })
    }

    /// The CSRF token that belongs to the session's cookie, where the call came without it.
    fn repair_csrf(
        &self,
        policy: &Policy,
        call: &Call,
        token: &Token,
        record: &SessionRecord,
        now: Timestamp,
    ) -> Option<WireUpdate> {
        if !policy.strategies.ask_csrf() {
            return None;
        }
        // The successor of a replaced token has a token of its own, which is not to be overwritten.
        let is_current = token.cached.role != TokenRole::Predecessor;
        if token.kind != TokenKind::Cookie || !is_current || !call.deliverable.cookie {
            return None;
        }
        let strategy = render::cookie_of(policy, Some(&token.cached.session.strategy))?;
        strategy.csrf_repair(&self.keys, call, now, record.expires_at)
    }

    fn renewal_is_due(&self, record: &SessionRecord, token: &Token, now: Timestamp) -> bool {
        let Some(renew) = self.limits.renew else {
            return false;
        };
        match token.cached.role {
            TokenRole::Current => now >= record.token_issued_at.plus(renew),
            // The successor may still be on its way; after a minute it was lost.
            TokenRole::Predecessor => {
                now >= record
                    .token_issued_at
                    .plus(std::time::Duration::from_secs(60))
            }
            TokenRole::Fresh => false,
        }
    }

    /// Gives the session a new token, if the wire can deliver it. Losing a race is no harm: the
    /// presented token stays good.
    async fn renew(
        &self,
        policy: &Policy,
        caller: &Caller,
        call: &Call,
        token: &Token,
        record: &SessionRecord,
        now: Timestamp,
    ) -> Option<Vec<WireUpdate>> {
        if !render::can_deliver(token.kind, call.deliverable) {
            return None;
        }
        let shard = self
            .keys
            .shard(&call.tenant, record.identity.subject.as_ref());
        let fresh = SessionToken::generate(&*self.random, shard).ok()?;
        let renewed = self
            .store
            .rotate(
                &call.tenant,
                &record.id,
                Some(record.version),
                fresh.hash(),
                Rotation::Renewal {
                    presented: token.hash,
                },
                &caller.name,
                now,
            )
            .await
            .ok()?;
        self.observer
            .session_changed(&caller.name, &SessionEvent::Renewed { session: record.id });
        let text = TokenText::new(fresh.as_bytes());
        let strategy = &token.cached.session.strategy;
        let updates = render::hand_out(
            policy,
            &self.keys,
            (token.kind, strategy),
            (&call.tenant, text.as_str()),
            now,
            renewed.expires_at,
        );
        Some(updates)
    }
}
