//! A sidecar from its parts: for `sidegated`, for `sidegate serve`, and for Rust programs that
//! bring checks and strategies of their own.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use auth_core::{
    check::NativeCheck,
    clock::{Clock, Timestamp},
    engine::{Engine, KeyFetchers, Parts as EngineParts},
    policy::{
        Natives,
        diagnostic::PolicyError,
        settings::{Settings, StoreChoice},
        source::Document,
    },
    random::{Random, SystemRandom},
    store::{Store, memory::MemoryStore},
    strategy::NativeStrategy,
};

use crate::{
    config::{Amend, Config, Loaded, Source},
    drain,
    edge::{envoy::EnvoyError, forward_auth::ForwardAuthError, lasting::Rhythm, proxy::ProxyError},
    jwks_fetch::HttpFetcher,
    key_files::{self, KeyFileError},
    listener::{self, BindError},
    measured::Measured,
    reload::Reloader,
    remote::RemoteError,
    server::{self, Bound},
    store::sqlite::{OpenError, SqliteOptions, SqliteStore},
    telemetry::{Metrics, Telemetry},
    tls::running::RunningListeners,
};

/// What a store in a file promises.
const EMBEDDED_PROMISE: &str = "sessions live on this node only; acknowledged writes survive \
                                process kill and power cut";
/// What a store in memory promises.
const MEMORY_PROMISE: &str = "sessions live in memory only; nothing survives a stop";

