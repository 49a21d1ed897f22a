//! A server in a process of its own, and the CPU time that it took.

use std::{
    collections::HashMap,
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
    /// Where it serves gRPC.
    pub(crate) address: String,
    /// Where it serves what, by the name that it says.
    pub(crate) addresses: HashMap<String, String>,
}

impl Server {
    /// Starts a program that says `grpc ADDRESS` on stdout or in its log.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Self {
        Self::start_with(program, arguments, &["grpc"])
    }

    /// The same, of one that says an address under each of these names.
    pub(crate) fn start_with(program: &Path, arguments: &[&str], names: &[&str]) -> Self {
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
        let mut server = Self {
            child,
            address: String::new(),
            addresses: HashMap::new(),
        };
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
            server.note(&line);
            if names
                .iter()
                .all(|&name| server.addresses.contains_key(name))
            {
                server.address.clone_from(&server.addresses["grpc"]);
                return server;
            }
            heard.push_str(&line);
            heard.push('\n');
        }
        panic!("`{}` does not serve:\n{heard}", program.display());
    }

    /// Keeps the address that a line says, if it says one.
    fn note(&mut self, line: &str) {
        let Some((before, after)) = line.split_once(" 127.0.0.1:") else {
            return;
        };
        let name = before.rsplit(' ').next().unwrap();
        let digits = after.chars().take_while(char::is_ascii_digit);
        let address = format!("127.0.0.1:{}", digits.collect::<String>());
        self.addresses.entry(name.to_owned()).or_insert(address);
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").arg(id).status();
        assert!(asked.unwrap().success());
        let _ = self.child.wait();
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(self.pid())
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

/// The CPU time of all threads of a process so far, as the scheduler of Linux counts it.
pub(crate) fn cpu(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let spent = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

/// Moves a process that somebody else started, with all its threads, to the core of servers.
pub(crate) fn pin(pid: u32) {
    let moved = Command::new("taskset")
        .args(["-a", "-c", "-p", SERVER_CORE, &pid.to_string()])
        .stdout(Stdio::null())
        .status();
    assert!(moved.unwrap().success(), "process {pid} cannot be moved");
}
