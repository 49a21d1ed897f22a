//! Deciding and checking from a file, with no server: the one place that touches the engine.

use std::{path::Path, sync::Arc, time::SystemTime};

use auth_core::{
    clock::{Clock, Timestamp},
    decision::Answer,
    engine::{Engine, Parts, Who as Identity},
    explain::Explanation,
    keys::{Keyring, MasterKey},
    policy::{
        Natives, Policy,
        compile::BuiltInSources,
        diagnostic::PolicyError,
        settings::Settings,
        source::{Disk, Document},
    },
    random::SystemRandom,
    session::Tenant,
    store::memory::MemoryStore,
    wire::{Call, Credential, SessionView},
};
use proto::core::decision::response;

use crate::{
    command::can::{Question, Who},
    exit::Exit,
    failure::Failure,
    view::decision::DecisionView,
};

/// Loads a policy file and what it includes.
///
/// # Errors
///
/// Returns [`PolicyError`] with everything that is wrong, in the platform's part too.
pub fn load(path: &Path) -> Result<Policy, PolicyError> {
    let documents = Document::load(path, &Disk)?;
    // The environment belongs to a running Sidegate and not to the file.
    let settings = Settings::from_documents(&documents, None, []);
    let natives = Natives::default();
    let policy = Policy::compile(&documents, &Disk, &BuiltInSources, &natives);
    match (settings, policy) {
        (Ok(_), policy) => policy,
        (Err(error), Ok(_)) => Err(error),
        (Err(mut error), Err(other)) => {
            for diagnostic in other.diagnostics {
                if !error.diagnostics.contains(&diagnostic) {
                    error.diagnostics.push(diagnostic);
                }
            }
            Err(error)
        }
    }
}

/// The time of this machine.
#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp::EPOCH.plus(since.unwrap_or_default())
    }
}

/// Decides calls from a file. Its store is empty: only stated sessions, static tokens and the
/// tokens of issuers with keys in files stand for anybody.
pub struct Decider {
    engine: Engine,
    /// What to call where no host is given: nothing, then the first exact host of each app.
    hosts: Vec<String>,
}

impl Decider {
    /// A decider of this policy file.
    ///
    /// # Errors
    ///
    /// Returns [`Failure`] when the file does not load.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let policy = load(path).map_err(|err| Failure::policy(&err))?;
        let random = SystemRandom;
        let key = MasterKey::generate(&random)
            .map_err(|err| Failure::new(Exit::Unexpected, err.to_string()))?;
        let apps = policy.apps.all.iter();
        let hosts = std::iter::once(String::new())
            .chain(apps.filter_map(|app| app.exact_hosts.first().cloned()))
            .collect();
        let engine = Engine::new(Parts::new(
            policy,
            Arc::new(MemoryStore::new()),
            Arc::new(Keyring::new(&key, &[])),
            Arc::new(SystemClock),
            Arc::new(random),
        ));
        Ok(Self { engine, hosts })
    }

    /// Decides one call.
    pub(crate) async fn decide(&self, question: Question) -> DecisionView {
        let (who, credentials) = identity(question.who);
        let mut call = Call {
            credentials,
            data_json: question.data.into(),
            advisory: true,
            ..Call::new(question.kind, &question.method, &question.target)
        };
        if let Some(host) = question.host {
            call.authority = host;
            return view(self.engine.explain(&call, who).await);
        }
        // The host that reaches an app is the one meant; the answer of the first stands for none.
        let mut first = None;
        for host in &self.hosts {
            call.authority.clone_from(host);
            let (answer, explanation) = self.engine.explain(&call, who.clone()).await;
            let reached = explanation.app.is_some();
            let decision = view((answer, explanation));
            if reached {
                return decision;
            }
            first.get_or_insert(decision);
        }
        first.unwrap_or_default()
    }
}

fn identity(who: Who) -> (Identity, Vec<Credential>) {
    match who {
        Who::Session(session, _) => {
            let session = Arc::new(session.into_session());
            (Identity::Session(session), Vec::new())
        }
        Who::Holder(credential) => (Identity::Credentials, vec![credential]),
        Who::Nobody => (Identity::Anonymous, Vec::new()),
    }
}

fn view((answer, explanation): (Answer, Explanation)) -> DecisionView {
    let explanation = serde_json::to_vec(&explanation).unwrap_or_default();
    let decision = response(answer, SessionView::Basic, &Tenant::default());
    DecisionView::new(decision, &explanation)
}
