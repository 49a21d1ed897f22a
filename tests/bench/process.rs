//! A server in a process of its own, and the CPU time that it took.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The core that servers run on; the load comes from another.
const SERVER_CORE: &str = "0";

/// A running server, ended when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    /// Starts a program that says `grpc ADDRESS` on stdout or in its log.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new("taskset")
            .args(["-c", SERVER_CORE])
            .arg(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("`taskset` of util-linux pins a server to its core");
        let outputs: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        let address = String::new();
        let mut server = Self { child, address };
        let (said, hear) = std::sync::mpsc::channel();
        for output in outputs {
            let said = said.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = said.send(line);
                }
            });
        }
        drop(said);
        let mut heard = String::new();
        for line in hear {
            if let Some((_, address)) = line.split_once("grpc 127.0.0.1:") {
                let digits = address.chars().take_while(char::is_ascii_digit);
                server.address = format!("127.0.0.1:{}", digits.collect::<String>());
                return server;
            }
            heard.push_str(&line);
            heard.push('\n');
        }
        panic!("`{}` does not serve:\n{heard}", program.display());
    }

    /// The CPU time of all its threads so far, as the scheduler of Linux counts it.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let spent = tasks.filter_map(|task| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(spent.sum())
    }

    /// Its resident memory in KiB: `VmRSS` for all of it, `RssAnon` and `RssFile` for its parts.
    pub(crate) fn resident(&self, part: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(part)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
