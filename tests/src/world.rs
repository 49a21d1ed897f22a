//! What a file of cases takes for granted, made anew for each front: policy, databases, secret
//! files, sessions, API keys and a clock that stands still.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use auth_core::{
    caller::{Caller, Grant},
    clock::{Clock as _, ManualClock, Timestamp},
    grammar::{ApiKeyText, TokenText},
    policy::{
        file::{CallerFile, EnvoyFile, ForwardAuthFile, Listen},
        scalar::{At, OneOrMany, Span},
        settings::Settings,
        source::{Disk, Document},
    },
    random::{Random as _, SystemRandom},
    session::{Identity, RevocationCause, SessionId, SessionToken, Tenant, TokenHash, TokenKind},
    store::{ApiKey, Ending, NewSession, Rotation, Store, memory::MemoryStore},
    wire::Credential,
};

use crate::{
    cases::{CaseFile, KeyFixture, Kind, Meanwhile, SessionFixture, State, StoreState, credential},
    failing_store::FailingStore,
};

/// When the clock stands, before a case moves it: 2027-01-15T08:00:00Z.
pub const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// The caller that asks where a case names none.
pub const CALLER: &str = "harness";

const HOUR: Duration = Duration::from_secs(3600);

/// A world of a case file.
#[derive(Debug)]
pub struct World {
    folder: tempfile::TempDir,
    /// The files, the main one first, with listeners and a caller for the tests.
    pub documents: Vec<Document>,
    /// The platform's part of them.
    pub settings: Settings,
    /// Where sessions are.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<ManualClock>,
    secrets: Mutex<BTreeMap<String, Secret>>,
    statements: BTreeMap<String, String>,
}

/// A credential of a fixture.
#[derive(Clone)]
struct Secret {
    text: String,
    place: Place,
    id: Option<SessionId>,
    tenant: Tenant,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Where a credential is presented.
#[derive(Clone, Debug)]
enum Place {
    Cookie(String),
    Bearer,
    Header(String),
}

impl World {
    /// Makes the world of a file.
    pub async fn new(file: &CaseFile) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("sidegate-cases-")
            .tempdir()
            .unwrap();
        let path = folder.path().join("sidegate.yaml");
        fs::write(&path, file.policy_text()).unwrap();
        write_files(folder.path(), file);
        let mut documents =
            Document::load(&path, &Disk).unwrap_or_else(|err| panic!("{}: {err}", file.name()));
        prepare(&mut documents, folder.path());
        let settings = Settings::from_documents(&documents, None, std::iter::empty())
            .unwrap_or_else(|err| panic!("{}: {err}", file.name()));
        let store: Arc<dyn Store> = match file.fixtures.store {
            StoreState::Up => Arc::new(MemoryStore::new()),
            StoreState::Down => Arc::new(FailingStore),
        };
        let world = Self {
            folder,
            documents,
            settings,
            store,
            clock: Arc::new(ManualClock::at(START)),
            secrets: Mutex::default(),
            statements: file.fixtures.afterwards.clone(),
        };
        world.fill(file).await;
        world
    }

    /// The folder with the policy file.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The policy file.
    #[must_use]
    pub fn policy_file(&self) -> PathBuf {
        self.folder().join("sidegate.yaml")
    }

    /// Does to the databases what is done after the policy was loaded.
    pub fn run_afterwards(&self) {
        for (name, statements) in &self.statements {
            execute(&self.folder().join(name), statements);
        }
    }

    /// A caller of the policy.
    #[must_use]
    pub fn caller(&self, name: Option<&str>) -> Arc<Caller> {
        let name = name.unwrap_or(CALLER);
        let found = self
            .settings
            .callers
            .iter()
            .find(|known| &*known.caller.name == name);
        Arc::clone(&found.unwrap_or_else(|| panic!("no caller `{name}`")).caller)
    }

