//! With `sidegate can`, from the file and with no server.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, sync::Arc};

use auth_core::store::Store;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Asked, Front, Observed, Reply, Write};
use crate::{
    cases::{Case, CaseFile, SessionFixture, State},
    world::World,
};

/// The command on a policy file.
#[derive(Debug)]
pub struct CommandLine {
    world: World,
    program: PathBuf,
    sessions: BTreeMap<String, SessionFixture>,
}

impl CommandLine {
    /// The command on the world of a file.
    pub async fn new(file: &CaseFile, program: PathBuf) -> Self {
        let world = World::new(file).await;
        Self {
            world,
            program,
            sessions: file.fixtures.sessions.clone(),
        }
    }
}

#[async_trait::async_trait]
impl Front for CommandLine {
    fn name(&self) -> &'static str {
        "cli"
    }

    /// Single calls by nobody, or with one live session, which is stated.
    fn carries(&self, case: &Case) -> bool {
        let Some(call) = &case.call else {
            return false;
        };
        let is_live = |name: &String| {
            let session = self.sessions.get(name);
            session.is_some_and(|session| session.state == State::Live)
        };
        let stated = match call.who.list() {
            [] => true,
            [name] => is_live(name),
            _ => false,
        };
        // It loads the file anew each time, so nothing can break after the load.
        let breaks = case
            .expect
            .as_ref()
            .and_then(|expect| expect.outcome.as_deref());
        // It asks about permissions, as the app's own pages would.
        let is_of_sites = case
            .expect
            .as_ref()
            .is_some_and(|expect| expect.reason.as_deref() == Some("cross_site"));
        stated
            && !is_of_sites
            && breaks != Some("undetermined")
            && call.credentials.is_empty()
            && call.attributes.iter().all(is_assumed)
            && call.data_text.is_none()
            && call.data_complete.is_none()
            && !call.data_pending
            && call.peer.is_empty()
            && call.identity.is_empty()
            && call.certificate.is_empty()
            && call.caller.is_none()
            && call.tenant.is_none()
            && call.target().2.chars().all(|c| !c.is_control())
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.world.store)
    }

    async fn decide(&self, asked: Asked<'_>) -> Reply {
        let call = asked.case.call.as_ref().expect("a single call");
        let (kind, method, target) = call.target();
        let target = if method.is_empty() {
            target
        } else {
            format!("{method} {target}")
        };
        let mut command = Command::new(&self.program);
        command
            .args([
                "can",
                &target,
                "--wire",
                kind.as_str(),
                "-o",
                "json",
                "--config",
            ])
            .arg(self.world.policy_file())
            .stdin(Stdio::null());
        if !asked.call.authority.is_empty() {
            command.args(["--host", &asked.call.authority]);
        }
        if let Some(data) = &call.data {
            command.args(["--data", &data.to_string()]);
        }
        if let [name] = call.who.list() {
            command.args(["--session", &stated(&self.sessions[name])]);
        }
        let output = command.output().await.unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        let answer: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|err| panic!("{}: {err}\n{words}", asked.case.name));
        observe(&answer, output.status.code())
    }

    async fn write(&self, _: Option<&str>, _: Bytes, _: Write) -> Reply {
        panic!("`sidegate can` writes no session")
    }
}

/// It asks as the app's own pages do.
fn is_assumed(attributes: &BTreeMap<String, String>) -> bool {
    let mut attributes = attributes.iter();
    attributes.all(|(name, value)| name == "sec-fetch-site" && value == "same-origin")
}

fn stated(session: &SessionFixture) -> String {
    json!({
        "subject": session.subject,
        "actor": session.actor,
        "claims": session.claims,
        "attributes": session.attributes,
        "scopes": session.scopes,
        "all_scopes": session.all_scopes,
        "acr": session.acr,
        "amr": session.amr,
    })
    .to_string()
}

fn observe(answer: &Value, exit: Option<i32>) -> Reply {
    let at = |pointer: &str| answer.pointer(pointer).cloned().unwrap_or_default();
    let text = |pointer: &str| json!(at(pointer).as_str().unwrap_or_default());
    let outcome = text("/outcome");
    let codes = [
        ("allow", 0),
        ("deny", 10),
        ("unauthenticated", 11),
        ("invalid", 12),
        ("limited", 13),
        ("undetermined", 7),
    ];
    let code = codes
        .iter()
        .find(|(name, _)| outcome == *name)
        .map(|(_, code)| *code);
    assert_eq!(code, exit, "the exit code of {outcome}");
    let observed: Observed = [
        ("outcome", outcome),
        ("reason", text("/reason/code")),
        ("operation", text("/operation")),
        ("requirement", text("/reason/requirement")),
        ("checks", at("/reason/checks")),
        ("required_scopes", at("/reason/required_scopes")),
        ("detail", text("/reason/detail")),
    ]
    .into();
    Reply {
        observed,
        ..Reply::default()
    }
}
