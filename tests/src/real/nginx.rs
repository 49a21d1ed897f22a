//! Debian's nginx.

use super::server::{Configuration, Kind, Launch, Place, Probe, Server};

const NGINX: Kind = Kind {
    program: "nginx",
    main: "nginx.conf",
    complete,
    launch,
};

/// Starts nginx on a whole configuration, or on what belongs into its `http` block; its servers
/// listen on `place.http()` and `place.https()`. The folders that nginx writes to are added here.
///
/// `None` where nginx is not installed: `what` is then left out, which is said.
///
/// # Panics
///
/// Panics with the log when it does not start, and under `tests/run` when it is not installed.
pub async fn start<C: Into<Configuration>>(
    what: &str,
    configuration: impl Fn(&Place) -> C,
) -> Option<Server> {
    Server::start(&NGINX, what, configuration).await
}

/// Debian's nginx was built to write to folders of an installed service.
fn complete(place: &Place, text: String) -> String {
    let mut folders = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        folders.push_str(&format!(
            "    {kind}_temp_path {}/{kind};\n",
            place.folder().display()
        ));
    }
    let is_whole = text
        .lines()
        .any(|line| line.trim_start().starts_with("http") && line.contains('{'));
    if is_whole {
        let at = text.find("http {").or_else(|| text.find("http{"));
        let at = at.expect("a block `http {`");
        let brace = at + text[at..].find('{').unwrap() + 1;
        return format!(
            "{}\n{folders}    access_log off;{}",
            &text[..brace],
            &text[brace..]
        );
    }
    format!("events {{}}\nhttp {{\n{folders}    access_log off;\n{text}\n}}\n")
}

fn launch(place: &Place) -> Launch {
    // One process: killed, it leaves no workers behind, and it stays the user who owns the folder.
    let own = format!(
        "daemon off; master_process off; pid {}/nginx.pid;",
        place.folder().display()
    );
    let folder = place.folder().display().to_string();
    let arguments = [
        "-p",
        &folder,
        "-c",
        "nginx.conf",
        "-e",
        "stderr",
        "-g",
        &own,
    ];
    Launch {
        arguments: arguments.map(str::to_owned).to_vec(),
        environment: Vec::new(),
        // Written when its ports are bound.
        probes: vec![Probe::Made("nginx.pid")],
    }
}