    /// The token of a caller of the policy.
    #[must_use]
    pub fn caller_token(&self, name: Option<&str>) -> String {
        let name = name.unwrap_or(CALLER);
        let found = self
            .settings
            .callers
            .iter()
            .find(|known| &*known.caller.name == name);
        let path = found.and_then(|known| known.token_file.clone());
        let path = path.unwrap_or_else(|| panic!("caller `{name}` has no token file"));
        fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// What presents this fixture.
    #[must_use]
    pub fn credential(&self, name: &str) -> Credential {
        let secret = self.secret(name);
        match secret.place {
            Place::Cookie(cookie) => credential("cookie", &format!("{cookie}={}", secret.text)),
            Place::Bearer => credential("authorization", &format!("Bearer {}", secret.text)),
            Place::Header(header) => credential(&header, &secret.text),
        }
    }

    /// A text with the secrets of fixtures in place of `${NAME}`.
    #[must_use]
    pub fn fill_in(&self, text: &str) -> String {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets
            .iter()
            .fold(text.to_owned(), |text, (name, secret)| {
                text.replace(&format!("${{{name}}}"), &secret.text)
            })
    }

    /// Keeps a cookie that was set, or a token that was handed out, under a name.
    pub fn keep(&self, name: &str, handed: &crate::front::Handed) {
        let (text, place) = match handed {
            crate::front::Handed::Cookie(header) => {
                let pair = header.split(';').next().unwrap_or_default();
                let (cookie, token) = pair.split_once('=').expect("a cookie has a value");
                (token.to_owned(), Place::Cookie(cookie.to_owned()))
            }
            crate::front::Handed::Token(token) => (token.clone(), Place::Bearer),
        };
        let tenant = Tenant::default();
        self.put(
            name,
            Secret {
                text,
                place,
                id: None,
                tenant,
            },
        );
    }

    /// Does what happens beside the calls, in the store that the front serves.
    pub async fn meanwhile(&self, what: &Meanwhile, store: &dyn Store) {
        let now = self.clock.now();
        let by_operator = |cause| Ending {
            by: "operator".into(),
            cause,
            reason: String::new(),
        };
        match what {
            Meanwhile::Advance(span) => self.clock.advance(span_of(span)),
            Meanwhile::Revoke(name) => {
                let secret = self.secret(name);
                let ending = by_operator(RevocationCause::Revoked);
                let id = secret.id.expect("a fixture");
                store
                    .revoke(&secret.tenant, &id, ending, now)
                    .await
                    .unwrap();
            }
            Meanwhile::RevokeSubject(subject) => {
                let ending = by_operator(RevocationCause::SubjectRevoked);
                let tenant = Tenant::default();
                store
                    .revoke_subject(&tenant, subject, None, ending, now)
                    .await
                    .unwrap();
            }
            Meanwhile::RevokeAll(_) => {
                let ending = by_operator(RevocationCause::AllRevoked);
                let revoked = store
                    .revoke_all(&Tenant::default(), None, ending, now)
                    .await;
                revoked.unwrap().unwrap();
            }
            Meanwhile::RevokeKey(name) => {
                let secret = self.secret(name);
                let ending = by_operator(RevocationCause::Revoked);
                let id = secret.id.expect("a fixture");
                store
                    .revoke_key(&secret.tenant, &id, ending, now)
                    .await
                    .unwrap();
            }
            Meanwhile::Change { session, set } => {
                let secret = self.secret(session);
                let change = auth_core::store::Change::PatchAttributes {
                    set: set.clone(),
                    remove: Vec::new(),
                };
                let id = secret.id.expect("a fixture");
                let changed = store.update(&secret.tenant, &id, None, change, "service", now);
                changed.await.unwrap();
            }
            Meanwhile::Rotate(name) => {
                let secret = self.secret(name);
                self.rotate(&secret, store).await;
            }
        }
    }

    fn secret(&self, name: &str) -> Secret {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = secrets.get(name);
        secret
            .unwrap_or_else(|| panic!("no session or key `{name}`"))
            .clone()
    }

    fn put(&self, name: &str, secret: Secret) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.insert(name.to_owned(), secret);
    }

    /// Makes the fixtures, those that began first before the others: a store never goes back in
    /// time.
    async fn fill(&self, file: &CaseFile) {
        let age = |state: State| match state {
            State::Expired => 0,
            State::Idle => 1,
            _ => 2,
        };
        let mut sessions: Vec<_> = file.fixtures.sessions.iter().collect();
        sessions.sort_by_key(|(_, session)| age(session.state));
        for (name, session) in sessions {
            self.add_session(name, session).await;
        }
        for (name, key) in &file.fixtures.keys {
            self.add_key(name, key).await;
        }
    }

