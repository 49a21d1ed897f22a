//! Another's program while a test runs: started in a folder and on ports of its own, awaited by
//! state, stopped with all its children when dropped.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{ports::Port, real_or_left_out};
use crate::raw;

/// How long a program may take to be ready. Two loaded cores start Envoy in seconds.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// How often other ports are tried, where one was taken all the same.
const ATTEMPTS: usize = 4;

/// Where a program runs: what its configuration has to name.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    http: Port,
    https: Port,
    admin: Port,
}

impl Place {
    fn new(name: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(&format!("sidegate-{name}-"))
            .tempdir()
            .unwrap();
        // Servers give up root before they open what they serve.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            folder,
            http: Port::free(),
            https: Port::free(),
            admin: Port::free(),
        }
    }

    /// The port for plain HTTP.
    #[must_use]
    pub fn http(&self) -> u16 {
        self.http.number()
    }

    /// The port for TLS.
    #[must_use]
    pub fn https(&self) -> u16 {
        self.https.number()
    }

    /// The port for the program's own administration.
    #[must_use]
    pub fn admin(&self) -> u16 {
        self.admin.number()
    }

    /// The folder, in which the files of the configuration lie and the program runs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// The text of a configuration, and the files beside it.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// What the program is started with.
    pub main: String,
    /// Files by their name in the folder.
    pub files: Vec<(String, String)>,
}

impl Configuration {
    /// A file beside the configuration.
    #[must_use]
    pub fn file(mut self, name: &str, text: impl Into<String>) -> Self {
        self.files.push((name.to_owned(), text.into()));
        self
    }

    fn names(&self, port: u16) -> bool {
        let port = port.to_string();
        self.main.contains(&port) || self.files.iter().any(|(_, text)| text.contains(&port))
    }
}

impl<T: Into<String>> From<T> for Configuration {
    fn from(main: T) -> Self {
        Self {
            main: main.into(),
            files: Vec::new(),
        }
    }
}

/// A state that a ready program has.
#[derive(Clone, Debug)]
pub(crate) enum Probe {
    /// It takes connections.
    Listens(SocketAddr),
    /// It answers 200 and says this.
    Answers(SocketAddr, &'static str, &'static str),
    /// It has logged this.
    Logged(&'static str),
    /// It has made this file in its folder.
    Made(&'static str),
}

impl Probe {
    async fn holds(&self, place: &Place) -> bool {
        match self {
            Self::Listens(address) => tokio::net::TcpStream::connect(address).await.is_ok(),
            Self::Answers(address, target, part) => raw::get(*address, target)
                .await
                .is_ok_and(|answer| answer.status == 200 && answer.text().contains(part)),
            Self::Logged(part) => read(&place.log_file()).contains(part),
            Self::Made(file) => place.folder().join(file).exists(),
        }
    }
}

/// How a program is started on a configuration that lies in `main` of the folder.
pub(crate) struct Launch {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) probes: Vec<Probe>,
}

/// A kind of server.
pub(crate) struct Kind {
    /// Its name in `.real/bin`.
    pub(crate) program: &'static str,
    /// The name of the main file in the folder.
    pub(crate) main: &'static str,
    /// What is added to a configuration.
    pub(crate) complete: fn(&Place, String) -> String,
    /// How it is started and known to be ready.
    pub(crate) launch: fn(&Place) -> Launch,
}

/// A running program.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    child: Child,
    place: Place,
}

impl Server {
    /// Starts a program and waits until it is ready; `None` where it is not installed, which is
    /// said, and is a failure under `tests/run`. `what` names what the test is about.
    ///
    /// The configuration is asked for again with other ports when somebody took one meanwhile.
    pub(crate) async fn start<C: Into<Configuration>>(
        kind: &Kind,
        what: &str,
        configuration: impl Fn(&Place) -> C,
    ) -> Option<Self> {
        let program = real_or_left_out(kind.program, what)?;
        for _ in 0..ATTEMPTS {
            let place = Place::new(kind.program);
            let configuration = configuration(&place).into();
            match Self::attempt(kind, &program, place, configuration).await {
                Ok(server) => return Some(server),
                Err(log) if port_is_taken(&log) => {}
                Err(log) => panic!("{} did not become ready and said:\n{log}", kind.program),
            }
        }
        panic!("{} found its port taken {ATTEMPTS} times", kind.program);
    }

    async fn attempt(
        kind: &Kind,
        program: &Path,
        place: Place,
        configuration: Configuration,
    ) -> Result<Self, String> {
        let ports = [&place.http, &place.https, &place.admin];
        let named = ports
            .into_iter()
            .filter(|port| configuration.names(port.number()));
        let mut probes: Vec<_> = named.map(|port| Probe::Listens(port.address())).collect();
        for (name, text) in &configuration.files {
            fs::write(place.folder().join(name), text).unwrap();
        }
        let main = (kind.complete)(&place, configuration.main);
        fs::write(place.folder().join(kind.main), main).unwrap();
        let launch = (kind.launch)(&place);
        probes.extend(launch.probes.iter().cloned());
        let child = spawn(program, &launch, &place);
        let mut server = Self {
            name: kind.program,
            child,
            place,
        };
        server.ready(&probes).await?;
        Ok(server)
    }

    async fn ready(&mut self, probes: &[Probe]) -> Result<(), String> {
        let deadline = Instant::now() + READY_WITHIN;
        for probe in probes {
            while !probe.holds(&self.place).await {
                if let Ok(Some(status)) = self.child.try_wait() {
                    return Err(format!("{status}\n{}", self.log()));
                }
                if Instant::now() > deadline {
                    return Err(format!("still waiting for {probe:?}\n{}", self.log()));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        // Another's listener may have answered in the place of one that could not bind.
        match self.child.try_wait() {
            Ok(Some(status)) => Err(format!("{status}\n{}", self.log())),
            _ => Ok(()),
        }
    }

    /// Where it takes plain HTTP.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.place.http.address()
    }

    /// Where it takes TLS, if its configuration says so.
    #[must_use]
    pub fn https(&self) -> SocketAddr {
        self.place.https.address()
    }

    /// Where it answers about itself.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.place.admin.address()
    }

    /// Its folder, ports included.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it wrote so far, on both streams.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.place.log_file())
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it had at any time, in bytes; without its children's.
    ///
    /// # Panics
    ///
    /// Panics when it has ended.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        peak_memory(self.pid())
    }

    /// Ends it at once, as a crash would; its ports stay ours.
    pub fn kill(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("-- log of {}:\n{}", self.name, self.log());
        }
    }
}

fn spawn(program: &Path, launch: &Launch, place: &Place) -> Child {
    let log = File::create(place.log_file()).unwrap();
    Command::new(program)
        .args(&launch.arguments)
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(place.folder())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        // A group of its own, so that its children end with it.
        .process_group(0)
        .spawn()
        .unwrap_or_else(|err| panic!("cannot start `{}`: {err}", program.display()))
}

/// The most memory that a process had at any time, in bytes.
///
/// # Panics
///
/// Panics when there is no such process.
#[must_use]
pub fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    kibibytes
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap()
        * 1024
}

fn port_is_taken(log: &str) -> bool {
    log.to_lowercase().contains("address already in use")
}

fn read(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}
