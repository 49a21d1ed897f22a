//! A `sidegate serve` in a process of its own.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tokio::time::Instant;

use crate::raw;

/// A `sidegate serve` on the file `sidegate.yaml` of a folder, where its data and its log lie, too.
/// It is ended with the value.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    folder: PathBuf,
}

impl Daemon {
    /// Starts the command `program` on what is in the folder.
    ///
    /// # Panics
    ///
    /// Panics when it cannot be started.
    #[must_use]
    pub fn start(program: &Path, folder: &Path) -> Self {
        let child = Command::new(program)
            .args(["serve", "--config", "sidegate.yaml", "--data-dir", "data"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn();
        Self {
            child: child.unwrap(),
            folder: folder.to_owned(),
        }
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    ///
    /// Panics when the system does not tell.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Waits until `/readyz` at this address answers so, and gives its text.
    ///
    /// # Panics
    ///
    /// Panics with the log when it does not.
    pub async fn readyz(&self, telemetry: SocketAddr, status: u16) -> String {
        let deadline = Instant::now() + raw::DEADLINE;
        loop {
            let said = raw::get(telemetry, "/readyz?verbose").await;
            match said {
                Ok(answer) if answer.status == status => return answer.text(),
                _ if Instant::now() > deadline => panic!("no {status}: {said:?}\n{}", self.log()),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
