//! A `sidegated` that runs, and what it writes.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use proto::admin::v1::{GetStatusRequest, admin_service_client::AdminServiceClient};
use tonic::transport::Channel;

use crate::harness::{tcp_channel, unix_channel, until};

/// A daemon on the files of a folder. It is stopped when dropped.
pub(crate) struct Daemon {
    child: Child,
    folder: PathBuf,
    written: Arc<Mutex<Vec<u8>>>,
    listeners: Vec<String>,
}

/// A daemon that ended, and all that it wrote to stdout and stderr.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) written: String,
}

/// The command that runs a daemon on the files of a folder.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidegated"));
    command.arg("--config").arg(folder.join("sidegate.yaml"));
    command
}

/// Runs a daemon that does not get as far as serving.
pub(crate) async fn run_to_end(command: Command) -> Ended {
    Daemon::spawn(Path::new(""), command).end().await
}

impl Daemon {
    /// Starts a daemon and waits until it serves.
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_with(folder, command(folder)).await
    }

    pub(crate) async fn start_with(folder: &Path, command: Command) -> Self {
        let started = Self::spawn(folder, command).serving().await;
        started.unwrap_or_else(|ended| panic!("{}: {}", ended.status, ended.written))
    }

    /// Starts a daemon and waits until it serves, or until it has ended.
    pub(crate) async fn try_start(folder: &Path) -> Result<Self, Ended> {
        Self::spawn(folder, command(folder)).serving().await
    }

    async fn serving(mut self) -> Result<Self, Ended> {
        if !self.serves_before_it_ends().await {
            return Err(self.end().await);
        }
        let mut admin = AdminServiceClient::new(self.admin().await);
        let status = admin.get_status(GetStatusRequest {}).await.unwrap();
        self.listeners = status.into_inner().listeners;
        Ok(self)
    }

    fn spawn(folder: &Path, mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let written = Arc::default();
        keep(child.stdout.take().unwrap(), &written);
        keep(child.stderr.take().unwrap(), &written);
        Self {
            child,
            folder: folder.to_owned(),
            written,
            listeners: Vec::new(),
        }
    }

    async fn serves_before_it_ends(&mut self) -> bool {
        let socket = self.folder.join("admin.sock");
        let mut ended = false;
        until("the daemon serves or ends", || {
            ended = self.child.try_wait().unwrap().is_some();
            let (ended, socket) = (ended, socket.clone());
            async move { ended || tokio::net::UnixStream::connect(socket).await.is_ok() }
        })
        .await;
        !ended
    }

    /// All that it wrote so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// The folder of its files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The TCP address of a listener, by its name.
    pub(crate) fn tcp(&self, name: &str) -> String {
        let lines = self.listeners.iter();
        let mut addresses = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let tcp = addresses.find(|address| !address.starts_with("unix:"));
        tcp.unwrap().to_owned()
    }

    /// gRPC over TCP, where a token names the caller.
    pub(crate) async fn grpc(&self) -> Channel {
        tcp_channel(&self.tcp("grpc")).await
    }

    /// gRPC over the unix socket, where the user of this process is the caller `desk`.
    pub(crate) async fn desk(&self) -> Channel {
        unix_channel(&self.folder.join("s.sock")).await
    }

    /// Administration.
    pub(crate) async fn admin(&self) -> Channel {
        unix_channel(&self.folder.join("admin.sock")).await
    }

    /// Sends it a signal, as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) -> Ended {
        self.signal("TERM");
        self.end().await
    }

    async fn end(mut self) -> Ended {
        let mut status = None;
        until("the daemon ends", || {
            status = self.child.try_wait().unwrap();
            std::future::ready(status.is_some())
        })
        .await;
        // Whatever was written before the end is in the pipes; both are read to their end.
        until("its output is read", || {
            std::future::ready(Arc::strong_count(&self.written) == 1)
        })
        .await;
        Ended {
            status: status.unwrap(),
            written: self.log(),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Its own child only; one that has ended is not there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects what comes out of a pipe, until it is closed.
fn keep(mut pipe: impl Read + Send + 'static, written: &Arc<Mutex<Vec<u8>>>) {
    let written = Arc::clone(written);
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut chunk) {
            written.lock().unwrap().extend_from_slice(&chunk[..count]);
        }
    });
}
