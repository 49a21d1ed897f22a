//! Reads the configuration again when it changed or when told to. A good one takes over at once; a
//! bad one changes nothing, and says so in log, metric and status (F-19).

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use auth_core::{
    clock::{Clock, Timestamp},
    engine::Engine,
    policy::{
        diagnostic::PolicyError,
        settings::{Listen, Settings, Tls},
    },
    session::TokenHash,
};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{
    signal::unix::Signal,
    sync::{Mutex, Notify},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Loaded},
    identify::KnownCallers,
    telemetry::Telemetry,
    tls::running::RunningListeners,
};

/// How long to wait for more changes after one: editors and mounts change files in several steps.
const SETTLE: Duration = Duration::from_millis(100);
/// How often to look without having been told, for file systems that tell nothing.
const LOOK_ANYWAY: Duration = Duration::from_secs(60);

/// What is known of the configuration in force, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigStatus {
    /// The version of the policy.
    pub version: Arc<str>,
    /// Its main file.
    pub file: String,
    /// When it came into force.
    pub loaded_at: Timestamp,
    /// How many operations it declares.
    pub operations: usize,
    /// What was wrong when it was last read, and when that was.
    pub last_error: Option<(String, Timestamp)>,
}

/// Reads the configuration again.
#[derive(Debug)]
pub struct Reloader {
    config: Config,
    engine: Arc<Engine>,
    callers: Arc<ArcSwap<KnownCallers>>,
    tls: RunningListeners,
    settings: ArcSwap<Settings>,
    telemetry: Arc<Telemetry>,
    clock: Arc<dyn Clock>,
    status: RwLock<ConfigStatus>,
    /// What was read last, good or bad. One reload at a time.
    seen: Mutex<TokenHash>,
}

impl Reloader {
    /// Reloads what `engine` runs on already.
    #[must_use]
    pub fn new(
        config: Config,
        engine: Arc<Engine>,
        (callers, tls): (Arc<ArcSwap<KnownCallers>>, RunningListeners),
        settings: Settings,
        telemetry: Arc<Telemetry>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let policy = engine.policy();
        let now = clock.now();
        telemetry.metrics().config_read(true, now);
        telemetry.log_one_allow_in(settings.telemetry.log_one_allow_in);
        Self {
            status: RwLock::new(ConfigStatus {
                version: Arc::clone(&policy.version),
                file: config.name(),
                loaded_at: now,
                operations: policy.operation_count(),
                last_error: None,
            }),
            seen: Mutex::new(config.fingerprint()),
            settings: ArcSwap::from_pointee(settings),
            config,
            engine,
            callers,
            tls,
            telemetry,
            clock,
        }
    }

