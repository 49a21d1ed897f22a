//! The shop as small apps in other languages, with no library of ours: `tests/apps`.

use serde_json::json;

use super::{
    folder, root,
    server::{Kind, Launch, Place, Probe, Server},
};

/// The file that says where the session API is; empty where the app does without.
const API: &str = "session-api.json";

/// What an app is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `tests/apps/shop.py`
    Python,
    /// `tests/apps/shop.js`
    Node,
    /// `tests/apps/go/shop.go`
    Go,
}

impl Language {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Python, Self::Node, Self::Go];

    /// What `GET /me` says as `app`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Go => "go",
        }
    }
}

/// Starts an app, which listens on `http()`.
///
/// `None` where the language is not installed: `what` is then left out, which is said.
///
/// # Panics
///
/// Panics with the log when it does not start, and under `tests/run` when the language is not
/// installed.
pub async fn start(language: Language, what: &str) -> Option<Server> {
    with(language, what, "").await
}

/// The same, for a proxy that shows nobody its responses: the app writes sessions by the session
/// API at this URL, with the token of a caller.
///
/// # Panics
///
/// As [`start`].
pub async fn start_with_api(
    language: Language,
    what: &str,
    (url, token): (&str, &str),
) -> Option<Server> {
    let api = json!({ "url": url, "token": token }).to_string();
    with(language, what, &api).await
}

async fn with(language: Language, what: &str, api: &str) -> Option<Server> {
    let (program, launch): (_, fn(&Place) -> Launch) = match language {
        Language::Python => ("python3", python),
        Language::Node => ("node", node),
        Language::Go => ("go", go),
    };
    let kind = Kind {
        program,
        main: API,
        complete: |_, text| text,
        launch,
    };
    Server::start(&kind, what, |_| api).await
}

fn python(place: &Place) -> Launch {
    script(&[], "shop.py", place)
}

fn node(place: &Place) -> Launch {
    script(&[], "shop.js", place)
}

/// Compiled at each start, out of a cache that `tests/run` has warmed.
fn go(place: &Place) -> Launch {
    let mut launch = script(&["run"], "go/shop.go", place);
    launch.environment = vec![
        ("CGO_ENABLED", "0".to_owned()),
        ("GO111MODULE", "on".to_owned()),
        ("GOCACHE", folder().join("go-cache").display().to_string()),
        ("GOFLAGS", String::new()),
        ("GOPATH", folder().join("go").display().to_string()),
        ("GOTMPDIR", place.folder().display().to_string()),
        ("GOTOOLCHAIN", "local".to_owned()),
    ];
    launch
}

fn script(words: &[&str], file: &str, place: &Place) -> Launch {
    let mut arguments: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
    let file = root().join("tests/apps").join(file);
    arguments.extend([file.display().to_string(), place.http().to_string()]);
    let api = place.folder().join(API);
    if api.metadata().is_ok_and(|file| file.len() > 0) {
        arguments.push(api.display().to_string());
    }
    Launch {
        arguments,
        environment: Vec::new(),
        probes: vec![Probe::Logged("ready http://")],
    }
}