    async fn add_session(&self, name: &str, fixture: &SessionFixture) {
        let limits = self.settings.sessions;
        let token = SessionToken::generate(&SystemRandom, [0, 0]).unwrap();
        let created = match fixture.state {
            State::Expired => START.minus(limits.lifetime + HOUR),
            State::Idle => START.minus(limits.idle + Duration::from_secs(1)),
            _ => START,
        };
        let kind = match fixture.kind {
            Kind::Cookie => TokenKind::Cookie,
            Kind::Bearer => TokenKind::Bearer,
        };
        let tenant = fixture
            .tenant
            .as_deref()
            .map_or_else(Tenant::default, |tenant| {
                Tenant::new(tenant).expect("a tenant has a name")
            });
        let secret = Secret {
            text: TokenText::new(token.as_bytes()).as_str().to_owned(),
            place: match fixture.kind {
                Kind::Cookie => Place::Cookie(fixture.cookie.clone()),
                Kind::Bearer => Place::Bearer,
            },
            id: Some(SessionId::generate(&SystemRandom, created).unwrap()),
            tenant,
        };
        self.put(name, secret.clone());
        let is_down = self.settings_store_is_down();
        if fixture.state == State::Unknown || is_down {
            return;
        }
        let new = NewSession {
            id: secret.id.unwrap(),
            tenant: secret.tenant.clone(),
            token: token.hash(),
            kind,
            strategy: None,
            identity: identity_of(fixture, created),
            attributes: fixture.attributes.clone(),
            expires_at: created.plus(limits.lifetime),
            idle: limits.idle,
            replaces: None,
            replaces_version: None,
            limit: None,
            request: None,
            by: "fixture".into(),
        };
        self.store.create(new.clone(), created).await.unwrap();
        self.end(fixture.state, &secret, new).await;
    }

    async fn end(&self, state: State, secret: &Secret, new: NewSession) {
        let id = secret.id.unwrap();
        let cause = match state {
            State::Live | State::Expired | State::Idle | State::Unknown => return,
            State::Superseded => return self.rotate(secret, &*self.store).await,
            State::Replaced => {
                let token = SessionToken::generate(&SystemRandom, [0, 0]).unwrap();
                let successor = NewSession {
                    id: SessionId::generate(&SystemRandom, START).unwrap(),
                    token: token.hash(),
                    replaces: Some(id),
                    ..new
                };
                self.store.create(successor, START).await.unwrap();
                return;
            }
            State::SubjectRevoked => {
                let subject = new.identity.subject.expect("a subject to revoke");
                let cause = RevocationCause::SubjectRevoked;
                let ending = Ending {
                    by: "fixture".into(),
                    cause,
                    reason: String::new(),
                };
                let revoked =
                    self.store
                        .revoke_subject(&secret.tenant, &subject, None, ending, START);
                revoked.await.unwrap();
                return;
            }
            State::Revoked => RevocationCause::Revoked,
            State::LoggedOut => RevocationCause::Logout,
        };
        let ending = Ending {
            by: "fixture".into(),
            cause,
            reason: String::new(),
        };
        self.store
            .revoke(&secret.tenant, &id, ending, START)
            .await
            .unwrap();
    }

    async fn rotate(&self, secret: &Secret, store: &dyn Store) {
        let fresh = SessionToken::generate(&SystemRandom, [0, 0]).unwrap();
        let now = self.clock.now();
        let id = secret.id.expect("a fixture");
        let rotation = Rotation::Immediate;
        let rotated = store.rotate(
            &secret.tenant,
            &id,
            None,
            fresh.hash(),
            rotation,
            "service",
            now,
        );
        rotated.await.unwrap();
    }