    /// What is in force, and what was wrong last.
    #[must_use]
    pub fn status(&self) -> ConfigStatus {
        let status = self.status.read();
        status.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Reads the configuration again, changed or not.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with it; nothing has then changed.
    pub async fn reload(&self) -> Result<ConfigStatus, PolicyError> {
        let mut seen = self.seen.lock().await;
        // Taken first: what changes while the files are read is then looked at once more.
        *seen = self.config.fingerprint();
        let result = self.config.load();
        let now = self.clock.now();
        self.telemetry.metrics().config_read(result.is_ok(), now);
        match result {
            Ok(loaded) => Ok(self.replace(loaded, now)),
            Err(error) => {
                tracing::error!(
                    %error,
                    file = self.config.name(),
                    "the configuration is bad: the old one stays in force"
                );
                self.note(|status| status.last_error = Some((error.to_string(), now)));
                Err(error)
            }
        }
    }

    /// Reads the configuration again if a file changed.
    pub async fn reload_if_changed(&self) {
        let is_same = *self.seen.lock().await == self.config.fingerprint();
        if !is_same {
            // What is wrong was noted where it was found.
            let _ = self.reload().await;
        }
    }

    fn replace(&self, loaded: Loaded, now: Timestamp) -> ConfigStatus {
        let old = self.settings.load_full();
        for section in needs_restart(&old, &loaded.settings) {
            tracing::warn!(section, "this change takes a restart: the old value stays");
        }
        let version = Arc::clone(&loaded.policy.version);
        let operations = loaded.policy.operation_count();
        for warning in &loaded.policy.warnings {
            tracing::warn!(%warning, "the configuration deserves a look");
        }
        self.telemetry
            .log_one_allow_in(loaded.settings.telemetry.log_one_allow_in);
        self.callers.store(Arc::new(loaded.callers));
        self.tls.replace(loaded.tls);
        self.settings.store(Arc::new(loaded.settings));
        self.engine.replace_policy(loaded.policy);
        tracing::info!(
            %version,
            operations,
            file = self.config.name(),
            "the configuration was read again and is in force"
        );
        self.note(|status| {
            status.version = version;
            status.operations = operations;
            status.loaded_at = now;
            status.last_error = None;
        });
        self.status()
    }

    fn note(&self, change: impl FnOnce(&mut ConfigStatus)) {
        let status = self.status.write();
        change(&mut status.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for changes of files, and for SIGHUP where it is listened for, until told to stop.
    pub async fn watch(&self, mut hangup: Option<Signal>, stop: CancellationToken) {
        let changed = Arc::new(Notify::new());
        let mut watcher = self.watcher(&changed);
        loop {
            let told = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let is_told = tokio::select! {
                () = stop.cancelled() => return,
                _ = told => true,
                () = changed.notified() => false,
                () = tokio::time::sleep(LOOK_ANYWAY) => false,
            };
            if is_told {
                tracing::info!("told by SIGHUP to read the configuration again");
                let _ = self.reload().await;
            } else {
                tokio::time::sleep(SETTLE).await;
                self.reload_if_changed().await;
            }
            if let Some(watcher) = &mut watcher {
                self.watch_folders(watcher);
            }
        }
    }

    /// Tells `changed` of changes in the folders. Folders and not files are watched, since a mount
    /// swaps whole folders by a link.
    fn watcher(&self, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
        let changed = Arc::clone(changed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading the files is an event too, and none that matters.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                changed.notify_one();
            }
        });
        match watcher {
            Ok(mut watcher) => {
                self.watch_folders(&mut watcher);
                Some(watcher)
            }
            Err(error) => {
                tracing::warn!(%error, "files cannot be watched: changes are seen with delay");
                None
            }
        }
    }

    /// Watches all folders, new ones too; watching one twice changes nothing.
    fn watch_folders(&self, watcher: &mut RecommendedWatcher) {
        for folder in self.config.folders() {
            watch_folder(watcher, &folder);
        }
    }
}

fn watch_folder(watcher: &mut RecommendedWatcher, folder: &Path) {
    if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
        tracing::debug!(%error, folder = %folder.display(), "a folder cannot be watched");
    }
}

/// The new listeners with the old names of the files of TLS: other files are followed, but not that
/// there are some or none.
fn with_tls_of(old: &Listen, new: &Listen) -> Listen {
    let kept = |old: &Option<Tls>, new: &Option<Tls>| match (old, new) {
        (Some(old), Some(_)) => Some(old.clone()),
        (_, new) => new.clone(),
    };
    let mut listen = new.clone();
    listen.tls = kept(&old.tls, &new.tls);
    if let (Some(old), Some(new)) = (&old.proxy, &mut listen.proxy) {
        new.tls = kept(&old.tls, &new.tls);
    }
    listen
}

/// The sections whose change a running process cannot follow.
fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let pairs = [
        (
            "listen",
            old.listen != with_tls_of(&old.listen, &new.listen),
        ),
        ("store", old.store != new.store),
        ("sessions", old.sessions != new.sessions),
        ("keys", old.keys != new.keys),
        (
            "telemetry",
            (old.telemetry.log, &old.telemetry.log_filter)
                != (new.telemetry.log, &new.telemetry.log_filter),
        ),
    ];
    let changed = pairs.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(section, _)| section).collect()
}