/// Why a sidecar does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is bad.
    #[error(transparent)]
    Config(#[from] PolicyError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// Forward-auth cannot be served as configured.
    #[error(transparent)]
    ForwardAuth(#[from] ForwardAuthError),
    /// The Sidegate that decides cannot be asked.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The reverse proxy cannot be served as configured.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// Envoy cannot be answered as configured.
    #[error(transparent)]
    Envoy(#[from] EnvoyError),
    /// The contract that was compiled in cannot be read.
    #[error("the contract that was compiled in is damaged: {0}")]
    Contract(String),
    /// The system refused.
    #[error("the system refused")]
    Io(#[from] io::Error),
}

/// The wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since.map_or(0, |since| since.as_micros());
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

/// Where a sidecar begins.
#[derive(Clone, Copy, Debug)]
pub struct Sidecar;

impl Sidecar {
    /// A sidecar that runs on the policy file at `path`.
    pub fn builder(path: impl Into<PathBuf>) -> SidecarBuilder {
        SidecarBuilder::new(Source::File(path.into()))
    }

    /// A sidecar that runs on these documents, the main one first.
    pub fn from_documents(documents: Vec<Document>) -> SidecarBuilder {
        SidecarBuilder::new(Source::Documents(documents))
    }
}

/// A sidecar in the making.
#[must_use]
pub struct SidecarBuilder {
    source: Source,
    amend: Option<Amend>,
    data_dir: Option<PathBuf>,
    environment: Vec<(String, String)>,
    natives: Natives,
    store: Option<Arc<dyn Store>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    serve_telemetry: bool,
    reload_on_hangup: bool,
    drain_delay: Duration,
    workers: usize,
    rhythm: Rhythm,
}

impl fmt::Debug for SidecarBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SidecarBuilder")
            .field("source", &self.source)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

impl SidecarBuilder {
    fn new(source: Source) -> Self {
        Self {
            source,
            amend: None,
            data_dir: None,
            environment: Vec::new(),
            natives: Natives::default(),
            store: None,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            serve_telemetry: true,
            reload_on_hangup: false,
            drain_delay: Duration::ZERO,
            workers: 0,
            rhythm: Rhythm::default(),
        }
    }

    /// Changes the documents after they are read, at the start and at each reload. The files stay
    /// as they are.
    pub fn amend(mut self, amend: impl Fn(&mut [Document]) + Send + Sync + 'static) -> Self {
        self.amend = Some(Amend(Arc::new(amend)));
        self
    }

    /// Keeps data here, whatever the file says.
    pub fn data_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.data_dir = Some(path.as_ref().to_owned());
        self
    }

    /// Overrides scalars of the file by variables named `SIDEGATE__SECTION__KEY`; others are not
    /// looked at. By default nothing is overridden.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment = variables.into_iter().collect();
        self
    }

    /// Keeps sessions here, whatever the file says.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Takes the time from here.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes randomness from here.
    pub fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// Registers a check under the name that the file has for it.
    pub fn native_check(mut self, name: &str, check: Arc<dyn NativeCheck>) -> Self {
        self.natives.checks.insert(name.to_owned(), check);
        self
    }

    /// Registers a strategy under the name that the file has for it.
    pub fn native_strategy(mut self, name: &str, strategy: Arc<dyn NativeStrategy>) -> Self {
        self.natives.strategies.insert(name.to_owned(), strategy);
        self
    }

    /// Whether health and metrics are served. By default they are.
    pub const fn serve_telemetry(mut self, serve: bool) -> Self {
        self.serve_telemetry = serve;
        self
    }

    /// Whether SIGHUP reads the configuration again. By default it is left to the program; changes
    /// of files are seen in any case.
    pub const fn reload_on_hangup(mut self, reload: bool) -> Self {
        self.reload_on_hangup = reload;
        self
    }

    /// How long to serve on after being told to stop, so that whoever sends requests sees that
    /// this sidecar is not ready. By default not at all.
    pub const fn drain_delay(mut self, delay: Duration) -> Self {
        self.drain_delay = delay;
        self
    }

    /// Serves connections on this many threads of its own, each with a runtime of its own. By
    /// default there are none, and the runtime that runs the sidecar serves them.
    pub const fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// How often open tunnels and streamed answers ask whether their session still lives (R17). By
    /// default every 5 seconds; where nobody can tell for 30 seconds they end.
    pub const fn rhythm(mut self, rhythm: Rhythm) -> Self {
        self.rhythm = rhythm;
        self
    }

    /// The settings as they would be used, for a program that has to know some before it binds.
    ///
    /// # Errors
    ///
    /// Returns [`StartError::Config`] when the configuration is bad.
    pub fn settings(&self) -> Result<Settings, StartError> {
        let config = self.config();
        Ok(config.settings(&config.documents()?)?)
    }

    fn config(&self) -> Config {
        Config {
            source: self.source.clone(),
            amend: self.amend.clone(),
            data_dir: self.data_dir.clone(),
            environment: self.environment.clone(),
            natives: self.natives.clone(),
            own_uid: listener::own_uid(),
        }
    }

    /// Reads the configuration, opens the store and binds all sockets.
    ///
    /// # Errors
    ///
    /// Returns [`StartError`]; nothing is then listening.
    pub async fn bind(self) -> Result<Bound, StartError> {
        let config = self.config();
        let Loaded {
            settings,
            policy,
            callers,
            tls,
        } = config.load()?;
        let telemetry = Arc::new(Telemetry::new(Arc::new(Metrics::new())));
        let (store, store_promise) = open_store(self.store, &settings)?;
        let keys = key_files::load(&settings.keys, &*self.random, self.clock.now())?;
        let fetchers = fetchers();
        let engine = Arc::new(Engine::new(EngineParts {
            policy,
            limits: settings.sessions,
            store: Arc::new(Measured::new(store, Arc::clone(telemetry.metrics()))),
            keys: Arc::new(keys),
            clock: Arc::clone(&self.clock),
            random: self.random,
            observer: telemetry.clone(),
            fetchers: fetchers.clone(),
        }));
        let callers = Arc::new(ArcSwap::from_pointee(callers));
        let tls = RunningListeners::new(tls);
        let reloader = Arc::new(Reloader::new(
            config,
            Arc::clone(&engine),
            (Arc::clone(&callers), tls.clone()),
            settings.clone(),
            Arc::clone(&telemetry),
            self.clock,
        ));
        // Listened for before anything is served: until then, SIGHUP ends a process.
        let hangup = self.reload_on_hangup.then(drain::hangups).transpose()?;
        server::bind(server::Parts {
            engine,
            fetchers,
            reloader,
            callers,
            tls,
            telemetry,
            settings,
            store_promise,
            serve_telemetry: self.serve_telemetry,
            hangup,
            drain_delay: self.drain_delay,
            workers: self.workers,
            rhythm: self.rhythm,
        })
        .await
    }
}

/// What fetches the keys of issuers.
fn fetchers() -> KeyFetchers {
    KeyFetchers {
        public: Arc::new(HttpFetcher::new(false)),
        private: Arc::new(HttpFetcher::new(true)),
    }
}

/// The store, and what it promises in words.
fn open_store(
    given: Option<Arc<dyn Store>>,
    settings: &Settings,
) -> Result<(Arc<dyn Store>, String), StartError> {
    if let Some(store) = given {
        return Ok((
            store,
            "sessions live in a store of the program's own".into(),
        ));
    }
    if let Some(remote) = &settings.remote {
        let promise = format!(
            "decisions are asked of the Sidegate at `{}`",
            remote.address
        );
        return Ok((Arc::new(MemoryStore::new()), promise));
    }
    match &settings.store {
        StoreChoice::Memory => Ok((Arc::new(MemoryStore::new()), MEMORY_PROMISE.into())),
        StoreChoice::Embedded(folder) => {
            let store = SqliteStore::open(folder, SqliteOptions::default())?;
            let promise = format!("store in `{}`: {EMBEDDED_PROMISE}", folder.display());
            Ok((Arc::new(store), promise))
        }
    }
}