    async fn add_key(&self, name: &str, fixture: &KeyFixture) {
        let mut bytes = [0; 32];
        SystemRandom.fill(&mut bytes).unwrap();
        let secret = Secret {
            text: ApiKeyText::new(&bytes).as_str().to_owned(),
            place: Place::Header(fixture.header.clone()),
            id: Some(SessionId::generate(&SystemRandom, START).unwrap()),
            tenant: Tenant::default(),
        };
        self.put(name, secret.clone());
        if fixture.state == State::Unknown || self.settings_store_is_down() {
            return;
        }
        let id = secret.id.unwrap();
        let key = ApiKey {
            id,
            tenant: secret.tenant.clone(),
            hash: TokenHash::of(&bytes),
            name: name.to_owned(),
            subject: fixture.subject.clone(),
            claims: fixture.claims.clone(),
            scopes: fixture.scopes.clone(),
            all_scopes: fixture.all_scopes,
            created_at: START.minus(HOUR),
            created_by: "fixture".into(),
            expires_at: (fixture.state == State::Expired).then_some(START),
            revoked: None,
        };
        self.store.create_key(key).await.unwrap();
        if fixture.state == State::Revoked {
            let what = Meanwhile::RevokeKey(name.to_owned());
            Box::pin(self.meanwhile(&what, &*self.store)).await;
        }
    }

    fn settings_store_is_down(&self) -> bool {
        format!("{:?}", self.store) == "FailingStore"
    }
}

/// The length of a span of a case file.
#[must_use]
pub fn span_of(text: &str) -> Duration {
    Span::parse(text)
        .unwrap_or_else(|| panic!("`{text}` is no span"))
        .0
}

fn identity_of(fixture: &SessionFixture, at: Timestamp) -> Identity {
    Identity {
        subject: fixture.subject.clone(),
        actor: fixture.actor.clone(),
        claims: fixture.claims.clone(),
        scopes: fixture.scopes.clone(),
        all_scopes: fixture.all_scopes,
        auth_time: fixture.subject.is_some().then_some(at),
        acr: fixture.acr.clone(),
        amr: fixture.amr.clone(),
    }
}

fn write_files(folder: &Path, file: &CaseFile) {
    for (name, statements) in &file.fixtures.databases {
        execute(&folder.join(name), statements);
    }
    for (name, text) in &file.fixtures.files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_secret(&path, text);
    }
}

fn execute(path: &Path, statements: &str) {
    let database = rusqlite::Connection::open(path).unwrap();
    database
        .execute_batch(statements)
        .unwrap_or_else(|err| panic!("{}: {err}", path.display()));
}

fn write_secret(path: &Path, text: &str) {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// All operations, for an edge that is asked about each: a case says itself what is there.
#[must_use]
pub fn operations(documents: &[Document]) -> Vec<At<String>> {
    let files = documents.iter().map(|document| &document.file);
    let names = files.flat_map(|file| file.operations.keys());
    names.map(|name| At::nowhere(name.clone())).collect()
}

/// Gives the policy listeners on free ports, and a caller that may ask, sign in and read.
fn prepare(documents: &mut [Document], folder: &Path) {
    let claims = documents
        .iter()
        .flat_map(|document| document.file.claims.keys());
    let claims = claims.map(|claim| At::nowhere(claim.clone())).collect();
    let operations = operations(documents);
    let file = &mut documents[0].file;
    let local = || At::nowhere("127.0.0.1:0".to_owned());
    file.listen = Some(Listen {
        grpc: Some(OneOrMany(vec![local()])),
        http: Some(OneOrMany(vec![local()])),
        admin: Some(At::nowhere("unix:./admin.sock".to_owned())),
        telemetry: Some(local()),
        forward_auth: Some(ForwardAuthFile {
            address: local(),
            trusted_proxies: vec![At::nowhere("127.0.0.1".to_owned())],
            caller: At::nowhere(CALLER.to_owned()),
            login: None,
            without_body: operations.clone(),
            without_peer: operations.clone(),
        }),
        envoy: Some(EnvoyFile {
            address: local(),
            caller: At::nowhere(CALLER.to_owned()),
            error_response: false,
            without_message: operations,
            without_peer: Vec::new(),
        }),
        ..Listen::default()
    });
    file.callers.insert(
        CALLER.to_owned(),
        At::nowhere(CallerFile {
            token_file: Some(At::nowhere(format!("./{CALLER}.token"))),
            may: [Grant::Authorize, Grant::SessionSelf, Grant::PeerAssert]
                .map(At::nowhere)
                .into(),
            sign_in: vec![At::nowhere("local".to_owned())],
            claims,
            ..CallerFile::default()
        }),
    );
    for caller in file.callers.values() {
        if let Some(token_file) = &caller.token_file {
            let mut bytes = [0; 32];
            SystemRandom.fill(&mut bytes).unwrap();
            let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            write_secret(&folder.join(&token_file.value), &token);
        }
    }
}
