//! What `dev` says at the start: where it listens, and lines to paste.

use std::path::{Path, PathBuf};

use auth_core::policy::settings::Address;
use serde::Serialize;
use sidecar::server::Addresses;

use super::shop;
use crate::{failure::Failure, style};

const TRY_CURL: &str = include_str!("../../../demo/try-curl.sh");
const TRY_JSON: &str = include_str!("../../../demo/try-json.sh");
const TRY_GRPC: &str = include_str!("../../../demo/try_grpc.py");

/// What is running, and where.
#[derive(Debug, Serialize)]
pub(super) struct Greeting {
    /// Tells it from the decisions.
    event: &'static str,
    /// The directory.
    dir: PathBuf,
    /// Whether the directory goes when this ends.
    temporary: bool,
    /// gRPC.
    grpc: Vec<String>,
    /// JSON over HTTP.
    http: Vec<String>,
    /// The reverse proxy.
    proxy: Option<String>,
    /// Administration: what `SIDEGATE_ADDR` should be.
    admin: String,
    /// Health and metrics.
    telemetry: Option<String>,
    /// The file with the caller's token.
    token_file: Option<PathBuf>,
}

impl Greeting {
    pub(super) fn new(
        addresses: &Addresses,
        dir: &Path,
        token_file: Option<PathBuf>,
        temporary: bool,
    ) -> Self {
        let texts = |list: &[Address]| list.iter().map(text).collect();
        Self {
            event: "ready",
            dir: dir.to_owned(),
            temporary,
            grpc: texts(&addresses.grpc),
            http: texts(&addresses.http),
            proxy: addresses.proxy.as_ref().map(text),
            admin: addresses.admin.as_ref().map(text).unwrap_or_default(),
            telemetry: addresses.telemetry.as_ref().map(text),
            token_file,
        }
    }

    /// Writes the files to try the shop with, for the addresses of this run.
    pub(super) fn write_files(&self) -> Result<(), Failure> {
        for (name, text, mode) in [
            ("try-curl.sh", self.fill(TRY_CURL), 0o755),
            ("try-json.sh", self.fill(TRY_JSON), 0o755),
            ("try_grpc.py", self.fill(TRY_GRPC), 0o644),
            ("shop.curl", self.curl_config()?, 0o600),
        ] {
            let path = self.dir.join(name);
            // These are made anew: ports differ from run to run.
            let _ = std::fs::remove_file(&path);
            shop::create(&path, text.as_bytes(), mode)?;
        }
        Ok(())
    }

    /// The headers of each request, in a file that only its owner may read.
    fn curl_config(&self) -> Result<String, Failure> {
        let token = match &self.token_file {
            Some(path) => crate::input::token_file(path)?,
            None => String::new(),
        };
        Ok(format!(
            "header = \"authorization: Bearer {token}\"\nheader = \"content-type: application/json\"\n"
        ))
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{dir}", &self.dir.display().to_string())
            .replace("{http}", &format!("http://{}", self.tcp(&self.http)))
            .replace("{shop}", &self.shop_url())
            .replace("{grpc}", self.tcp(&self.grpc))
            .replace("{admin}", &self.admin)
            .replace("{sidegate}", &program())
    }

    /// By the name that cookies of `Secure` are sent to without TLS as well.
    fn shop_url(&self) -> String {
        let port = self
            .proxy
            .as_deref()
            .and_then(|address| address.rsplit(':').next());
        format!("http://localhost:{}", port.unwrap_or("7483"))
    }

    fn tcp<'a>(&self, addresses: &'a [String]) -> &'a str {
        let tcp = addresses
            .iter()
            .find(|address| !address.starts_with("unix:"));
        tcp.map_or("", String::as_str)
    }

    /// The greeting for people.
    pub(super) fn people(&self, is_shop: bool) -> String {
        let mut parts = vec![self.facts()];
        if is_shop {
            parts.push(self.shop());
        }
        let program = program();
        parts.push(format!(
            "{}\n  export SIDEGATE_ADDR={}\n  {program} status\n  {program} session list",
            style::bold("Administer it from another terminal:"),
            self.admin
        ));
        parts.push(style::dim("Decisions follow. Ctrl-C ends it."));
        parts.join("\n\n")
    }

    fn facts(&self) -> String {
        let kept = if self.temporary {
            " (gone when this ends)"
        } else {
            ""
        };
        let token = match &self.token_file {
            Some(path) => format!("\n  caller's token  {}", path.display()),
            None => String::new(),
        };
        let proxy = match &self.proxy {
            Some(_) => format!(
                "\n  the shop        {} (behind the reverse proxy)",
                self.shop_url()
            ),
            None => String::new(),
        };
        format!(
            "{}\n  directory       {}{kept}\n  gRPC            {}\n  JSON over HTTP  {}\n  admin           {}{token}{proxy}",
            style::bold("Sidegate is running."),
            self.dir.display(),
            self.grpc.join(", "),
            self.http.join(", "),
            self.admin,
        )
    }

    fn shop(&self) -> String {
        let dir = self.dir.display();
        let program = program();
        format!(
            "{}\n{}\n\n{}\n  sh {dir}/try-json.sh\n\n{}\n  python {dir}/try_grpc.py    # pip install grpcio grpcio-reflection\n\n{}\n  \
             {program} can \"DELETE /books/b1\" --config {dir}/sidegate.yaml --as rita --explain\n  \
             {program} can \"DELETE /books/b2\" --config {dir}/sidegate.yaml --as rita --explain",
            style::bold(&format!("curl (also: sh {dir}/try-curl.sh)")),
            indent(&self.fill(TRY_CURL)),
            style::bold("curl, by the API that apps call"),
            style::bold("Python over gRPC"),
            style::bold("sidegate"),
        )
    }
}

/// The address, without the `.` that a file's relative path leaves in it.
fn text(address: &Address) -> String {
    match address {
        Address::Unix(path) => format!("unix:{}", path.components().collect::<PathBuf>().display()),
        tcp @ Address::Tcp(_) => tcp.to_string(),
    }
}

/// How this program is called: by its name where the shell finds it by that, else by its path.
fn program() -> String {
    const NAME: &str = "sidegate";
    let Ok(own) = std::env::current_exe() else {
        return NAME.to_owned();
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(NAME))
        .find_map(|file| file.canonicalize().ok());
    match found {
        Some(file) if file == own => NAME.to_owned(),
        _ => own.display().to_string(),
    }
}

/// The commands of a script, set off from what surrounds them.
fn indent(script: &str) -> String {
    let lines = script.lines().filter(|line| !line.starts_with("#!"));
    let lines: Vec<String> = lines
        .map(|line| format!("  {line}").trim_end().to_owned())
        .collect();
    lines.join("\n")
}
