//! Running a case against a front.

use auth_core::{
    clock::{Clock as _, Timestamp},
    decision_point::{ClearScope, SessionWrite, SetSession, SignIn},
    session::{Identity, Tenant},
    wire::Credential,
};
use bytes::Bytes;

use crate::{
    cases::{CallFile, Case, Expect, SignInStep, Step, credential},
    front::{Asked, Front, Observed, Reply, Write},
    world::{World, span_of},
};

/// What a front answered to each step that asks for something, with what was expected.
pub type Answers = Vec<(Observed, Expect)>;

/// Runs a case.
pub async fn run(front: &dyn Front, case: &Case) -> Answers {
    if let Some(call) = &case.call {
        let reply = decide(front, case, call).await;
        return vec![(reply.observed, case.expect.clone().unwrap_or_default())];
    }
    let mut answers = Vec::new();
    let mut last = Last::default();
    for step in &case.steps {
        if let Some(what) = &step.meanwhile {
            front.world().meanwhile(what, &*front.store()).await;
        } else {
            let reply = take(front, case, step, &mut last).await;
            answers.push((reply.observed, step.expect.clone().unwrap_or_default()));
        }
    }
    answers
}

/// What the steps before left.
#[derive(Default)]
struct Last {
    handle: Bytes,
    caller: Option<String>,
    etag: String,
}

async fn take(front: &dyn Front, case: &Case, step: &Step, last: &mut Last) -> Reply {
    let reply = match &step.call {
        Some(call) => {
            last.caller.clone_from(&call.caller);
            decide(front, case, call).await
        }
        None => {
            let write = write_of(front.world(), step, last);
            let caller = step.caller.as_ref().or(last.caller.as_ref());
            front
                .write(caller.map(String::as_str), last.handle.clone(), write)
                .await
        }
    };
    if let Some(handle) = &reply.handle {
        last.handle = handle.clone();
    }
    if !reply.etag.is_empty() {
        last.etag.clone_from(&reply.etag);
    }
    let keep = [
        step.sign_in.as_ref().and_then(|step| step.keep.as_ref()),
        step.patch.as_ref().and_then(|step| step.keep.as_ref()),
        step.call.as_ref().and_then(|call| call.keep.as_ref()),
    ];
    if let Some(name) = keep.into_iter().flatten().next() {
        let handed = reply.handed.first();
        let handed = handed.unwrap_or_else(|| panic!("{}: nothing was handed out", case.name));
        front.world().keep(name, handed);
        if let Some(second) = reply.handed.get(1) {
            front.world().keep(&format!("{name}.csrf"), second);
        }
    }
    reply
}

async fn decide(front: &dyn Front, case: &Case, file: &CallFile) -> Reply {
    let world = front.world();
    let mut call = file.call(credentials(world, file));
    // A key may stand in the query.
    call.target = world.fill_in(&call.target);
    if let Some(tenant) = &file.tenant {
        call.tenant = Tenant::new(tenant).expect("a tenant has a name");
    }
    for attribute in &mut call.attributes {
        let value = String::from_utf8_lossy(&attribute.value);
        attribute.value = world.fill_in(&value).into();
    }
    let caller = file.caller.as_deref();
    front.decide(Asked { caller, call, case }).await
}

fn credentials(world: &World, file: &CallFile) -> Vec<Credential> {
    let named = file.who.list().iter().map(|name| world.credential(name));
    let literal = file.credentials.iter().flatten();
    let literal = literal.map(|(place, value)| credential(place, &world.fill_in(value)));
    named.chain(literal).collect()
}

fn write_of(world: &World, step: &Step, last: &Last) -> Write {
    if let Some(sign_in) = &step.sign_in {
        return Write::SignIn {
            sign_in: Box::new(sign_in_of(sign_in, world.clock.now())),
            request_id: sign_in.request_id.clone(),
        };
    }
    if let Some(patch) = &step.patch {
        return Write::Patch(Box::new(SetSession {
            call: Bytes::new(),
            change: SessionWrite::Patch {
                set: patch.set.clone(),
                remove: patch.remove.clone(),
            },
            etag: match patch.etag.as_str() {
                "read" => last.etag.clone(),
                "stale" => "\"999\"".to_owned(),
                other => other.to_owned(),
            },
            request_id: String::new(),
        }));
    }
    match step.clear.as_deref() {
        Some("this") => Write::Clear(ClearScope::This),
        Some("others") => Write::Clear(ClearScope::Others),
        Some("all") => Write::Clear(ClearScope::All),
        Some(other) => panic!("`{other}` cannot be cleared"),
        None => Write::Read,
    }
}

fn sign_in_of(step: &SignInStep, now: Timestamp) -> SignIn {
    let ahead = step
        .auth_time_ahead
        .as_deref()
        .map(span_of)
        .unwrap_or_default();
    SignIn {
        identity: Identity {
            subject: step.subject.clone(),
            actor: step.actor.clone(),
            claims: step.claims.clone(),
            scopes: step.scopes.clone(),
            auth_time: (!step.no_auth_time).then_some(now.plus(ahead)),
            ..Identity::default()
        },
        attributes: step.attributes.clone(),
        ttl: step.ttl.as_deref().map(span_of),
    }
}
