//! Chromium, driven as WebDriver has it: plain JSON over HTTP to chromedriver.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    real_or_left_out,
    server::{Kind, Launch, Place, Probe, Server},
};
use crate::raw;

/// How long one command may take, the start of the browser included.
const COMMAND_DEADLINE: Duration = Duration::from_secs(90);

const DRIVER: Kind = Kind {
    program: "chromedriver",
    main: "empty",
    complete: |_, text| text,
    launch,
};

/// A browser with a profile of its own, gone when dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Server,
    session: String,
}

impl Browser {
    /// Starts a headless browser that finds the hosts, whatever the port, at these addresses, and
    /// nothing else but 127.0.0.1. It takes certificates of unknown makers.
    ///
    /// `None` where Chromium or its driver is not installed: `what` is then left out, which is said.
    ///
    /// # Panics
    ///
    /// Panics with the log when it does not start, and under `tests/run` when it is not installed.
    pub async fn start(what: &str, hosts: &[(&str, SocketAddr)]) -> Option<Self> {
        let chromium = real_or_left_out("chromium", what)?;
        let driver = Server::start(&DRIVER, what, |_| "").await?;
        let mut rules: Vec<_> = hosts
            .iter()
            .map(|(host, address)| format!("MAP {host} {address}"))
            .collect();
        rules.extend(["MAP * ~NOTFOUND".to_owned(), "EXCLUDE 127.0.0.1".to_owned()]);
        let arguments = [
            "--headless=new".to_owned(),
            // Chromium refuses its sandbox to root.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--no-first-run".to_owned(),
            format!("--host-resolver-rules={}", rules.join(",")),
            format!(
                "--user-data-dir={}/profile",
                driver.place().folder().display()
            ),
        ];
        let asked = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
        } } });
        let mut browser = Self {
            driver,
            session: String::new(),
        };
        let made = browser.command("POST", "/session", &asked).await;
        let id = made["sessionId"].as_str().expect("a session");
        browser.session = format!("/session/{id}");
        Some(browser)
    }

    /// Opens a page and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// The address of the page, after redirects.
    pub async fn url(&self) -> String {
        let url = self.get("/url").await;
        url.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page is the one at this address, and loaded: a click returns before it is.
    ///
    /// # Panics
    ///
    /// Panics when it is not within 90 seconds.
    pub async fn arrives(&self, url: &str) {
        let deadline = Instant::now() + COMMAND_DEADLINE;
        let path = format!("{}/execute/sync", self.session);
        let state = json!({ "script": "return [location.href, document.readyState]", "args": [] });
        // A page that is just being left cannot be asked.
        while self.attempt("POST", &path, &state).await != Ok(json!([url, "complete"])) {
            let late = Instant::now() > deadline;
            assert!(!late, "the browser is still at {}", self.url().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The text that the page shows.
    pub async fn text(&self) -> String {
        let text = self.script("return document.body.innerText", &[]).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Runs the body of a function in the page; a promise that it returns is waited for.
    pub async fn script(&self, body: &str, arguments: &[Value]) -> Value {
        let script = json!({ "script": body, "args": arguments });
        self.post("/execute/sync", script).await
    }

    /// Fetches from the page's own origin or another, with cookies where the browser has leave to
    /// send them, and gives the status and the text. Status 0 is an answer that the page may not
    /// read.
    pub async fn fetch(&self, method: &str, url: &str, body: Option<&str>) -> (u64, String) {
        let script = "return fetch(arguments[1], { method: arguments[0], body: arguments[2], \
                      credentials: 'include' }).then(async a => [a.status, await a.text()], \
                      e => [0, String(e)])";
        let answer = self
            .script(script, &[json!(method), json!(url), json!(body)])
            .await;
        let text = answer[1].as_str().unwrap_or_default().to_owned();
        (answer[0].as_u64().unwrap_or_default(), text)
    }

    /// The cookies that the browser would send to the page: `name`, `value`, `httpOnly`,
    /// `secure`, `sameSite`, `domain`, `path`, `expiry`.
    pub async fn cookies(&self) -> Vec<Value> {
        match self.get("/cookie").await {
            Value::Array(cookies) => cookies,
            other => panic!("no cookies but {other}"),
        }
    }

    /// One of them.
    pub async fn cookie(&self, name: &str) -> Option<Value> {
        let cookies = self.cookies().await;
        cookies.into_iter().find(|cookie| cookie["name"] == name)
    }

    /// Clicks what a CSS selector finds first.
    pub async fn click(&self, selector: &str) {
        let path = format!("{}/click", self.element(selector).await);
        self.post(&path, json!({})).await;
    }

    /// Types into what a CSS selector finds first.
    pub async fn fill(&self, selector: &str, text: &str) {
        let path = format!("{}/value", self.element(selector).await);
        self.post(&path, json!({ "text": text })).await;
    }

    /// What the driver logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.driver.log()
    }

    async fn element(&self, selector: &str) -> String {
        let asked = json!({ "using": "css selector", "value": selector });
        let found = self.post("/element", asked).await;
        let id = found.as_object().and_then(|found| found.values().next());
        let id = id.and_then(Value::as_str).expect("the id of an element");
        format!("/element/{id}")
    }

    async fn get(&self, path: &str) -> Value {
        let path = format!("{}{path}", self.session);
        self.command("GET", &path, &Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let path = format!("{}{path}", self.session);
        self.command("POST", &path, &body).await
    }

    async fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.attempt(method, path, body).await;
        answer.unwrap_or_else(|refusal| panic!("{method} {path}: {refusal}"))
    }

    async fn attempt(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let address = self.driver.http();
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let headers = [("Content-Type", "application/json")];
        let host = address.to_string();
        let request = raw::request(method, path, &host, &headers, body.as_bytes());
        let answer = raw::exchange(address, &request, COMMAND_DEADLINE).await;
        let answer = answer.map_err(|err| format!("{err:?}"))?;
        match answer.status {
            200 => Ok(answer.json()["value"].take()),
            _ => Err(answer.text()),
        }
    }
}

fn launch(place: &Place) -> Launch {
    let folder = place.folder().display().to_string();
    Launch {
        arguments: vec![format!("--port={}", place.http())],
        environment: vec![("HOME", folder.clone()), ("TMPDIR", folder)],
        probes: vec![Probe::Answers(
            (std::net::Ipv4Addr::LOCALHOST, place.http()).into(),
            "/status",
            r#""ready":true"#,
        )],
    }
}
