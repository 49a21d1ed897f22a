//! A running `sidegate dev`, as a user starts it.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// The demo shop on free ports; stopped and gone when dropped.
#[derive(Debug)]
pub struct Shop {
    child: Child,
    folder: tempfile::TempDir,
    greeting: Value,
}

impl Shop {
    /// Starts the shop and waits until it is ready.
    ///
    /// # Panics
    ///
    /// Panics when it does not start.
    #[must_use]
    pub fn start(program: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("sidegate-shop-")
            .tempdir()
            .unwrap();
        let mut child = Command::new(program)
            .args(["dev", "--port", "0", "-o", "json"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting = lines
            .next()
            .expect("`sidegate dev` says that it is ready")
            .unwrap();
        // What follows is read away, so that the pipe never fills.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            folder,
            greeting: serde_json::from_str(&greeting).unwrap(),
        }
    }

    /// The directory of the shop.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address of gRPC on TCP.
    #[must_use]
    pub fn grpc(&self) -> String {
        self.tcp("grpc")
    }

    /// The address of JSON over HTTP.
    #[must_use]
    pub fn http(&self) -> String {
        self.tcp("http")
    }

    /// What `SIDEGATE_ADDR` should be.
    #[must_use]
    pub fn admin(&self) -> String {
        self.greeting["admin"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The file with the caller's token.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.folder().join("shop.token")
    }

    fn tcp(&self, name: &str) -> String {
        let addresses = self.greeting[name].as_array();
        let mut addresses = addresses.into_iter().flatten().filter_map(Value::as_str);
        let tcp = addresses.find(|address| !address.starts_with("unix:"));
        tcp.expect("a TCP address").to_owned()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Its own child only; SIGTERM is not in the standard library, and nothing here needs it
        // to drain.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
